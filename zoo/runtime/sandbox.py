"""Runs `.tflite` files in a child process, so a crash or an endless loop raises a ZooError.

It also allows a program to use both runtimes, which cannot share a process (see
`zoo.runtime.interpreter`).
"""

from __future__ import annotations

import sys
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from pydantic import ValidationError

from zoo.errors import UnknownNameError, ZooError
from zoo.runtime import engines
from zoo.runtime.child import Child
from zoo.runtime.sandbox_worker import Answer, Request, unique
from zoo.schema.measurement import Placement

__all__ = ["Sandbox", "unique"]


class Accelerated:
    """One file on an accelerator's engine, in a child process of its own.

    Args:
        content: Content of the file, whose hash must have been checked.
        runtime: A key of `zoo.runtime.engines.RUNTIMES`.
        delegate: One of its delegates.

    Raises:
        ZooError: if the runtime is unknown or not installed.
    """

    def __init__(self, content: bytes, runtime: str, delegate: str):
        self._sandbox, self._delegate = Sandbox(runtime), delegate
        self._path = self._sandbox.child.folder() / "model.tflite"
        self._path.write_bytes(content)

    def run(self, image: np.ndarray) -> np.ndarray:
        """Runs one inference, see `zoo.runtime.net.Net.run`.

        Raises:
            ZooError: as `Sandbox.outputs`.
        """
        return self._sandbox.outputs(self._path, image[np.newaxis], self._delegate)[0]


