"""Conversion with rate–distortion quantization to a given container size."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tf_keras

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.rate_distortion import write
from converters.rate_distortion.search import Search
from zoo.catalog import precisions
from zoo.data.dataset import Dataset
from zoo.io.log import Log

IMAGES = 2000  # at most, to measure how sensitive the network is to each layer


def sample_images(dataset: Dataset) -> np.ndarray:
    """Returns up to `IMAGES` evenly spaced training images, normalized, without labels."""
    count = len(dataset.train)
    chosen = np.linspace(0, count - 1, min(count, IMAGES)).astype(int)
    return dataset.normalize(dataset.train.images[chosen])


class RateConversions(Conversions):
    """Like `Conversions`, but applies rate–distortion quantization to the float32 file first.

    Integer precisions store the codes directly. The target size is that of the float32 file's
    container; the containers of the other precisions are within a few percent of it.

    Args:
        model: Functional model, one image in, logits out.
        calibration: Images for `precisions.CALIBRATED`.
        images: Normalized images, float32 (n, height, width, channels).
        ratio: Size of the float32 `.tflite` divided by the size of its container.
        measure: Returns the container size, in bytes, of a float32 flatbuffer, including the
            metadata that is attached later.
        log: Called with progress messages.
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
        self._images, self._ratio, self._measure, self._log = images, ratio, measure, log
        self._grids: dict[str, Mapping[str, write.Grid]] = {}

    def flatbuffer(self, precision: str) -> bytes:
        """See `Conversions.flatbuffer`. Also raises ZooError if the ratio is not achievable."""
        content = super().flatbuffer(precision)
        row = precisions.precision(precision)
        if not row.stores_codes:
            return content
        form = "integers" if row.integers else "floats"
        return write.integers(content, self._grids.get(form) or self._grids["floats"])

    def _prepared(self, content: bytes, form: str) -> bytes:
        size = int(len(content) / self._ratio)
        self._log(f"{self.name}: quantizing for a container of {size:,} bytes")
        search = Search(content, self._images, self.name)
        quantized = search.to_size(size, self._measure, self._log)
        self._grids[form] = quantized.layers
        return quantized.content
