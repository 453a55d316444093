"""Waits until all workers of a training have started. Does not import TensorFlow.

TensorFlow itself waits an hour for a worker that never appears, and cannot be interrupted.
"""

from __future__ import annotations

import socket
import time

from zoo.errors import ZooError
from zoo.training.tf_config import WorkerAddress

_TRY_S = 1.0
_PAUSE_S = 0.2
_WHAT = "the workers could not connect to each other"


def meet(place: WorkerAddress, wait_s: float) -> None:
    """Listens on this worker's port until every other worker has been reached on its own.

    Args:
        place: This process's place among the workers.
        wait_s: Longest wait, in seconds.

    Raises:
        ZooError: if this worker's port is taken or another worker does not appear.
    """
    own = place.addresses[place.worker]
    try:
        listener = socket.create_server(("", _host_and_port(own)[1]))
    except OSError as error:
        raise ZooError(
            _WHAT,
            where="TF_CONFIG",
            expected="a free port on this machine",
            got=f"{own}: {error.strerror}",
            remedy="free the port or choose another one, then start the command on all workers",
        ) from error
    deadline = time.monotonic() + wait_s
    with listener:
        absent = [address for address in place.addresses if address != own]
        while absent := [address for address in absent if not _reached(address)]:
            if time.monotonic() > deadline:
                raise ZooError(
                    _WHAT,
                    where=f"worker {place.worker} of {len(place.addresses)}",
                    expected=", ".join(absent),
                    got=f"no answer within {wait_s:g} s",
                    remedy="start the command on all workers, or wait longer with --peer_secs",
                )
            time.sleep(_PAUSE_S)


def _reached(address: str) -> bool:
    try:
        socket.create_connection(_host_and_port(address), _TRY_S).close()
    except OSError:
        return False
    return True


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ZooError(
            "TF_CONFIG is missing or invalid", where="TF_CONFIG", expected="HOST:PORT", got=address
        )
    return host.strip("[]"), int(port)
