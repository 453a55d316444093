"""Differences of logits, and signal-to-noise ratios, against hand-made numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from converters.parity.difference import compare, sqnr_db
from zoo.errors import ZooError


def test_difference_of_hand_made_logits():
    reference = np.array([[10.0, 13.0], [20.0, 17.0]])
    found = compare(reference, reference + np.array([[0.0, 0.3], [-4.0, 0.0]]))
    assert found.largest == pytest.approx(4)
    assert found.mean == pytest.approx(4.3 / 4)
    # About each image's mean the logits are ±1.5.
    assert found.relative == pytest.approx(math.sqrt((0.09 + 16) / 4) / 1.5)
    assert found.sqnr_db == pytest.approx(-20 * math.log10(found.relative))
    assert (found.agreement, found.images) == (0.5, 2)


def test_equal_logits():
    logits = np.array([[1.0, 2.0, 3.0]])
    found = compare(logits, logits)
    assert (found.largest, found.relative, found.sqnr_db) == (0, 0, math.inf)
    assert found.agreement == 1
    same = np.full((2, 3), 5.0)  # says nothing at all: any error is infinitely large
    assert compare(same, same).relative == 0
    assert compare(same, same + 1).relative == math.inf


@pytest.mark.parametrize(
    ("reference", "logits", "why"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "shape mismatch between logits and the reference"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "non-empty array"),
        (np.zeros(3), np.zeros(3), "not an array of logits"),
        (np.zeros((1, 2)), np.array([[0, np.nan]]), "non-finite values in the file's logits"),
        (np.array([[0, np.inf]]), np.zeros((1, 2)), "non-finite values in the reference's logits"),
    ],
)
def test_what_can_not_be_compared(reference, logits, why):
    with pytest.raises(ZooError, match=why):
        compare(reference, logits)


LOGITS = arrays.arrays(np.float64, (3, 4), elements=st.integers(-50, 50).map(float))


@given(LOGITS, LOGITS, st.sampled_from([0.25, 3.0, 100.0]), st.integers(-1000, 1000))
def test_relative_error_knows_no_unit_and_no_offset(reference, error, factor, offset):
    plain = compare(reference, reference + error)
    moved = compare(factor * reference + offset, factor * (reference + error) + offset)
    assert moved.relative == pytest.approx(plain.relative, rel=1e-9, abs=1e-12)
    assert moved.largest == pytest.approx(factor * plain.largest)
    assert moved.agreement == plain.agreement


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_sqnr_of_uniform_quantization(bits):
    # The textbook's 6.02 dB a bit, for a signal that is uniform over the quantizer's whole range.
    signal = np.random.default_rng(1).uniform(-1, 1, 200_000)
    step = 2.0 ** (1 - bits)
    quantized = (np.floor(signal / step) + 0.5) * step
    assert sqnr_db(signal, quantized) == pytest.approx(20 * math.log10(2) * bits, abs=0.05)


def test_sqnr_at_the_edges():
    ones, zeros = np.ones((2, 2)), np.zeros((2, 2))
    assert sqnr_db(ones, ones) == sqnr_db(zeros, zeros) == math.inf
    assert sqnr_db(zeros, ones) == -math.inf
    assert sqnr_db(ones, zeros) == 0
    assert math.isnan(sqnr_db(ones, np.full((2, 2), np.nan)))
