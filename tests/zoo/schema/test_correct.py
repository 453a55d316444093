"""Bits of correctly classified images: there and back, and texts that are none."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.schema import correct


@given(st.lists(st.booleans(), max_size=70))
def test_there_and_back(right):
    text = correct.encode(np.array(right, bool))
    assert correct.decode(text, len(right)).tolist() == right


def test_the_first_image_is_the_highest_bit():
    assert base64.b64decode(correct.encode(np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 1], bool))) == (
        b"\x80\x40"
    )


@pytest.mark.parametrize("text", ["AA=", "A", "é", "AAAA", ""])
def test_bits_of_another_number_of_images_are_refused(text):
    with pytest.raises(ValueError, match=r"images|base64|padding|ASCII|character"):
        correct.decode(text, 8)
