"""Runs `python -m MODULE ARGUMENTS` in a process started by the test run's command server.

`tests.support.command_server` explains why. Without a server, for example outside pytest, each
command starts a new Python.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent.parent
# Longer than anything here takes on any machine; what still runs after that hangs.
HANG_S = 1200
_SERVER = "MODEL_ZOO_TEST_SERVER"


class Process:
    """A running command, with the part of the interface of `subprocess.Popen` that tests use."""

    def __init__(self, pid: int, client: socket.socket):
        self.pid = pid
        self.returncode: int | None = None
        self._client = client

    def poll(self) -> int | None:
        """Returns the exit code, None if the command is still running."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float = HANG_S) -> int:
        """Waits for the end of the command and returns its exit code, negative for a signal.

        Args:
            timeout: Seconds to wait.

        Raises:
            subprocess.TimeoutExpired: if the command is still running after `timeout`.
        """
        if self.returncode is None:
            self._client.settimeout(timeout)
            try:
                line = _line(self._client)
            except (TimeoutError, BlockingIOError) as error:
                raise subprocess.TimeoutExpired(str(self.pid), timeout) from error
            self.returncode = int(line)
            self._client.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal unless the command has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start(
    *words: str,
    stdout: IO[bytes] | int = subprocess.DEVNULL,
    stderr: IO[bytes] | int | None = None,
    environment: Mapping[str, str] = {},
    folder: Path = ROOT,
    new_session: bool = False,
) -> Process | subprocess.Popen[bytes]:
    """Starts a module with its arguments.

    Args:
        words: The module and its arguments.
        stdout: As for Popen.
        stderr: As for Popen; None for the stderr of the test.
        environment: Variables in addition to those of this process. PYTHONPATH makes it start a
            new Python.
        folder: Working directory.
        new_session: Whether the process leads a new session and process group.
    """
    variables = {**os.environ, **environment}
    server = os.environ.get(_SERVER)
    if server is None or "PYTHONPATH" in environment:
        return subprocess.Popen(
            [sys.executable, "-m", *words], cwd=folder, env=variables, stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=stderr, start_new_session=new_session,
        )  # fmt: skip
    request = {
        "words": words, "environment": variables, "folder": str(folder),
        "new_session": new_session,
    }  # fmt: skip
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(HANG_S)  # all commands wait until the first one has imported TensorFlow
    client.connect(server)
    with Path(os.devnull).open("r+b") as nothing:
        streams = [nothing, stdout, 2 if stderr is None else stderr]
        numbers = [
            nothing.fileno() if stream == subprocess.DEVNULL
            else stream if isinstance(stream, int) else stream.fileno()
            for stream in streams
        ]  # fmt: skip
        data = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(client, [data], numbers)
        client.sendall(data[sent:])
    return Process(int(_line(client)), client)


def run(
    *words: str,
    environment: Mapping[str, str] = {},
    folder: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """Runs a module and returns its exit code and output; arguments as for `start`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = start(*words, stdout=out, stderr=err, environment=environment, folder=folder).wait(
            HANG_S
        )
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    return subprocess.CompletedProcess(words, code, *texts)


def until(condition: Callable[[], object], *running: Process | subprocess.Popen[bytes]) -> None:
    """Waits until a condition holds.

    Args:
        condition: Called repeatedly until its result is true.
        running: Processes that must not end before that.

    Raises:
        AssertionError: if one of the processes has ended, or after `HANG_S`.
    """
    end_s = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < end_s, "the condition never held"
        assert all(each.poll() is None for each in running), "a process ended before it held"
        time.sleep(0.02)


@contextlib.contextmanager
def server() -> Iterator[None]:
    """Runs a command server for this process and its children."""
    with tempfile.TemporaryDirectory(prefix="zoo-tests-") as folder:
        path = str(Path(folder) / "commands")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(64)
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.command_server", str(listener.fileno())],
                cwd=ROOT, stdin=subprocess.PIPE, pass_fds=(listener.fileno(),),
            )  # fmt: skip
        os.environ[_SERVER] = path
        try:
            yield
        finally:
            del os.environ[_SERVER]
            process.communicate()


def _line(client: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        part = client.recv(64)
        if not part:
            raise ConnectionError("the command server has exited")
        data += part
    return data
