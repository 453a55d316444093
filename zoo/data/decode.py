"""Decodes images with Pillow, the same way for training, scoring and phones.

JPEGs are decoded with libjpeg's accurate inverse DCT, Pillow's default; TensorFlow uses a faster,
less accurate one. The Exif orientation is applied and colors are converted to RGB.

A photo much larger than needed is decoded at 1/2 to 1/8 of its size by libjpeg's scaled DCT. This
takes a fraction of the time and differs by a gray level or two from decoding at full size.
"""

from __future__ import annotations

import io
import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import ZooError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 2**26  # 200 MB when decoded; the largest image of ImageNet has 61 million
ZOOM = 0.875  # fraction of the shorter side that the central crop keeps in evaluation


def enough(size: float) -> int:
    """Returns the shorter side in pixels to decode for a crop of `size` pixels.

    It is twice the shorter side that `central` resizes to, so resizing from it gives nearly the
    same pixels as resizing from the full-size image.
    """
    return math.ceil(2 * size / ZOOM)


def rgb(
    data: bytes,
    name: str,
    *,
    formats: tuple[str, ...] | None = None,
    most: int = MAX_PIXELS,
    short: int | None = None,
) -> Image.Image:
    """Decodes an image.

    Args:
        data: Encoded image in any format that Pillow reads.
        name: Name of the image, shown in error messages.
        formats: Allowed formats by Pillow's names; None for all.
        most: Maximum number of pixels.
        short: Sufficient length of the shorter side in pixels. A JPEG at least twice as large is
            decoded at a reduced scale. None for full size.

    Returns:
        The image in RGB, with the Exif orientation applied.

    Raises:
        ZooError: if the image is broken, its format unknown or its number of pixels too large.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow warns of large images, which are checked below, and of odd metadata.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=formats)
            width, height = image.size
            if width * height <= most:
                if short is not None:
                    scale = short / max(1, min(width, height))
                    image.draft(None, (math.ceil(scale * width), math.ceil(scale * height)))
                return ImageOps.exif_transpose(image).convert("RGB")
    except Image.DecompressionBombError:
        width = height = MAX_PIXELS
    # Pillow's decoders raise all of these for damaged files.
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, ArithmeticError) as error:
        expected = f"a valid {formats[0]}" if formats else "a valid JPEG or PNG"
        # Pillow's own message for this names an object in memory.
        got = "no image" if isinstance(error, UnidentifiedImageError) else error
        raise ZooError("broken image", where=name, expected=expected, got=got) from error
    raise ZooError(
        "the image has too many pixels",
        where=name,
        expected=f"at most {most}",
        got=f"{height}×{width}",
    )


def central(image: Image.Image, size: int) -> np.ndarray:
    """Resizes an image and returns its central crop, uint8 (size, size, 3).

    The shorter side is enlarged to `size` if it is smaller, and reduced to size / ZOOM if it is
    larger than that. An image in between is only cropped. A gray image gives (size, size).
    """
    from PIL import Image

    short = min(image.size)
    target = size if short <= size else min(short, round(size / ZOOM))
    if target != short:
        sides = [max(target, round(side * target / short)) for side in image.size]
        image = image.resize((sides[0], sides[1]), Image.Resampling.BILINEAR)
    left, top = ((side - size) // 2 for side in image.size)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def resized_crop(
    image: Image.Image, size: int, least: float, draw: np.random.Generator
) -> np.ndarray:
    """Returns a random-resized crop, uint8 (size, size, 3).

    From Szegedy et al. 2015, https://arxiv.org/abs/1409.4842, section 6: the crop has a fraction
    between `least` and 1 of the image's area and an aspect ratio between 3/4 and 4/3. If no crop
    fits within ten draws, or `least` is 1, the central crop is returned.

    Args:
        image: RGB image.
        size: Height and width of the result in pixels.
        least: Smallest fraction of the area.
        draw: Random generator.
    """
    from PIL import Image

    if least >= 1:
        return central(image, size)
    width, height = image.size
    for _ in range(10):
        area = width * height * draw.uniform(least, 1)
        aspect = np.exp(draw.uniform(np.log(3 / 4), np.log(4 / 3)))
        w, h = (max(1, round(float(np.sqrt(area * a)))) for a in (aspect, 1 / aspect))
        if w <= width and h <= height:
            left, top = draw.integers(width - w + 1), draw.integers(height - h + 1)
            box = (float(left), float(top), float(left + w), float(top + h))
            crop = image.resize((size, size), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
            return np.asarray(crop)
    return central(image, size)
