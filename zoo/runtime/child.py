"""The one way to run a `.tflite`, or anything that may crash, in a process of its own.

The parent holds a `Child`, which runs a module as `python -m MODULE`; that module ends in `serve`.
A request is a line of JSON on the child's stdin, and so is its answer on what was its stdout. What
is large lies in files that a request names. A crash, a hang and nonsense are a ZooError here.
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
from typing import IO, TypeVar

from pydantic import BaseModel, ValidationError

from zoo.errors import ZooError, one_line
from zoo.schema.base import Strict

MAX_LINE_BYTES = 4 * 2**20  # names of all tensors of a large network: some 100 kB
_LAST_WORDS_BYTES = 4096
_GOODBYE_S = 2.0  # an idle child ends by itself in milliseconds once its stdin closes

A = TypeVar("A", bound=BaseModel)


class Problem(Strict):
    """A ZooError on its way to the parent."""

    what: str
    where: str | None = None
    expected: str | None = None
    got: str | None = None
    remedy: str | None = None


class Reply(Strict):
    """A line of the child: what came of a request, as the model's JSON, or what was refused."""

    answer: str | None = None
    problem: Problem | None = None


class Child:
    """A process that is started by the first request and kept for the next.

    After an error the next request gets a new process. A context manager; a closed one may be used
    again, and a request that wants a process of its own gets a Child of its own. Not for several
    threads at a time.

    Args:
        module: what is run.
        arguments: of it.
        name: what messages call it, as in "the process with litert".
        timeout_s: for each request; a process that has not answered by then is killed.
        remedy: what to do where it dies.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        name: str,
        timeout_s: float,
        remedy: str | None = None,
    ):
        self.name, self.timeout_s = name, timeout_s
        self.process: subprocess.Popen[bytes] | None = None
        self._words = (module, *arguments)
        self._remedy = remedy
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def ask(self, request: BaseModel, kind: type[A], where: str, extra_s: float = 0.0) -> A:
        """Sends a request and waits for its answer.

        Args:
            request: for the module.
            kind: of the answer.
            where: the file that it is about, for messages.
            extra_s: added to `timeout_s`.

        Raises:
            ZooError: the module refused, or the process died, hung or answered nonsense.
        """
        limit_s = self.timeout_s + extra_s
        deadline_s = time.monotonic() + limit_s
        process = self._started()
        self._log().write_bytes(b"")  # what earlier requests made it say is of no interest
        try:
            line = _exchange(process, request.model_dump_json().encode() + b"\n", deadline_s)
            if not line:
                raise self._died(process, where)
            reply = Reply.model_validate_json(line)
            if reply.problem is None:
                answer = kind.model_validate_json(reply.answer or "")
        except BaseException as error:
            # Interrupted, too: its late answer would be taken for that of the next question.
            self._end(now=True)
            if isinstance(error, TimeoutError):
                raise ZooError(
                    f"{self.name} hung",
                    where=where,
                    got=f"no answer in {limit_s:g} s; {self._last_words()}",
                ) from error
            if isinstance(error, ValidationError):
                raise self.nonsense(where, error) from error
            raise
        if reply.problem is not None:
            raise ZooError(**reply.problem.model_dump())
        return answer

    def nonsense(self, where: object, got: object) -> ZooError:
        """What an answer that can't be is told as."""
        return ZooError(f"{self.name} answered nonsense", where=where, got=got)

    def folder(self) -> Path:
        """A private folder for files of requests and answers, removed by `close`."""
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

    def _started(self) -> subprocess.Popen[bytes]:
        if self.process is not None and self.process.poll() is None:
            return self.process
        self._end()
        with self._log().open("ab") as log:  # append: stays right when the file is emptied
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self._words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=Path(__file__).parents[2],  # where the packages lie, installed or not
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
            process.wait(0 if now else _GOODBYE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _died(self, process: subprocess.Popen[bytes], where: str) -> ZooError:
        try:
            code = process.wait(_GOODBYE_S)
            how = _signal_name(-code) if code < 0 else f"exit code {code}"
        except subprocess.TimeoutExpired:
            how = "it closed its output"
        return ZooError(
            f"{self.name} died",
            where=where,
            got=f"{how}; {self._last_words()}",
            remedy=self._remedy,
        )

    def _log(self) -> Path:
        return self.folder() / "stderr"

    def _last_words(self) -> str:
        """The last line on the child's stderr that is more than information."""
        with self._log().open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        told = [line for line in lines if line.strip() and not line.startswith("INFO: ")]
        return f"its last words: {one_line(told[-1], 300)}" if told else "it said nothing"


def serve(answer: Callable[[bytes], BaseModel]) -> int:
    """The child's end: answers requests until stdin ends; the exit code.

    Stdout is turned into stderr, since the runtimes' C++ may write there.

    Args:
        answer: gets a request as JSON. A ZooError of it is an answer too.
    """
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while line := sys.stdin.buffer.readline(MAX_LINE_BYTES):
        try:
            reply = Reply(answer=answer(line).model_dump_json())
        except ZooError as error:
            reply = Reply(
                problem=Problem(
                    what=error.what, where=error.where, expected=error.expected, got=error.got,
                    remedy=error.remedy,
                )
            )  # fmt: skip
        replies.write(reply.model_dump_json().encode() + b"\n")
        replies.flush()
    return 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _exchange(process: subprocess.Popen[bytes], request: bytes, deadline_s: float) -> bytes:
    """Sends a line and returns the answering one; empty where the process is gone.

    Raises:
        TimeoutError: no answer by `deadline_s`, of `time.monotonic`.
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
    got = bytearray()
    while not got.endswith(b"\n") and len(got) <= MAX_LINE_BYTES:
        _wait((process.stdout,), (), deadline_s)
        part = os.read(process.stdout.fileno(), 2**16)
        if not part:
            return b""
        got += part
    return bytes(got)


def _wait(readable: Sequence[IO[bytes]], writable: Sequence[IO[bytes]], until_s: float) -> None:
    left_s = until_s - time.monotonic()
    if left_s <= 0 or not any(select.select(readable, writable, [], left_s)):
        raise TimeoutError
