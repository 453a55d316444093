"""What the central types compute."""

import random
import statistics

from zoo.schema.measurement import Latency


def latency(**changes):
    values = {
        "runs": 10, "processes": 1, "init_us": 5, "first_us": 9, "avg_us": 4, "min_us": 3,
        "max_us": 8, "std_us": 1, "median_us": 4,
    }  # fmt: skip
    return Latency.model_validate({**values, **changes})


def test_latency_over_processes_sums_runs_and_takes_medians():
    parts = [latency(runs=50, avg_us=a, median_us=m) for a, m in ((4, 3), (90, 70), (5, None))]
    merged = Latency.over_processes(parts)
    assert (merged.runs, merged.processes) == (150, 3)
    assert merged.avg_us == 5
    assert merged.median_us is None  # one process did not say
    assert merged.typical_us == 5
    assert merged.interval_us == (4, 90), "of what the typical time is taken from"


def test_the_interval_of_the_median_over_processes():
    draw = random.Random(2)
    covered = 0
    for _ in range(100):
        times = [100 * draw.lognormvariate(0, 0.1) for _ in range(15)]
        interval = Latency.over_processes([latency(median_us=t) for t in times]).interval_us
        assert interval is not None
        low, high = interval
        assert min(times) <= low <= statistics.median(times) <= high <= max(times)
        covered += low <= 100 <= high
    assert 88 <= covered <= 100, "the true median, 95 times of 100"
    assert Latency.over_processes([latency(), latency()]).interval_us is None
