"""Both lines of the tool and every delegate on virtual phones: a fall-back is a failed row."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.android_bench.conftest import Bench, left_on
from tests.virtual_phone import stand_in_binary

LIBRARY = "/data/local/tmp/libQnnTFLiteDelegate.so"


@pytest.fixture(scope="module")
def litert(every_bench: Bench) -> Bench:
    """A bench whose binary is LiteRT 2's tool."""
    binary = stand_in_binary(every_bench.binary.parent, "lit", tool="litert")
    return replace(every_bench, binary=binary)


def test_the_litert_line(litert: Bench):
    with litert.phone(litert=True, slow_ms=0.0) as phone:
        rows = litert.measure(phone, "xnnpack", "gpu", "none")
        assert left_on(phone) == []
    assert {row.configuration.runtime for row in rows} == {"litert_benchmark_model"}
    xnnpack, gpu, none = rows
    assert xnnpack.valid and gpu.valid, (xnnpack.reasons, gpu.reasons)
    for row in (xnnpack, gpu):
        assert row.latency is not None and row.latency.runs >= 3 and row.latency.avg_us > 0
        assert row.placement is not None and row.placement.level == "full"
        assert (row.placement.nodes, row.placement.delegated) == (3, 3)
    assert gpu.state_after["gpu_backend"] == "OpenCL"
    assert not none.valid and "--tool=tflite" in none.reasons[0]


@pytest.mark.parametrize(
    ("gpu", "reason"),
    [
        ("silent_cpu", "GPU accelerator could not be loaded and registered"),
        ("refused", "Failed to compile model"),
    ],
)
def test_the_litert_line_without_a_gpu(litert: Bench, gpu: str, reason: str):
    with litert.phone(gpu=gpu) as phone:
        (row,) = litert.measure(phone, "gpu")
    assert not row.valid and row.latency is None
    assert reason in row.reasons[0]


def test_the_litert_line_with_a_part_on_the_gpu(litert: Bench):
    with litert.phone(gpu="partial") as phone:
        (row,) = litert.measure(phone, "gpu")
    assert row.valid and row.placement is not None
    assert (row.placement.level, row.placement.nodes, row.placement.delegated) == ("partial", 3, 2)


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        pytest.param("full", None, marks=pytest.mark.slow),
        ("partial", None),
        pytest.param(
            "nothing",
            "took none of the nodes; the model ran on the CPU",
            marks=pytest.mark.slow,
        ),
        ("refused", "Failed to apply {} delegate"),
        ("silent_cpu", "the CPU"),
    ],
)
def test_other_delegates(bench: Bench, does: str, reason: str | None):
    delegates = ("nnapi", f"external:{LIBRARY}?backend_type:htp")
    with bench.phone(nnapi=does, external=does) as phone:
        phone.path(LIBRARY).write_bytes(b"a library")
        rows = bench.measure(phone, *delegates)
    for row, delegate, name in zip(rows, delegates, ("NNAPI", "EXTERNAL"), strict=True):
        assert row.configuration.delegate == delegate
        assert row.configuration.runtime == "benchmark_model"
        assert row.placement is not None
        if reason is None:
            assert row.valid and row.placement.level == does
        else:
            assert not row.valid and reason.format(name) in row.reasons[0]


def test_a_library_that_is_not_on_the_phone(bench: Bench):
    """The real tool says nothing, takes the CPU and exits with 0."""
    with bench.phone(litert=True, slow_ms=0.0) as phone:  # it exports where nodes ran
        row, plain = bench.measure(phone, f"external:{LIBRARY}", "cpu")
        runs = phone.benchmarks()
    assert [run["status"] for run in runs] == [0, 0]
    assert "--use_xnnpack=false" in str(runs[1]["arguments"])
    assert plain.valid and plain.placement is not None and plain.placement.level == "none"
    assert not row.valid and "took none of the nodes; the model ran on the CPU" in row.reasons[0]
    assert Path(LIBRARY).name in row.reasons[0]
