"""Runs `python -m MODULE ARGUMENTS` in forks of a process that has already imported TensorFlow.

Importing TensorFlow takes nine seconds of CPU time, more than most commands that tests run. This
process imports it once per test run, when it receives the first command, and never computes with
it. Each command runs in a fork with its own arguments, environment, working directory, streams and
exit code. The client is `tests.support.processes`.

    python -m tests.support.command_server DESCRIPTOR

DESCRIPTOR is the file descriptor of a listening Unix socket. The server exits when its stdin is
closed, and so with its parent. Tests of imports (`tests/packaging/test_light_imports.py`) and of
the installed wheel (`test_wheel.py` there) start new processes, since a fork has imported
everything.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
from typing import Any, NoReturn

from zoo.io.tf_import import import_tensorflow

MAX_REQUEST_BYTES = 2**20
_STREAMS = 3


def serve(listener: socket.socket) -> None:
    """Answers each connection with the process ID of its command, then with its exit code."""
    wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops pytest, which closes stdin
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([listener.fileno(), wake, 0], [], [])
        if 0 in ready:
            break
        if wake in ready:
            os.read(wake, 4096)
            _tell_ends(running)
        if listener.fileno() in ready:
            _start(listener, running)
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _tell_ends(running: dict[int, socket.socket]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        with running.pop(pid) as client, contextlib.suppress(OSError):
            client.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _start(listener: socket.socket, running: dict[int, socket.socket]) -> None:
    client, _ = listener.accept()
    data, streams, _, _ = socket.recv_fds(client, MAX_REQUEST_BYTES, _STREAMS)
    while data and not data.endswith(b"\n"):
        data += client.recv(MAX_REQUEST_BYTES)
    if not data:  # the client has disconnected
        return
    request = json.loads(data)
    _load()
    pid = os.fork()
    if pid == 0:
        listener.close()
        for other in (client, *running.values()):
            other.close()
        _become(request, streams)
    for stream in streams:
        os.close(stream)
    running[pid] = client
    with contextlib.suppress(OSError):
        client.sendall(b"%d\n" % pid)


def _load() -> None:
    if "tensorflow" in sys.modules:
        return

    import_tensorflow()
    import tensorflow_model_optimization  # noqa: F401
    import tf_keras  # noqa: F401

    import zoo.schema.measurement  # noqa: F401 - also imports pydantic

    gc.freeze()  # otherwise the first collection in each fork would copy all objects


def _become(request: dict[str, Any], streams: list[int]) -> NoReturn:
    """Sets this fork up like a new process, runs the module and exits."""
    import numpy as np

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["new_session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]  # as with python -m
    np.random.seed()  # forks inherit the server's state
    module, *arguments = request["words"]
    sys.argv = [module, *arguments]
    code = _run(module)
    with contextlib.suppress(Exception):  # as Python does at exit, without its teardown
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = 120
    os._exit(code)


def _run(module: str) -> int:
    """Runs a module as `__main__` and returns its exit code."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
