"""A loaded `.tflite` with one input, one output and batch size 1, in whichever engine runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.schema.artifact import TensorInfo
from zoo.schema.measurement import Placement


class Net(ABC):
    """A loaded network.

    Attributes:
        input: Details of the input tensor, in the form of an interpreter's `get_input_details`.
        output: Details of the output tensor, likewise.

    Args:
        inputs: Details of all inputs.
        outputs: Details of all outputs.
        where: Name of the file, shown in error messages.

    Raises:
        ZooError: if the network has several inputs or outputs or another batch size.
    """

    def __init__(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], where: object):
        if len(inputs) != 1 or len(outputs) != 1 or list(inputs[0]["shape"][:1]) != [1]:
            raise ZooError(
                "unsupported inputs or outputs",
                where=where,
                expected="one input with batch size 1 and one output",
                got=f"{len(inputs)} inputs, {len(outputs)} outputs, "
                f"first input {inputs[0]['shape'].tolist() if inputs else 'none'}",
            )
        self.input, self.output = inputs[0], outputs[0]

    @abstractmethod
    def set_input(self, value: np.ndarray) -> None:
        """Sets the input tensor from an array of its dtype, without the batch axis."""

    @abstractmethod
    def invoke(self) -> None:
        """Runs one inference on the input that was set."""

    @abstractmethod
    def get_output(self) -> np.ndarray:
        """Returns the output tensor in its dtype, with the batch axis."""

    @abstractmethod
    def placement(self) -> Placement:
        """Returns how many operators of the graph run on the delegate."""

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
        scale, zero_point = self.output["quantization"]
        return (value.astype(np.float32) - zero_point) * np.float32(scale)

    def inputs(self) -> tuple[TensorInfo, ...]:
        """Describes the inputs for the manifest."""
        return (_info(self.input),)

    def outputs(self) -> tuple[TensorInfo, ...]:
        """Describes the outputs for the manifest."""
        return (_info(self.output),)


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
