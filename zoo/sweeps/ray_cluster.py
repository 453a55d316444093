"""Ray as this project uses it: on this computer alone unless an address is given. No TensorFlow."""

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
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else no --gpus means that none is seen
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
# With this Ray takes 127.0.0.1 for its own address, and nothing listens on any other.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# A loaded machine answers late and is not dead for it.
_PATIENCE = {
    "RAY_gcs_server_port_wait_time_s": "300",
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_health_check_failure_threshold": "60",
}
_CONNECT_S = 10  # Ray itself would try for minutes
_STORE_BYTES = 80 * 2**20  # for objects that trials share; ours share none
_LONGEST = 40  # letters; Ray puts sockets below it, whose paths can't be longer than 107


@dataclass(frozen=True)
class RayCluster:
    """Where trials run.

    Attributes:
        address: of a running cluster; empty starts Ray here.
        jobs: trials at a time.
        gpus: that a trial takes; a share where several have one.
    """

    address: str = ""
    jobs: int = 1
    gpus: float = 0.0


def load(cluster: RayCluster) -> None:
    """Loads Ray with the settings of ours, which it reads only then.

    Raises:
        ZooError: Ray or Optuna is missing or does not load.
    """
    os.environ.update(_SETTINGS)
    if not cluster.address:
        # A token of the sweep's own: no other user of this computer may run anything.
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        os.environ.update(_LOOPBACK | _PATIENCE | token)
    try:
        import optuna  # noqa: F401
        import ray.tune  # noqa: F401
    except ImportError as error:
        raise ZooError(
            "sweeps need Ray and Optuna, which can't be imported",
            got=error,
            remedy="pip install 'mobile-model-zoo[cluster]', or run make setup",
        ) from error


@contextmanager
def connected(cluster: RayCluster, name: str) -> Iterator[None]:
    """Ray, as long as the block lasts; what it keeps in files is removed then.

    Args:
        cluster: where; `load` comes first.
        name: of its folder; a killed sweep's is replaced by the next one's of that name.

    Raises:
        ZooError: no such cluster, or Ray does not start.
    """
    import ray

    temporary = _own_folder(name)
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    silent = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    try:
        try:
            with quiet():  # its C++ part writes what the exception says too
                if cluster.address:
                    _knock(cluster.address)
                    root = str(Path(zoo.__file__).parent.parent)
                    path = {"env_vars": {"PYTHONPATH": root}}
                    ray.init(cluster.address, runtime_env=path, **silent)
                else:
                    ray.init(
                        "local",
                        num_cpus=cluster.jobs,
                        include_dashboard=False,
                        object_store_memory=_STORE_BYTES,
                        _temp_dir=str(temporary),
                        **silent,
                    )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            if not cluster.address:
                raise ZooError("Ray does not start", got=error) from error
            raise ZooError(
                "no Ray cluster answers",
                where=cluster.address,
                got=error,
                remedy="look at the address, and set RAY_AUTH_MODE=token where it wants a token",
            ) from error
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(temporary, ignore_errors=True)


def _knock(address: str) -> None:
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()


def _own_folder(name: str) -> Path:
    base = Path(tempfile.gettempdir())
    folder = (base if len(str(base)) <= _LONGEST else Path("/tmp")) / f"zoo-{name}"  # noqa: S108
    if folder.exists() or folder.is_symlink():
        status = folder.lstat()
        if folder.is_symlink() or status.st_uid != os.getuid():
            raise ZooError("the folder is somebody else's", where=folder, remedy="set TMPDIR")
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    return folder
