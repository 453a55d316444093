"""Running `.tflite` files in a child process, where a crash or an endless loop is an error here.

It also lets one program use two runtimes, which can't share a process (see
`zoo.runtime.interpreter`).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from types import TracebackType

import numpy as np
from pydantic import ValidationError

from zoo.errors import UnknownNameError, ZooError, one_line
from zoo.runtime import interpreter as runtimes
from zoo.runtime.sandbox_worker import MAX_LINE_BYTES, Answer, Request, unique
from zoo.schema.measurement import Placement

__all__ = ["Sandbox", "unique"]
_LAST_WORDS_BYTES = 4096
_GOODBYE_S = 2.0  # an idle child ends by itself in milliseconds once its stdin closes


class Sandbox:
    """A child process with one TFLite runtime, started by the first call and kept for the next.

    A context manager; a closed one may be used again. Each method raises ZooError where the file
    can't be read, the runtime refuses it, the child dies or does not answer in time; the next call
    then gets a new child. Calls from several threads wait for each other.

    Args:
        runtime: a key of `zoo.runtime.interpreter.RUNTIMES`.
        timeout_s: for each call; a child that has not answered by then is killed.

    Raises:
        ZooError: no such runtime, or it is not installed.
    """

    def __init__(self, runtime: str, timeout_s: float = 120.0):
        self.runtime = runtime
        self.version = runtimes.version(runtime)
        self.timeout_s = timeout_s
        self._child: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def placement(self, path: Path, delegate: str = "xnnpack") -> Placement:
        """Where the graph's nodes run."""
        with self._lock:
            found = self._ask("placement", path, delegate=delegate).placement
        if found is None:
            raise self._nonsense(path, "no placement")
        return found

    def outputs(
        self, path: Path, images: np.ndarray, delegate: str = "xnnpack", threads: int = 1
    ) -> np.ndarray:
        """Runs one image after the other.

        Quantizes and dequantizes at the border, as an application does.

        Args:
            path: a `.tflite` with one input of batch size 1 and one output.
            images: (n, height, width, channels) float32, normalized.
            delegate: one of `zoo.runtime.interpreter.DELEGATES`.
            threads: CPU threads.

        Returns:
            (n, classes) float32.
        """
        with self._lock:
            result = self._place() / "result.npy"
            self._ask(
                "outputs", path, images, delegate=delegate, threads=threads, result=str(result)
            )
            found = self._array(path, result)
        if found.dtype != np.float32 or len(found) != len(images):
            raise self._nonsense(path, f"{found.dtype} of shape {found.shape}")
        return found

    def tensors(
        self, path: Path, image: np.ndarray, *, constants: bool = True
    ) -> dict[str, np.ndarray]:
        """Every tensor after one inference with plain kernels, by name (see `unique`).

        Args:
            path: a `.tflite` with one input of batch size 1 and one output.
            image: (height, width, channels) float32, normalized.
            constants: weights and shapes too, not only what is computed.

        Returns:
            Arrays of the tensors' shapes (batch 1 included); float32, dequantized where they are
            quantized; integers without a scale as they are.
        """
        with self._lock:
            result = self._place() / "result.npz"
            answer = self._ask(
                "tensors", path, image[np.newaxis], constants=constants, result=str(result)
            )
            try:
                with np.load(result, allow_pickle=False) as arrays:
                    return {name: arrays[str(i)] for i, name in enumerate(answer.names)}
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                raise self._nonsense(path, error) from error
            finally:
                result.unlink(missing_ok=True)

    def latency_us(self, path: Path, delegate: str, threads: int, seconds: float) -> list[float]:
        """Times of single invocations on noise, in microseconds.

        Measures for `seconds`, at least once, after a warm-up of a quarter of that.
        """
        with self._lock:
            result = self._place() / "result.npy"
            self._ask(
                "latency_us",
                path,
                extra_s=1.25 * seconds,
                delegate=delegate,
                threads=threads,
                seconds=seconds,
                result=str(result),
            )
            return [float(value) for value in self._array(path, result)]

    def close(self) -> None:
        """Ends the child and removes its files."""
        with self._lock:
            self._end()
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _place(self) -> Path:
        """The private folder."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="zoo-isolated-")
        return Path(self._folder.name)

    def _array(self, path: Path, result: Path) -> np.ndarray:
        try:
            found: np.ndarray = np.load(result, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise self._nonsense(path, error) from error
        finally:
            result.unlink(missing_ok=True)
        return found

    def _ask(
        self,
        call: str,
        path: Path,
        images: np.ndarray | None = None,
        extra_s: float = 0.0,
        **fields: object,
    ) -> Answer:
        """One request to the child, started where there is none."""
        fields |= {"call": call, "path": str(path.resolve())}
        if (delegate := fields.get("delegate", "none")) not in runtimes.DELEGATES:
            raise UnknownNameError("delegate", str(delegate), runtimes.DELEGATES)
        if images is not None:
            given = self._place() / "images.npy"
            np.save(given, np.ascontiguousarray(images, np.float32), allow_pickle=False)
            fields["images"] = str(given)
        try:
            request = Request.model_validate(fields)
        except ValidationError as error:
            raise ZooError("a request that can't be", where=path.name, got=error) from error
        deadline_s = time.monotonic() + self.timeout_s + extra_s
        child = self._started()
        self._log().write_bytes(b"")  # what earlier calls said is of no interest
        try:
            line = _exchange(child, request.model_dump_json().encode() + b"\n", deadline_s)
            if not line:
                raise self._died(child, path)
            answer = Answer.model_validate_json(line)
        except BaseException as error:
            # Interrupted, too: its late answer would be taken for that of the next question.
            self._end(now=True)
            if isinstance(error, TimeoutError):
                raise ZooError(
                    f"the process with {self.runtime} hung",
                    where=path.name,
                    got=f"no answer in {self.timeout_s + extra_s:g} s; {self._last_words()}",
                ) from error
            if isinstance(error, ValidationError):
                raise self._nonsense(path, error) from error
            raise
        if answer.error is not None:
            raise ZooError(answer.error)
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._end()
        with self._log().open("ab") as log:  # append: stays right when the file is emptied
            self._child = subprocess.Popen(
                [sys.executable, "-m", "zoo.runtime.sandbox_worker", self.runtime],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=Path(__file__).parents[2],  # where the packages lie, installed or not
            )
        return self._child

    def _end(self, now: bool = False) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        try:
            child.wait(0 if now else _GOODBYE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _died(self, child: subprocess.Popen[bytes], path: Path) -> ZooError:
        try:
            code = child.wait(_GOODBYE_S)
            how = _signal_name(-code) if code < 0 else f"exit code {code}"
        except subprocess.TimeoutExpired:
            how = "it closed its output"
        return ZooError(
            f"the process with {self.runtime} died",
            where=path.name,
            got=f"{how}; {self._last_words()}",
            remedy="convert the model again, or try the other runtime",
        )

    def _nonsense(self, path: Path, got: object) -> ZooError:
        return ZooError(f"the process with {self.runtime} answered nonsense", where=path, got=got)

    def _log(self) -> Path:
        return self._place() / "stderr"

    def _last_words(self) -> str:
        """The last line on the child's stderr that is more than information."""
        with self._log().open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        told = [line for line in lines if line.strip() and not line.startswith("INFO: ")]
        return f"its last words: {one_line(told[-1], 300)}" if told else "it said nothing"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _exchange(child: subprocess.Popen[bytes], request: bytes, deadline_s: float) -> bytes:
    """Sends a line and returns the answering one; empty where the child is gone.

    Raises:
        TimeoutError: no answer by `deadline_s`, of `time.monotonic`.
    """
    if child.stdin is None or child.stdout is None:
        return b""
    try:
        child.stdin.write(request)  # a path and some numbers: fits into the pipe at once
    except BrokenPipeError:
        return b""
    got = bytearray()
    while not got.endswith(b"\n") and len(got) <= MAX_LINE_BYTES:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([child.stdout], [], [], left_s)[0]:
            raise TimeoutError
        part = os.read(child.stdout.fileno(), 2**16)
        if not part:
            return b""
        got += part
    return bytes(got)