class Sandbox:
    """A child process with one TFLite runtime, started by the first call and reused by later ones.

    `Sandbox` is a context manager and can be used again after `close`. Each method raises ZooError
    if the file is unreadable, the runtime cannot load it, or the child dies or times out; the next
    call then starts a new child. Calls from several threads are serialized.

    Args:
        runtime: A key of `zoo.runtime.engines.RUNTIMES`.
        timeout_s: Timeout of each call in seconds; the child is killed when it expires.
        remedy: Remedy in the error message if the child dies.
        emulated: Command of an emulated Python, see `zoo.runtime.arm64`; empty for this one. It may
            have another version of the runtime, and is never timed.

    Raises:
        ZooError: if the runtime is unknown or not installed.
    """

    def __init__(
        self,
        runtime: str,
        timeout_s: float = 120.0,
        remedy: str = "convert the model again, or try the other runtime",
        emulated: Sequence[str] = (),
    ):
        self.runtime = runtime
        self.version = engines.version(runtime)
        self.child = Child(
            "zoo.runtime.sandbox_worker",
            runtime,
            name=f"the process with {runtime}",
            timeout_s=timeout_s,
            remedy=remedy,
            python=emulated or (sys.executable,),
        )
        self._emulated = bool(emulated)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Starts the child now, so that it loads the runtime while the caller does other things."""
        with self._lock:
            self.child.start()

    def check(self) -> None:
        """Does nothing, if the runtime works here.

        Raises:
            ZooError: if it can't be loaded, or a device or library that it needs is missing.
        """
        with self._lock:
            self.child.ask(Request(call="check"), Answer, self.runtime)

    def placement(self, path: Path, delegate: str = "xnnpack") -> Placement:
        """Returns how many nodes of the graph run on the delegate.

        Args:
            path: Any `.tflite`.
            delegate: One of the runtime's.
        """
        with self._lock:
            placement = self._ask("placement", path, delegate=delegate).placement
        if placement is None:
            raise self.child.nonsense(path, "no placement")
        return placement

    def outputs(
        self, path: Path, images: np.ndarray, delegate: str = "xnnpack", threads: int = 1
    ) -> np.ndarray:
        """Runs inference on each image.

        Quantizes the inputs and dequantizes the outputs, as an application does.

        Args:
            path: A `.tflite` with one input, one output and batch size 1.
            images: Normalized images, float32 (n, height, width, channels).
            delegate: One of the runtime's.
            threads: Number of CPU threads.

        Returns:
            The outputs, float32 (n, classes).
        """
        with self._lock:
            result = self.child.folder() / "result.npy"
            self._ask(
                "outputs", path, images, delegate=delegate, threads=threads, result=str(result)
            )
            outputs = self._array(path, result)
        if outputs.dtype != np.float32 or len(outputs) != len(images):
            raise self.child.nonsense(path, f"{outputs.dtype} of shape {outputs.shape}")
        return outputs

    def run_tensors(
        self, path: Path, inputs: Sequence[np.ndarray], delegate: str = "xnnpack"
    ) -> list[np.ndarray]:
        """Runs inference on tensors of any inputs.

        Args:
            path: Any `.tflite`.
            inputs: For each input an array of its dtype, (n, *shape), for n inferences.
            delegate: One of the runtime's.

        Returns:
            For each output an array (n, *shape). Quantized ones are dequantized to float32; other
            integers are unchanged.
        """
        return list(self._of_tensors("run_tensors", path, inputs, delegate=delegate).values())

    def all_tensors(
        self, path: Path, inputs: Sequence[np.ndarray], *, constants: bool = False
    ) -> dict[str, np.ndarray]:
        """Returns all tensors after one inference with the built-in kernels.

        Args:
            path: Any `.tflite`.
            inputs: For each input an array of its shape and dtype.
            constants: Whether to include constant tensors such as weights and shapes.

        Returns:
            Tensors by name, made unique by `unique`, with the batch axis. Quantized tensors are
            dequantized to float32; integers without a scale are unchanged.
        """
        return self._of_tensors("all_tensors", path, inputs, constants=constants)

    def tensors(
        self, path: Path, image: np.ndarray, *, constants: bool = True
    ) -> dict[str, np.ndarray]:
        """Returns all tensors of a network of images, as `all_tensors`.

        Args:
            path: A `.tflite` with one input, one output and batch size 1.
            image: Normalized image, float32 (height, width, channels).
            constants: Whether to include constant tensors such as weights and shapes.
        """
        with self._lock:
            result = self.child.folder() / "result.npz"
            answer = self._ask(
                "tensors", path, image[np.newaxis], constants=constants, result=str(result)
            )
            return self._arrays(path, answer, result)

    def latency_us(self, path: Path, delegate: str, threads: int, seconds: float) -> list[float]:
        """Measures the latency of single inferences on random input.

        Args:
            path: A `.tflite` with one input, one output and batch size 1.
            delegate: One of the runtime's.
            threads: Number of CPU threads.
            seconds: Duration of the measurement, after a warm-up of a quarter of it.

        Returns:
            Latency of each inference in microseconds, at least one.
        """
        if self._emulated:
            raise ZooError(f"no latency: {self.runtime} is emulated", where=path.name)
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

    def _of_tensors(
        self, call: str, path: Path, inputs: Sequence[np.ndarray], **fields: Any
    ) -> dict[str, np.ndarray]:
        """Sends a request with an array per input, and returns the arrays of the result."""
        with self._lock:
            file = self.child.folder() / "inputs.npz"
            np.savez(file, **{str(index): values for index, values in enumerate(inputs)})
            result = self.child.folder() / "result.npz"
            answer = self._ask(call, path, images=str(file), result=str(result), **fields)
            return self._arrays(path, answer, result)

    def _arrays(self, path: Path, answer: Answer, result: Path) -> dict[str, np.ndarray]:
        try:
            with np.load(result, allow_pickle=False) as arrays:
                return {name: arrays[str(i)] for i, name in enumerate(answer.names)}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise self.child.nonsense(path, error) from error
        finally:
            result.unlink(missing_ok=True)

    def _array(self, path: Path, result: Path) -> np.ndarray:
        try:
            array: np.ndarray = np.load(result, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise self.child.nonsense(path, error) from error
        finally:
            result.unlink(missing_ok=True)
        return array

    def _ask(
        self,
        call: str,
        path: Path,
        floats: np.ndarray | None = None,
        extra_s: float = 0.0,
        **fields: object,
    ) -> Answer:
        """Sends one request to the child, which is started if necessary."""
        fields |= {"call": call, "path": str(path.resolve())}
        known = engines.RUNTIMES[self.runtime].delegates
        delegate = str(fields.setdefault("delegate", known[-1]))
        if delegate.partition(":")[0] not in known:
            raise UnknownNameError(f"delegate of {self.runtime}", delegate, known)
        if floats is not None:
            file = self.child.folder() / "images.npy"
            np.save(file, np.ascontiguousarray(floats, np.float32), allow_pickle=False)
            fields["images"] = str(file)
        try:
            request = Request.model_validate(fields)
        except ValidationError as error:
            raise ZooError("invalid request", where=path.name, got=error) from error
        return self.child.ask(request, Answer, path.name, extra_s)
