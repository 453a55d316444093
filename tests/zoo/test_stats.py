"""The intervals of accuracies, against SciPy's and by trial."""

import numpy as np
import pytest

from zoo.stats import paired, wilson


@pytest.mark.parametrize(("right", "count"), [(0, 10), (3, 10), (626, 1000), (1, 1)])
def test_interval_is_wilsons(right, count):
    stats = pytest.importorskip("scipy.stats")
    interval = stats.binomtest(right, count).proportion_ci(method="wilson")
    assert wilson(right / count, count) == pytest.approx((interval.low, interval.high), abs=1e-6)


@pytest.mark.parametrize("both_wrong_share", [0.03, 0.3])
def test_paired_interval_covers_the_truth(both_wrong_share):
    """About 95 of 100 samples of 500 pictures, where 2 % are gained and 5 % are lost."""
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        kind = random.choice(4, size=500, p=[0.02, 0.05, both_wrong_share, 0.93 - both_wrong_share])
        right, reference = (kind == 0) | (kind == 3), (kind == 1) | (kind == 3)
        difference, low, high = paired(right, reference)
        assert difference == pytest.approx(right.mean() - reference.mean())
        assert low < difference < high
        covered += low <= -0.03 <= high
    assert 930 <= covered <= 975


def test_paired_interval_is_narrower_than_two():
    right = np.arange(1000) < 600
    reference = np.arange(1000) < 605
    _, low, high = paired(right, reference)
    low_alone, high_alone = wilson(0.6, 1000)
    assert high - low < (high_alone - low_alone) / 3


def test_equal_networks_are_not_proven_equal():
    same = np.ones(500, bool)
    difference, low, high = paired(same, same)
    assert difference == 0
    assert -0.01 < low < 0 < high < 0.01


def test_shares_of_crops_count_by_their_part():
    random = np.random.default_rng(2)
    right, reference = random.random((2, 400, 4)) < 0.6
    by_crop = [paired(right[:, i], reference[:, i]) for i in range(4)]
    together = paired(right.mean(axis=1), reference.mean(axis=1))
    assert together[0] == pytest.approx(np.mean([each[0] for each in by_crop]))
    # Four independent crops are worth four times the pictures.
    widths = [each[2] - each[1] for each in by_crop]
    assert together[2] - together[1] == pytest.approx(np.mean(widths) / 2, rel=0.1)
