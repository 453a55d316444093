"""Which images a model classified correctly, as a short text: one bit per image, in base64."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

if TYPE_CHECKING:
    import numpy as np

# The text of `encode`; long enough for ten million images.
CorrectBits = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=2 * 2**20)]


def encode(correct: np.ndarray) -> str:
    """Returns bool (n,) as base64 of `numpy.packbits`: the first image is the highest bit."""
    import numpy as np

    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def decode(text: str, images: int) -> np.ndarray:
    """Returns whether each image was classified correctly, bool (images,).

    Raises:
        ValueError: if the text is not base64, or has another number of images.
    """
    import numpy as np

    packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    if len(packed) != -(-images // 8):
        raise ValueError(f"expected bits of {images} images, got {len(packed)} bytes")
    return np.unpackbits(packed, count=images).astype(bool)
