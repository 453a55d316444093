"""Runs a `.tflite` with LiteRT's GPU engine (ML Drift), the one of phones, through Vulkan.

The engine gives values of the same bits on every device that computes in float32; a phone's GPU
computes in float16 unless told otherwise. `zoo.runtime.vulkan` chooses the device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from zoo.errors import ZooError, one_line
from zoo.io.stderr import captured
from zoo.runtime import vulkan
from zoo.runtime.interpreter import details, operators
from zoo.runtime.net import Net
from zoo.schema.measurement import Accelerator, Placement

_REFUSED = "Following operations are not supported by GPU delegate:"
_SOME = re.compile(r"(\d+) operations will run on the GPU, and the remaining (\d+) operations")
_NONE = re.compile(r"No operations will run on the GPU, and all (\d+) operations")


class GpuNet(Net):
    """A network on the GPU engine; operators that it refuses run on the CPU."""

    def __init__(self, content: bytes, where: object):
        super().__init__(*details(content, where))
        self._compiled, self._placement = _compile(content, where)
        self._inputs = self._compiled.create_input_buffers(0)
        self._outputs = self._compiled.create_output_buffers(0)

    def set_inputs(self, values: Sequence[np.ndarray]) -> None:
        """Sets the input tensors from arrays of their shapes and dtypes."""
        for buffer, value in zip(self._inputs, values, strict=True):
            buffer.write(np.ascontiguousarray(value))

    def invoke(self) -> None:
        """Runs one inference on the inputs that were set."""
        self._compiled.run_by_index(0, self._inputs, self._outputs)

    def get_outputs(self) -> list[np.ndarray]:
        """Returns the output tensors in their dtypes."""
        values = []
        for buffer, each in zip(self._outputs, self.output_details, strict=True):
            shape = tuple(int(side) for side in each["shape"])
            values.append(buffer.read(int(np.prod(shape)), each["dtype"]).reshape(shape))
        return values

    def placement(self) -> Placement:
        """Returns how many operators of the graph run on the GPU, and which ones it refused."""
        return self._placement


def load(content: bytes, where: object) -> GpuNet:
    """Loads any `.tflite`.

    Args:
        content: Content of the file, whose hash must have been checked.
        where: Name of the file, shown in error messages.

    Raises:
        ZooError: if there is no Vulkan device, or the engine cannot load the file.
    """
    return GpuNet(content, where)


def placement(content: bytes, where: object) -> Placement:
    """Returns how many operators of any `.tflite` run on the GPU, and which ones it refused.

    Arguments and errors as in `load`.
    """
    return _compile(content, where)[1]


def _compile(content: bytes, where: object) -> tuple[Any, Placement]:
    device = vulkan.prepare()
    from ai_edge_litert import compiled_model as litert

    gpu, cpu = litert.HardwareAccelerator.GPU, litert.HardwareAccelerator.CPU
    with captured() as said:
        try:
            options = litert.Options(hardware_accelerators=gpu | cpu)
            compiled = litert.CompiledModel.from_buffer(content, options=options)
        except (RuntimeError, ValueError) as error:
            raise ZooError(
                "LiteRT's GPU engine cannot load this .tflite",
                where=where,
                got=f"{one_line(error, 200)}; {_last_error(said())}",
            ) from error
        words = said()
    refused = tuple(dict.fromkeys(_refusals(words)))
    on_gpu, nodes = _counts(words, operators(content, where))
    if compiled.is_fully_accelerated() and not refused:
        on_gpu = nodes
    level = "full" if on_gpu == nodes else "partial" if on_gpu else "none"
    accelerator = Accelerator(
        name=device.name,
        driver=device.driver,
        computes_in="float16" if device.float16 else "float32",
        stand_in=device.software,
    )
    return compiled, Placement(
        level=level, nodes=nodes, delegated=on_gpu, refused=refused, accelerator=accelerator
    )


def _refusals(words: str) -> Iterator[str]:
    """Yields what the engine says about each kind of operator that it refuses."""
    lines = iter(words.splitlines())
    for line in lines:
        if _REFUSED in line:
            for reason in lines:
                if _SOME.search(reason) or _NONE.search(reason):
                    return
                # After the first sentence comes a tensor's name, another one for each operator.
                sentence, stop, _ = reason.strip().partition(". ")
                if sentence:
                    yield one_line(sentence + stop.strip(), 200)


def _counts(words: str, nodes: int) -> tuple[int, int]:
    if some := _SOME.search(words):
        return int(some[1]), int(some[1]) + int(some[2])
    if none := _NONE.search(words):
        return 0, int(none[1])
    return nodes, nodes


def _last_error(words: str) -> str:
    errors = [line for line in words.splitlines() if line.startswith("ERROR")]
    return one_line(errors[-1], 200) if errors else "no output"
