"""Running `.tflite` files in a child process, where a crash or an endless loop is an error here.

It also lets one program use two runtimes, which can't share a process (see
`zoo.runtime.interpreter`).
"""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from types import TracebackType

import numpy as np
from pydantic import ValidationError

from zoo.errors import UnknownNameError, ZooError
from zoo.runtime import interpreter as runtimes
from zoo.runtime.child import Child
from zoo.runtime.sandbox_worker import Answer, Request, unique
from zoo.schema.measurement import Placement

__all__ = ["Sandbox", "unique"]


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
        self.child = Child(
            "zoo.runtime.sandbox_worker",
            runtime,
            name=f"the process with {runtime}",
            timeout_s=timeout_s,
            remedy="convert the model again, or try the other runtime",
        )
        self._lock = threading.Lock()

    def placement(self, path: Path, delegate: str = "xnnpack") -> Placement:
        """Where the graph's nodes run."""
        with self._lock:
            found = self._ask("placement", path, delegate=delegate).placement
        if found is None:
            raise self.child.nonsense(path, "no placement")
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
            result = self.child.folder() / "result.npy"
            self._ask(
                "outputs", path, images, delegate=delegate, threads=threads, result=str(result)
            )
            found = self._array(path, result)
        if found.dtype != np.float32 or len(found) != len(images):
            raise self.child.nonsense(path, f"{found.dtype} of shape {found.shape}")
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
            result = self.child.folder() / "result.npz"
            answer = self._ask(
                "tensors", path, image[np.newaxis], constants=constants, result=str(result)
            )
            try:
                with np.load(result, allow_pickle=False) as arrays:
                    return {name: arrays[str(i)] for i, name in enumerate(answer.names)}
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                raise self.child.nonsense(path, error) from error
            finally:
                result.unlink(missing_ok=True)

    def latency_us(self, path: Path, delegate: str, threads: int, seconds: float) -> list[float]:
        """Times of single invocations on noise, in microseconds.

        Measures for `seconds`, at least once, after a warm-up of a quarter of that.
        """
        with self._lock:
            result = self.child.folder() / "result.npy"
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
            self.child.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _array(self, path: Path, result: Path) -> np.ndarray:
        try:
            found: np.ndarray = np.load(result, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise self.child.nonsense(path, error) from error
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
            given = self.child.folder() / "images.npy"
            np.save(given, np.ascontiguousarray(images, np.float32), allow_pickle=False)
            fields["images"] = str(given)
        try:
            request = Request.model_validate(fields)
        except ValidationError as error:
            raise ZooError("a request that can't be", where=path.name, got=error) from error
        return self.child.ask(request, Answer, path.name, extra_s)
