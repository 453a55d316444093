"""Brings images to a network's input size, the same way in training and in applications.

The images of some datasets all have the same small size: their pixels are repeated an integer
number of times, then padded with zeros. Images of other datasets are scaled and center-cropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.data import decode
from zoo.errors import ZooError

if TYPE_CHECKING:
    from PIL import Image

# Height and width of the images of a dataset; images of datasets not listed vary in size.
OWN_SIZES = {"fashion_mnist": 28, "digits": 8, "cifar10_jpeg": 32, "cifar10": 32, "cifar100": 32}


def fitted(image: Image.Image, dataset: str, size: int, channels: int) -> np.ndarray:
    """Prepares an image of any size for a network that was trained on `dataset`.

    Args:
        image: RGB or gray image.
        dataset: Dataset the network was trained on; an unknown name is treated as a dataset of
            images of varying size.
        size: Height and width of the network's input in pixels.
        channels: 1 for gray (ITU-R BT.601 luma), 3 for RGB.

    Returns:
        Pixels, uint8 (size, size, channels), not normalized.
    """
    image = image.convert("L" if channels == 1 else "RGB")
    native_size = OWN_SIZES.get(dataset)
    if native_size is None:
        pixels = decode.central(image, size)
        return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
    pixels = np.asarray(_square(image, native_size))
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    return enlarged(pixels[np.newaxis], size)[0][0]


def enlarged(images: np.ndarray, size: int) -> tuple[np.ndarray, str]:
    """Repeats pixels an integer number of times, then pads with zeros to size × size.

    Args:
        images: uint8 (n, height, width, channels), square.
        size: Height and width of the result in pixels.

    Returns:
        The images, uint8 (n, size, size, channels), and the steps in words.

    Raises:
        ZooError: if `size` is smaller than the images.
    """
    native_size = images.shape[1]
    if size < native_size:
        raise ZooError(
            "the image size is smaller than the dataset's images",
            where="--image_size",
            expected=f"at least {native_size}",
            got=size,
        )
    factor = size // native_size
    if factor > 1:
        images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    before = (size - native_size * factor) // 2
    after = size - native_size * factor - before
    images = np.pad(images, ((0, 0), (before, after), (before, after), (0, 0)))
    steps = [f"{native_size}×{native_size} image"]
    if factor > 1:
        steps.append(f"each pixel repeated {factor}×{factor} times")
    if before or after:
        steps.append(f"padded with zeros by {before} before and {after} after on both axes")
    return images, ", ".join([*steps, f"giving {size}×{size}"])


def central_in_words(size: int) -> str:
    """Describes `zoo.data.decode.central` in words, for manifests."""
    return (
        f"shorter side resized to {round(size / decode.ZOOM)} pixels if it is longer, or to {size}"
        f" if shorter than {size} (bilinear, antialiased); then the central {size}×{size} crop"
    )


def _square(image: Image.Image, size: int) -> Image.Image:
    """Scales the largest central square to size × size; an image of that size is not resampled."""
    from PIL import Image

    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = ((full - side) // 2 for full in image.size)
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BILINEAR, box)
