"""Runs code that may crash, such as a TFLite runtime, in a child process.

The parent uses a `Child`, which runs a module as `python -m MODULE`; the module calls `serve`. Each
request is a line of JSON on the child's stdin, each reply a line of JSON on its original stdout.
Large data is passed in files named by the request. If the child crashes, hangs or sends an invalid
reply, the parent raises a ZooError.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from zoo.errors import ZooError, one_line
from zoo.schema.base import Strict

MAX_LINE_BYTES = 4 * 2**20  # the names of all tensors of a large network have about 100 kB
_STDERR_TAIL_BYTES = 4096
_EXIT_TIMEOUT_S = 2.0  # an idle child exits within milliseconds once its stdin is closed

A = TypeVar("A", bound=BaseModel)


class Refusal(Strict):
    """A ZooError of the child, with its attributes."""

    what: str
    where: str | None = None
    expected: str | None = None
    got: str | None = None
    remedy: str | None = None


class Reply(Strict):
    """The child's reply to a request.

    Attributes:
        answer: The result as JSON of its pydantic model, or None after an error.
        refusal: The error, if any.
    """

    answer: str | None = None
    refusal: Refusal | None = None


class Child:
    """A child process that is started by the first request and reused by later ones.

    After an error the next request starts a new process. `Child` is a context manager and can be
    used again after `close`. It is not thread-safe.

    Args:
        module: Module to run.
        arguments: Its command-line arguments.
        name: Name of the process in error messages, for example "the process with litert".
        timeout_s: Timeout of each request in seconds; the process is killed when it expires.
        remedy: Remedy in the error message if the process dies.
        python: Command of the Python that runs the module; this one by default.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        name: str,
        timeout_s: float,
        remedy: str | None = None,
        python: Sequence[str] = (sys.executable,),
    ):
        self.name, self.timeout_s = name, timeout_s
        self.process: subprocess.Popen[bytes] | None = None
        self._command = (*python, "-m", module, *arguments)
        self._remedy = remedy
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def ask(self, request: BaseModel, kind: type[A], where: str, extra_s: float = 0.0) -> A:
        """Sends a request and waits for its reply.

        Args:
            request: The request.
            kind: Type of the answer.
            where: File that the request is about, shown in error messages.
            extra_s: Seconds added to `timeout_s` for this request.

        Raises:
            ZooError: if the module raised one, or the process died, timed out or sent an invalid
                reply.
        """
        limit_s = self.timeout_s + extra_s
        deadline_s = time.monotonic() + limit_s
        process = self._start()
        self._log().write_bytes(b"")  # drops the output of earlier requests
        try:
            line = _exchange(process, request.model_dump_json().encode() + b"\n", deadline_s)
            if not line:
                raise self._died(process, where)
            reply = Reply.model_validate_json(line)
            if reply.refusal is None:
                answer = kind.model_validate_json(reply.answer or "")
        except BaseException as error:
            # Also after an interrupt: a late reply would be taken for that of the next request.
            self._end(now=True)
            if isinstance(error, TimeoutError):
                raise ZooError(
                    f"{self.name} timed out",
                    where=where,
                    got=f"no reply within {limit_s:g} s; {self._last_output()}",
                ) from error
            if isinstance(error, ValidationError):
                raise self.nonsense(where, error) from error
            raise
        if reply.refusal is not None:
            raise ZooError(**reply.refusal.model_dump())
        return answer

    def nonsense(self, where: object, got: object) -> ZooError:
        """Returns the error for an invalid reply."""
        return ZooError(f"{self.name} sent an invalid reply", where=where, got=got)

    def start(self) -> None:
        """Starts the process, unless it is running, before the first request needs it."""
        self._start()

    def folder(self) -> Path:
        """Returns a private folder for files of requests and answers, removed by `close`."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="zoo-child-")
        return Path(self._folder.name)

    def close(self) -> None:
        """Ends the process and removes its files."""
        self._end()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[bytes]:
        """Starts the process unless it is running."""
        if self.process is not None and self.process.poll() is None:
            return self.process
        self._end()
        # In append mode the child writes to the new end of the file after `ask` has emptied it.
        with self._log().open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=Path(__file__).parents[2],  # so the packages are found without installation
            )
        return self.process

    def _end(self, now: bool = False) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(0 if now else _EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _died(self, process: subprocess.Popen[bytes], where: str) -> ZooError:
        try:
            code = process.wait(_EXIT_TIMEOUT_S)
            cause = _signal_name(-code) if code < 0 else f"exit code {code}"
        except subprocess.TimeoutExpired:
            cause = "it closed its output"
        return ZooError(
            f"{self.name} died",
            where=where,
            got=f"{cause}; {self._last_output()}",
            remedy=self._remedy,
        )

    def _log(self) -> Path:
        return self.folder() / "stderr"

    def _last_output(self) -> str:
        """Describes the last line on the child's stderr, ignoring INFO messages."""
        with self._log().open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _STDERR_TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        lines = [line for line in lines if line.strip() and not line.startswith("INFO: ")]
        return f"last output: {one_line(lines[-1], 300)}" if lines else "no output"


def serve(answer: Callable[[bytes], BaseModel]) -> NoReturn:
    """Answers requests in the child until stdin is closed.

    Stdout is redirected to stderr, because the C++ code of the runtimes may write to it.

    Args:
        answer: Called with each request as JSON. A ZooError that it raises is sent to the parent.

    Never returns: the process ends at once, without the interpreter's slow shutdown.
    """
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while line := sys.stdin.buffer.readline(MAX_LINE_BYTES):
        try:
            reply = Reply(answer=answer(line).model_dump_json())
        except ZooError as error:
            reply = Reply(
                refusal=Refusal(
                    what=error.what, where=error.where, expected=error.expected, got=error.got,
                    remedy=error.remedy,
                )
            )  # fmt: skip
        replies.write(reply.model_dump_json().encode() + b"\n")
        replies.flush()
    sys.stderr.flush()
    os._exit(0)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _exchange(process: subprocess.Popen[bytes], request: bytes, deadline_s: float) -> bytes:
    """Sends a line and returns the reply line, or b"" if the process has exited.

    Args:
        process: The child process.
        request: The line, with its newline.
        deadline_s: Time limit on the clock of `time.monotonic`.

    Raises:
        TimeoutError: if there is no reply by `deadline_s`.
    """
    if process.stdin is None or process.stdout is None:
        return b""
    left = memoryview(request)
    try:
        while left:
            _wait((), (process.stdin,), deadline_s)
            left = left[os.write(process.stdin.fileno(), left[: select.PIPE_BUF]) :]
    except BrokenPipeError:
        return b""
    reply = bytearray()
    while not reply.endswith(b"\n") and len(reply) <= MAX_LINE_BYTES:
        _wait((process.stdout,), (), deadline_s)
        part = os.read(process.stdout.fileno(), 2**16)
        if not part:
            return b""
        reply += part
    return bytes(reply)


def _wait(readable: Sequence[IO[bytes]], writable: Sequence[IO[bytes]], until_s: float) -> None:
    left_s = until_s - time.monotonic()
    if left_s <= 0 or not any(select.select(readable, writable, [], left_s)):
        raise TimeoutError
