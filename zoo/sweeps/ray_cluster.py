"""Starts Ray on this computer or connects to a cluster. Does not import TensorFlow."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import zoo
from zoo.errors import ZooError
from zoo.io.stderr import quiet

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else trials with --gpus=0 would see none
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # scripts.explore handles Ctrl-C itself
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
# Makes Ray use 127.0.0.1 as its address, so nothing listens on any other interface.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# On a heavily loaded machine Ray's processes answer too late for the default timeouts.
_TIMEOUTS = {
    "RAY_gcs_server_port_wait_time_s": "300",
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_health_check_failure_threshold": "60",
}
_CONNECT_TIMEOUT_S = 10  # Ray itself would try for several minutes
_OBJECT_STORE_BYTES = 80 * 2**20  # about the minimum; these trials share no objects
# Characters. Ray creates sockets inside the folder, and their paths are limited to 107 characters.
_MAX_BASE_LENGTH = 40


@dataclass(frozen=True)
class RayCluster:
    """Where trials run.

    Attributes:
        address: Address of a running cluster; empty to start Ray on this computer.
        jobs: Number of concurrent trials.
        gpus: GPUs per trial; a fraction lets several trials share one.
    """

    address: str = ""
    jobs: int = 1
    gpus: float = 0.0


def load(cluster: RayCluster) -> None:
    """Sets Ray's environment variables, which it reads when it is imported, and imports it.

    Raises:
        ZooError: if Ray or Optuna can't be imported.
    """
    os.environ.update(_SETTINGS)
    if not cluster.address:
        # A random token keeps other users of this computer from running code in this cluster.
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        os.environ.update(_LOOPBACK | _TIMEOUTS | token)
    try:
        import optuna  # noqa: F401
        import ray.tune  # noqa: F401
    except ImportError as error:
        raise ZooError(
            "can't import Ray and Optuna, which sweeps need",
            got=error,
            remedy="pip install 'mobile-model-zoo[cluster]', or run make setup",
        ) from error


@contextmanager
def connected(cluster: RayCluster, name: str) -> Iterator[None]:
    """Context manager that starts or connects to Ray and removes its temporary files at the end.

    Args:
        cluster: Where to run. Call `load` first.
        name: Name of Ray's temporary folder. A folder left by a killed sweep of the same name is
            replaced.

    Raises:
        ZooError: if the cluster does not respond or Ray fails to start.
    """
    import ray

    temporary = _temporary_folder(name)
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    silent = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    try:
        try:
            with quiet():  # Ray's C++ code prints the same errors that it raises
                if cluster.address:
                    _check_port(cluster.address)
                    root = str(Path(zoo.__file__).parent.parent)
                    path = {"env_vars": {"PYTHONPATH": root}}
                    ray.init(cluster.address, runtime_env=path, **silent)
                else:
                    ray.init(
                        "local",
                        num_cpus=cluster.jobs,
                        include_dashboard=False,
                        object_store_memory=_OBJECT_STORE_BYTES,
                        _temp_dir=str(temporary),
                        **silent,
                    )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            if not cluster.address:
                raise ZooError("Ray failed to start", got=error) from error
            raise ZooError(
                "can't connect to the Ray cluster",
                where=cluster.address,
                got=error,
                remedy="check the address; if the cluster needs a token, set RAY_AUTH_MODE=token",
            ) from error
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(temporary, ignore_errors=True)


def _check_port(address: str) -> None:
    """Raises an OSError within seconds if the address has a port that does not respond."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT_S).close()


def _temporary_folder(name: str) -> Path:
    """Creates an empty folder that only this user can access, replacing one of the same name."""
    base = Path(tempfile.gettempdir())
    folder = (base if len(str(base)) <= _MAX_BASE_LENGTH else Path("/tmp")) / f"zoo-{name}"  # noqa: S108
    if folder.exists() or folder.is_symlink():
        status = folder.lstat()
        if folder.is_symlink() or status.st_uid != os.getuid():
            raise ZooError(
                "the folder belongs to another user",
                where=folder,
                remedy="set TMPDIR to another folder",
            )
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    return folder
