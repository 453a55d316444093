"""Converting a network whose weights are first put on grids for a wanted container's size."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tf_keras

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.rate_distortion import write
from converters.rate_distortion.search import Search
from zoo.data.dataset import Dataset
from zoo.io.log import Log

IMAGES = 2000  # that say how much each layer matters


def pictures(dataset: Dataset) -> np.ndarray:
    """Training images at even distances, normalized; no labels."""
    count = len(dataset.train)
    chosen = np.linspace(0, count - 1, min(count, IMAGES)).astype(int)
    return dataset.normalize(dataset.train.images[chosen])


class RateConversions(Conversions):
    """As `Conversions`; the float32 file is quantized for rate and distortion before all else.

    Integer precisions store the codes themselves. The size is that of the float32 file's container;
    those of other precisions are within a few percent of it.

    Args:
        model: functional, one image in, logits out.
        calibration: for `int8` and `int16x8`.
        images: (n, height, width, channels) as the network takes them; no labels are needed.
        ratio: size of the float32 `.tflite` over that of the container.
        measure: the container's size of a float32 flatbuffer, with all that is added to it later.
        log: gets the lines of progress.
    """

    def __init__(
        self,
        model: tf_keras.Model,
        calibration: Calibration,
        images: np.ndarray,
        ratio: float,
        measure: Callable[[bytes], int],
        log: Log,
    ):
        super().__init__(model, calibration)
        self._images, self._ratio, self._measure, self._say = images, ratio, measure, log
        self._grids: dict[str, Mapping[str, write.Grid]] = {}

    def flatbuffer(self, precision: str) -> bytes:
        """As `Conversions.flatbuffer`; ZooError too where no network is that small."""
        content = super().flatbuffer(precision)
        if precision not in ("dynamic_int8", "int8", "int16x8"):
            return content
        form = "floats" if precision == "dynamic_int8" else "integers"
        return write.integers(content, self._grids.get(form) or self._grids["floats"])

    def _prepared(self, content: bytes, form: str) -> bytes:
        wanted = int(len(content) / self._ratio)
        self._say(f"{self.name}: codes for a container of {wanted:,} bytes")
        search = Search(content, self._images, self.name)
        found = search.to_size(wanted, self._measure, self._say)
        self._grids[form] = found.layers
        return found.content
