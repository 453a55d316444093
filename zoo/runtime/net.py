"""A loaded `.tflite`, in whichever engine runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.schema.artifact import TensorInfo
from zoo.schema.measurement import Placement


class Net(ABC):
    """A loaded network.

    Most networks here have one input, one output and batch size 1, which `check_image` tests;
    `set_input`, `get_output` and `run` are for these.

    Attributes:
        input_details: Input tensors, in the form of an interpreter's `get_input_details`.
        output_details: Output tensors, likewise.
    """

    def __init__(self, inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]]):
        self.input_details, self.output_details = tuple(inputs), tuple(outputs)

    @abstractmethod
    def set_inputs(self, values: Sequence[np.ndarray]) -> None:
        """Sets the input tensors from arrays of their shapes and dtypes."""

    @abstractmethod
    def invoke(self) -> None:
        """Runs one inference on the inputs that were set."""

    @abstractmethod
    def get_outputs(self) -> list[np.ndarray]:
        """Returns the output tensors in their dtypes."""

    @abstractmethod
    def placement(self) -> Placement:
        """Returns how many operators of the graph run on the delegate."""

    def check_image(self, where: object) -> None:
        """Refuses anything but a single input with batch size 1 and a single output.

        Args:
            where: Name of the file, shown in the error message.

        Raises:
            ZooError: if the network has several inputs or outputs or another batch size.
        """
        inputs, outputs = self.input_details, self.output_details
        if len(inputs) != 1 or len(outputs) != 1 or list(inputs[0]["shape"][:1]) != [1]:
            raise ZooError(
                "unsupported inputs or outputs",
                where=where,
                expected="one input with batch size 1 and one output",
                got=f"{len(inputs)} inputs, {len(outputs)} outputs, "
                f"first input {inputs[0]['shape'].tolist() if inputs else 'none'}",
            )

    @property
    def input(self) -> dict[str, Any]:
        """Details of the first input."""
        return self.input_details[0]

    @property
    def output(self) -> dict[str, Any]:
        """Details of the first output."""
        return self.output_details[0]

    def set_input(self, value: np.ndarray) -> None:
        """Sets the only input from an array of its dtype, without the batch axis."""
        self.set_inputs([value[np.newaxis]])

    def get_output(self) -> np.ndarray:
        """Returns the first output in its dtype, with the batch axis."""
        return self.get_outputs()[0]

    def check_timed(self, where: object) -> None:
        """Refuses to be timed where something stands in for the accelerator.

        Raises:
            ZooError: if the time of an inference would say nothing.
        """
        device = self.placement().accelerator
        if device is not None and device.stand_in:
            raise ZooError(
                f"no latency: {device.name} is no accelerator, it stands in for one",
                where=where,
                remedy="measure on a phone with --device, or add --nolatency",
            )

    def run(self, image: np.ndarray) -> np.ndarray:
        """Runs one inference.

        Quantizes the input and dequantizes the output, as an application does.

        Args:
            image: Normalized image, float32 (height, width, channels).

        Returns:
            The output without the batch axis, float32.
        """
        self.set_input(self.quantized(image))
        self.invoke()
        return self.dequantized(self.get_output()[0])

    def quantized(self, image: np.ndarray) -> np.ndarray:
        """Converts a float32 image to the dtype of the input tensor."""
        dtype = self.input["dtype"]
        if not np.issubdtype(dtype, np.integer):
            return image.astype(dtype)
        scale, zero_point = self.input["quantization"]
        if not scale:  # an input of raw pixels, which the graph normalizes
            return image.astype(dtype)
        limits = np.iinfo(dtype)
        return np.clip(np.rint(image / scale) + zero_point, limits.min, limits.max).astype(dtype)

    def dequantized(self, value: np.ndarray) -> np.ndarray:
        """Converts a value of the output tensor to float32."""
        if not np.issubdtype(value.dtype, np.integer):
            return value.astype(np.float32)
        return _real(value, self.output)

    def run_tensors(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Runs one inference of a network with any inputs and outputs.

        Args:
            values: One array per input, of its shape and dtype.

        Returns:
            The outputs; quantized ones are dequantized to float32, other integers unchanged.
        """
        self.set_inputs(values)
        self.invoke()
        return [
            _real(value, details) if details["quantization"][0] else value
            for value, details in zip(self.get_outputs(), self.output_details, strict=True)
        ]

    def inputs(self) -> tuple[TensorInfo, ...]:
        """Describes the inputs for the manifest."""
        return tuple(map(_info, self.input_details))

    def outputs(self) -> tuple[TensorInfo, ...]:
        """Describes the outputs for the manifest."""
        return tuple(map(_info, self.output_details))


def _info(details: dict[str, Any]) -> TensorInfo:
    scale, zero_point = details["quantization"]
    integer = np.issubdtype(details["dtype"], np.integer) and scale != 0
    return TensorInfo(
        name=details["name"],
        shape=tuple(int(n) for n in details["shape"]),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(scale) if integer else None,
        zero_point=int(zero_point) if integer else None,
    )


def _real(value: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero_point = details["quantization"]
    real: np.ndarray = (value.astype(np.float32) - zero_point) * np.float32(scale)
    return real
