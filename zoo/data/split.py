"""Some images and their labels, decoded or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.data.encoded_images import EncodedImages


@dataclass(frozen=True)
class Split:
    """Images uint8 (n, size, size, channels), decoded or not, and labels int32 (n,)."""

    images: np.ndarray | EncodedImages
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, which: np.ndarray) -> Split:
        """Those images, by their places here; none is decoded."""
        images = self.images
        chosen = images.part(which) if isinstance(images, EncodedImages) else images[which]
        return Split(chosen, self.labels[which])
