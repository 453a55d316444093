"""One split of a dataset: images with their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.data.encoded_images import EncodedImages


@dataclass(frozen=True)
class Split:
    """One split of a dataset.

    Attributes:
        images: uint8 (n, size, size, channels), as an array or decoded on access.
        labels: int32 (n,), class indices.
    """

    images: np.ndarray | EncodedImages
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, which: np.ndarray) -> Split:
        """Returns the images at the given indices of this split, without decoding any."""
        images = self.images
        selected = images.part(which) if isinstance(images, EncodedImages) else images[which]
        return Split(selected, self.labels[which])
