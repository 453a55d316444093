"""The benchmark tool crashes, hangs, refuses a delegate or is missing: which cases fail."""

import dataclasses

import pytest

from android_bench.session.session import measure_on_phone
from android_bench.tools.binary import benchmark_binary
from tests.android_bench.conftest import SHORT, Bench, left_on, only_reason
from tests.virtual_phone import VirtualPhone
from zoo.io.provenance import Provenance
from zoo.schema.measurement import Measurement


@pytest.mark.parametrize("code", [137, pytest.param(139, marks=pytest.mark.slow)])
def test_a_crash_fails_its_case_only(bench: Bench, code: int):
    with bench.phone() as phone:
        rows = measure_one_by_one(bench, phone, first={"crash_exit": code}, then={})
        assert left_on(phone) == []
    assert f"exit code {code}" in only_reason(rows[0])
    assert rows[1].valid


def measure_one_by_one(
    bench: Bench, phone: VirtualPhone, first: dict[str, object], then: dict[str, object]
) -> list[Measurement]:
    """Two cases, with another behavior of the tool in each."""
    phone.set_benchmark(**first)

    def progress(line: str) -> None:
        if ": 2/2" in line:
            phone.set_benchmark(**then)

    return bench.measure(phone, "none", "none", log=progress)


def test_statistics_of_a_failed_run_do_not_count(bench: Bench):
    with bench.phone(fail_invoke=True) as phone:
        (row,) = bench.measure(phone, "none")
    assert "exit code 1" in only_reason(row)


@pytest.mark.parametrize(
    ("gpu", "reason"),
    [("refused", "Failed to apply GPU delegate"), ("silent_cpu", "the model ran on the CPU")],
)
def test_no_gpu(bench: Bench, gpu: str, reason: str):
    with bench.phone(gpu=gpu) as phone:
        rows = bench.measure(phone, "gpu", "xnnpack")
    assert reason in only_reason(rows[0])
    assert rows[1].valid


def test_a_part_on_the_gpu(bench: Bench):
    with bench.phone(gpu="partial", gpu_partitions=2) as phone:
        (row,) = bench.measure(phone, "gpu")
    assert row.valid and row.placement is not None
    assert (row.placement.level, row.placement.partitions) == ("partial", 2)


def test_a_run_without_end_is_killed(bench: Bench):
    with bench.phone() as phone:

        def stuck() -> None:
            bench.clock.skip(SHORT.timeout_s)
            phone.wait_for_end(r"--graph=")

        bench.during_run(phone, stuck)
        (row,) = bench.measure(phone, "none")
        assert left_on(phone) == []
        assert phone.benchmarks() == [], "it did not end by itself"
    assert "killed on the phone" in only_reason(row)


def test_an_unknown_delegate_fails_its_case_only(bench: Bench):
    with bench.phone() as phone:
        rows = bench.measure(phone, "npu", "none")
    assert "npu" in only_reason(rows[0]) and rows[1].valid


def test_a_model_that_is_gone_fails_its_case_only(bench: Bench):
    tasks = bench.tasks("none", "none")
    path = bench.model.with_name("gone.tflite")
    gone = dataclasses.replace(tasks[0].case, path=path, model="gone", sha256="0" * 64)
    with bench.phone() as phone:
        rows = bench.processes(phone, [dataclasses.replace(tasks[0], case=gone), tasks[1]])
    assert "cannot read" in only_reason(rows[0]) and rows[1].valid


def test_no_benchmark_binary_fails_every_case(bench: Bench):
    with bench.phone(properties={"ro.product.cpu.abi": "mips"}) as phone:
        rows = list(
            measure_on_phone(
                bench.adb, phone.serial, bench.tasks("none", "gpu"),
                lambda abi: benchmark_binary(None, abi, bench.binary.parent), Provenance((), {}),
                SHORT,
            )
        )  # fmt: skip
        assert left_on(phone) == []
    for row in rows:
        assert "mips" in only_reason(row) and "--benchmark_binary" in row.reasons[0]
        assert row.device.name == "Virtual VP865"
