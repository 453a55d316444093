"""Encoded pictures to pixels, by Pillow: the same for training, scoring and phones.

JPEGs go through libjpeg's accurate inverse transform, Pillow's default; TensorFlow's is a faster,
coarser one. A picture's orientation (Exif) is applied, its color is brought to RGB.

A photo of many times the wanted size is decoded at a half to an eighth of its own (libjpeg's scaled
transform): in a fraction of the time, and a gray level or two from the one decoded whole.
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

MAX_PIXELS = 2**26  # 200 MB when decoded; the largest picture of ImageNet has 61 million
ZOOM = 0.875  # of the shorter side, that an evaluated picture keeps


def enough(size: float) -> int:
    """Pixels of the shorter side from which `size` can be made as from a larger picture."""
    return math.ceil(2 * size / ZOOM)


def rgb(
    data: bytes,
    name: str,
    *,
    formats: tuple[str, ...] | None = None,
    most: int = MAX_PIXELS,
    short: int | None = None,
) -> Image.Image:
    """Decodes a picture.

    Args:
        data: JPEG, PNG or whatever else Pillow reads.
        name: of the picture, for messages.
        formats: Pillow's names of those that are allowed.
        most: pixels that it may have.
        short: pixels of the shorter side that are enough, where a JPEG has at least twice as many;
            None for all that there are.

    Raises:
        ZooError: broken, of no known format, or too large when decoded.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size, which is judged below, and odd metadata
            picture = Image.open(io.BytesIO(data), formats=formats)
            width, height = picture.size
            if width * height <= most:
                if short is not None:
                    scale = short / max(1, min(width, height))
                    picture.draft(None, (math.ceil(scale * width), math.ceil(scale * height)))
                return ImageOps.exif_transpose(picture).convert("RGB")
    except Image.DecompressionBombError:
        width = height = MAX_PIXELS
    # Pillow's readers raise all of these for damaged files.
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, ArithmeticError) as error:
        expected = f"a whole {formats[0]}" if formats else "a whole JPEG or PNG"
        raise ZooError("a broken picture", where=name, expected=expected, got=error) from error
    raise ZooError(
        "a picture has too many pixels",
        where=name,
        expected=f"at most {most}",
        got=f"{height}×{width}",
    )


def central(picture: Image.Image, size: int) -> np.ndarray:
    """uint8 (size, size, 3): the middle of a picture.

    A shorter side of at most `size` is brought to it; else to size / ZOOM, or not at all where it
    has no more pixels than that.
    """
    from PIL import Image

    short = min(picture.size)
    wanted = size if short <= size else min(short, round(size / ZOOM))
    if wanted != short:
        sides = [max(wanted, round(side * wanted / short)) for side in picture.size]
        picture = picture.resize((sides[0], sides[1]), Image.Resampling.BILINEAR)
    left, top = ((side - size) // 2 for side in picture.size)
    return np.asarray(picture.crop((left, top, left + size, top + size)))


def resized_crop(
    picture: Image.Image, size: int, least: float, draw: np.random.Generator
) -> np.ndarray:
    """uint8 (size, size, 3): a random part of a picture.

    The random-resized crop of Szegedy et al. 2015, https://arxiv.org/abs/1409.4842, section 6:
    `least` to all of the area, with an aspect of 3/4 to 4/3; the middle where ten draws do not fit.
    """
    from PIL import Image

    if least >= 1:
        return central(picture, size)
    width, height = picture.size
    for _ in range(10):
        area = width * height * draw.uniform(least, 1)
        aspect = np.exp(draw.uniform(np.log(3 / 4), np.log(4 / 3)))
        w, h = (max(1, round(float(np.sqrt(area * a)))) for a in (aspect, 1 / aspect))
        if w <= width and h <= height:
            left, top = draw.integers(width - w + 1), draw.integers(height - h + 1)
            box = (float(left), float(top), float(left + w), float(top + h))
            found = picture.resize((size, size), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
            return np.asarray(found)
    return central(picture, size)
