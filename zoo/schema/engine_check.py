"""EngineCheck: what an engine of this computer computes of a file, against LiteRT's XNNPACK."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from zoo.schema.base import Strict
from zoo.schema.measurement import Configuration, Device, Placement, Record


class WrongOperator(Strict):
    """The first operator whose output departs, while its inputs do not.

    Attributes:
        index: Position in the graph.
        operator: Its name, for example `CONV_2D`.
        layer: Layers that it computes, for display.
        options: Its options, and the type and shape of each tensor.
        sqnr_db: Signal-to-noise ratio of its output in dB; None if values are not finite, or
            zeros on the CPU.
    """

    index: int
    operator: str
    layer: str
    options: str
    sqnr_db: float | None = None


class EngineCheck(Record):
    """A result line: one file on one engine, on images of the test split.

    Attributes:
        precision: Precision of the file.
        dataset: Dataset of the images.
        images: Number of images; 0 if the engine could not run the file.
        test_images: Size of the test split that they were chosen from.
        method: Version of what is compared and how, see `converters.parity.evidence`.
        device: This computer.
        configuration: The engine, its version and delegate.
        placement: Where the operators ran; None if the engine could not tell.
        agreement: Share of images with the same top-1 class as on the CPU.
        top1: Accuracy of the engine on these images.
        cpu_top1: Accuracy of LiteRT's XNNPACK on the same images.
        cpu_version: Version of LiteRT, whose XNNPACK is compared with.
        sqnr_db: Signal-to-noise ratio of the outputs in dB; None if equal or not finite.
        largest_difference: Largest difference of a dequantized output.
        first_wrong: First operator whose output departs, if the outputs do.
        beyond_float16: Tensor → its largest absolute value, of those that leave float16's range.
        valid: Whether the engine computed all images.
        reasons: Empty if the engine computes what the CPU does.
    """

    kind: Literal["engine"] = "engine"
    precision: str
    dataset: str
    images: int = Field(ge=0)
    test_images: int = Field(ge=0)
    method: int
    device: Device
    configuration: Configuration
    placement: Placement | None = None
    agreement: float | None = None
    top1: float | None = None
    cpu_top1: float | None = None
    cpu_version: str = ""
    sqnr_db: float | None = None
    largest_difference: float | None = None
    first_wrong: WrongOperator | None = None
    beyond_float16: dict[str, float] = Field(default_factory=dict)
    valid: bool
    reasons: tuple[str, ...] = ()
