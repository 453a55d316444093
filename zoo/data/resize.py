"""How pictures get the size that a network takes; the same for training and for applications.

Sets of small pictures have one size of their own: pixels are repeated a whole number of times, then
zeros are padded to the network's input. Others are scaled, and the middle is cut out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.data import decode
from zoo.errors import ZooError

if TYPE_CHECKING:
    from PIL import Image

# Data set → height and width of its pictures; sets that are not here have pictures of any size.
OWN_SIZES = {"fashion_mnist": 28, "digits": 8, "cifar10_jpeg": 32, "cifar10": 32, "cifar100": 32}


def fitted(picture: Image.Image, dataset: str, size: int, channels: int) -> np.ndarray:
    """uint8 (size, size, channels): any picture, as the network of a data set wants it.

    Args:
        picture: RGB or gray.
        dataset: what the network was trained on; a name that is not known has any size.
        size: height and width of the network's input.
        channels: 1 for gray (ITU-R 601), 3 for RGB.
    """
    picture = picture.convert("L" if channels == 1 else "RGB")
    own = OWN_SIZES.get(dataset)
    if own is None:
        pixels = decode.central(picture, size)
        return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
    pixels = np.asarray(_square(picture, own))
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    return enlarged(pixels[np.newaxis], size)[0][0]


def enlarged(images: np.ndarray, size: int) -> tuple[np.ndarray, str]:
    """Repeats pixels a whole number of times, then pads with zeros to size × size.

    Args:
        images: uint8 (n, own, own, c).
        size: height and width wanted.

    Returns:
        The images, and what was done in words.

    Raises:
        ZooError: it is smaller than the images are.
    """
    own = images.shape[1]
    if size < own:
        raise ZooError(
            "image size below the data set's own",
            where="--image_size",
            expected=f"at least {own}",
            got=size,
        )
    factor = size // own
    if factor > 1:
        images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    before = (size - own * factor) // 2
    after = size - own * factor - before
    images = np.pad(images, ((0, 0), (before, after), (before, after), (0, 0)))
    steps = [f"{own}×{own} image"]
    if factor > 1:
        steps.append(f"each pixel repeated {factor}×{factor} times")
    if before or after:
        steps.append(f"padded with zeros by {before} before and {after} after on both axes")
    return images, ", ".join([*steps, f"giving {size}×{size}"])


def central_in_words(size: int) -> str:
    """What `decoding.central` does."""
    return (
        f"shorter side to {round(size / decode.ZOOM)} pixels, bilinear and antialiased, unless it"
        f" is between {size} and that; one below {size} to {size}; then the central {size}×{size}"
    )


def _square(picture: Image.Image, size: int) -> Image.Image:
    """The largest square in the middle, brought to size × size; one of that size stays as it is."""
    from PIL import Image

    if picture.size == (size, size):
        return picture
    side = min(picture.size)
    left, top = ((full - side) // 2 for full in picture.size)
    box = (left, top, left + side, top + side)
    return picture.resize((size, size), Image.Resampling.BILINEAR, box)
