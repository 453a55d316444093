"""Decoding real photographs, made as large as a phone's camera makes them."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PICTURES
from zoo.data import decode
from zoo.errors import ZooError


@pytest.fixture(scope="module")
def photo():
    if not PICTURES.is_file():
        pytest.skip(f"{PICTURES} is not there")
    with tarfile.open(PICTURES) as tar:
        member = next(each for each in tar if each.isfile())
        small = Image.open(tar.extractfile(member)).convert("RGB")
    return small.resize((2400, 1800), Image.Resampling.BICUBIC)


def encoded(picture, form="JPEG", **more):
    out = io.BytesIO()
    picture.save(out, form, **more)
    return out.getvalue()


@pytest.mark.parametrize("size", [32, 96, 224])
def test_a_large_photo_is_decoded_small_and_looks_the_same(photo, size):
    data = encoded(photo, quality=92)
    whole, small = decode.rgb(data, ""), decode.rgb(data, "", short=decode.enough(size))
    assert whole.size == (2400, 1800)
    assert decode.enough(size) <= small.height < max(2 * decode.enough(size), 226)  # an eighth
    one, other = (decode.central(each, size).astype(int) for each in (whole, small))
    assert np.abs(one - other).mean() < 0.5
    assert np.abs(one - other).max() <= 6


def test_what_is_not_many_times_larger_is_decoded_whole(photo):
    data = encoded(photo)
    for short in (901, 1800, 5000):
        assert decode.rgb(data, "", short=short).size == (2400, 1800)
    assert decode.rgb(data, "", short=900).size == (1200, 900)
    assert decode.rgb(encoded(photo, "PNG", compress_level=1), "", short=10).size == (2400, 1800)


def test_gray_colors_of_print_and_a_phone_held_upright(photo):
    turned = Image.Exif()
    turned[0x0112] = 6
    upright = decode.rgb(encoded(photo, exif=turned), "", short=100)
    assert upright.size == (225, 300)
    for mode in ("L", "CMYK"):
        found = decode.rgb(encoded(photo.convert(mode)), "", short=100)
        assert (found.mode, found.size) == ("RGB", (300, 225))


def test_a_cut_off_photo_is_broken_at_any_size(photo):
    data = encoded(photo)
    for short in (None, 1, 500):
        with pytest.raises(ZooError, match=r"broken image.*a photo"):
            decode.rgb(data[: len(data) * 3 // 4], "a photo", short=short)
