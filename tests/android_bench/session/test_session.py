"""Measuring over the real adb client on virtual phones, undisturbed and disturbed."""

import contextlib
import dataclasses
import json
import os
import threading

import pytest

from android_bench.phone.phone import ROOT, Phone
from android_bench.session.session import attached_phones, measure_on_phone
from android_bench.tools.binary import benchmark_binary
from tests.android_bench.conftest import SHORT, Bench, bench_of, left_on
from tests.virtual_phone import AdbServer, VirtualPhone
from zoo.errors import ZooError
from zoo.io.files import sha256_of
from zoo.io.provenance import Provenance
from zoo.schema.device import device_id
from zoo.schema.measurement import RESULT, Measurement

RETRY_S = 0.5  # between two tries to reach a lost phone: `link._RETRY_EVERY_S`


def only_reason(row: Measurement) -> str:
    assert not row.valid and row.latency is None
    assert len(row.reasons) == 1
    return row.reasons[0]


# Undisturbed


def test_the_whole_path(bench: Bench):
    lines: list[str] = []
    with bench.phone(litert=True, slow_ms=0.0) as phone:
        rows = bench.measure(phone, "none", "xnnpack", "gpu", log=lines.append)
        runs = phone.benchmarks()
        pushed = [entry.text for entry in phone.log if entry.kind == "push"]
        assert left_on(phone) == []
    assert [row.configuration.delegate for row in rows] == ["none", "xnnpack", "gpu"]
    assert [row.placement and row.placement.level for row in rows] == ["none", "full", "full"]
    assert len(runs) == 3
    assert len(pushed) == 2, "the tool and the model are pushed once, not for each case"
    # By the file that the tool exports: how many nodes of the graph, and in how many parts.
    nodes = {row.placement.nodes for row in rows if row.placement}
    assert len(nodes) == 1 and nodes != {None}
    assert [row.placement and row.placement.delegated for row in rows] == [0, *nodes, *nodes]
    for row in rows:
        assert row.valid and row.reasons == ()
        assert row.latency is not None and row.latency.runs >= 12 and row.latency.avg_us > 0
        assert row.device.id == device_id(phone.serial) and row.device.name == "Virtual VP865"
        assert row.device.details["abi"] == "arm64-v8a"
        assert "cores 7 @ 2841600 kHz" in row.device.details["clusters"]
        assert row.configuration.runtime_version == f"sha256:{sha256_of(bench.binary)[:12]}"
        assert row.state_before["battery_percent"] == "80"
        assert row.state_before["powered"] == "USB"
        assert row.state_after["thermal_status"] == "0 (none)"
        assert RESULT.validate_json(row.model_dump_json()) == row
    assert sum("tiny float32" in line for line in lines) == 3


def test_medians_over_processes(bench: Bench):
    with bench.phone() as phone:
        (row,) = bench.measure(phone, "none", processes=3)
        assert len(phone.benchmarks()) == 3
    assert row.latency is not None and row.latency.processes == 3 and row.latency.runs >= 36


def test_one_phone_by_cable_and_by_wifi_is_one(bench: Bench):
    serial = "R58M12ABCDE"
    with bench.phone(properties={"ro.serialno": serial}) as phone:
        (row,) = bench.measure(phone, "none")
        assert row.device.id == device_id(serial) != device_id(phone.serial)
        assert serial not in row.model_dump_json()
        phone.set_property("ro.serialno", "unknown")
        (other,) = bench.measure(phone, "none")
    assert other.device.id == device_id(phone.serial)


def test_serials_stay_secret(bench: Bench):
    with bench.phone(auth="unauthorized") as other, bench.phone() as phone:
        command = ("benchmark", f"--phone={phone.serial},{other.serial}")
        rows = bench.measure(phone, "none", provenance=Provenance(command, {}))
        phone.unplug()
        bench.clock.hurry()
        rows += bench.measure(phone, "none", provenance=Provenance(command, {}))
        text = "".join(row.model_dump_json() for row in rows)
        assert [row.valid for row in rows] == [True, False]
        assert phone.serial not in text and other.serial not in text
        assert f"--phone={device_id(phone.serial)},{device_id(other.serial)}" in text


def test_android_6(bench: Bench):
    with bench.phone(shell_v2=False, build_percentiles=False, android_release="6.0.1") as phone:
        rows = bench.measure(phone, "none", "gpu")
        assert left_on(phone) == []
    assert [row.valid for row in rows] == [True, True]
    assert rows[0].latency is not None and rows[0].latency.median_us is None


def test_a_phone_that_tells_little(bench: Bench):
    nodes = [f"/sys/devices/system/cpu/cpufreq/policy{p}/scaling_cur_freq" for p in (0, 4, 7)]
    with bench.phone(
        thermal_service=False, dumpsys={"battery": None}, denied=tuple(nodes)
    ) as phone:
        (row,) = bench.measure(phone, "none")
    assert row.valid
    # Without root to make namespaces, the nodes of the virtual phone can be read all the same.
    denied = "unknown" if phone.sandbox == "namespace" else row.state_before["big_core_khz"]
    assert row.state_before == {
        "battery_percent": "unknown",
        "battery_c": "unknown",
        "powered": "unknown",
        "battery_readings": "unknown",
        "thermal_status": "unknown",
        "skin_c": "unknown",
        "gpu_thermal_level": "0",
        "big_core_khz": denied,
        "big_core_limit_khz": "2841600",
        "limits_khz": "1804800 2419200 2841600",
    }


# The tool fails: that case only


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


# The phone fails


def test_unauthorized(bench: Bench):
    with bench.phone(auth="unauthorized") as phone:
        before_s = bench.clock.now()
        rows = bench.measure(phone, "none", "gpu")
        assert bench.clock.now() - before_s < SHORT.tolerance_s, "no waiting for what can't help"
    assert len(rows) == 2
    for row in rows:
        assert "unauthorized" in only_reason(row) and "USB debugging prompt" in row.reasons[0]
        assert row.device.id == device_id(phone.serial)


def test_never_attached(bench: Bench):
    with bench.phone() as phone:
        phone.unplug()
        bench.clock.hurry()
        rows = bench.measure(phone, "none", "none")
    assert len(rows) == 2
    assert "not found" in only_reason(rows[0]) or "offline" in only_reason(rows[0])


def test_offline_from_the_start(bench: Bench):
    with bench.phone() as phone:
        phone.go_offline()
        assert bench.server.run("-s", phone.serial, "wait-for-disconnect").returncode == 0
        bench.clock.hurry()
        rows = bench.measure(phone, "none", "none")
    assert len(rows) == 2
    for row in rows:
        assert "offline" in only_reason(row) or "not found" in only_reason(row)


def test_frozen_from_the_start(bench: Bench):
    with bench.phone() as phone:
        phone.freeze()
        bench.clock.hurry()
        rows = bench.measure(phone, "none", "none", "none")
        phone.thaw()
    assert len(rows) == 3
    for row in rows:
        assert only_reason(row)


def test_unplugged_in_mid_run(bench: Bench):
    with bench.phone() as phone, bench.phone() as second:

        def leave() -> None:
            phone.unplug()
            bench.clock.hurry()

        bench.during_run(phone, leave)
        rows = bench.measure(phone, "none", "xnnpack", "gpu")
        pauses = bench.clock.pauses
        bench.clock.normal()
        rows += bench.measure(second, "none")
    assert [row.valid for row in rows] == [False, False, False, True]
    assert "phone lost during the run" in only_reason(rows[0])
    for row in rows[1:3]:
        assert "not measured" in only_reason(row)
    # Once for the run and once for the rest, which is not waited for one by one.
    whole_s = SHORT.tolerance_s + SHORT.recovery_s
    assert sum(pause for pause in pauses if pause <= RETRY_S) <= 2 * whole_s


def test_a_short_absence_is_survived(bench: Bench):
    with bench.phone() as phone:

        def away() -> None:
            phone.unplug()
            bench.clock.wait_for_pause(RETRY_S)  # it was looked for in vain
            phone.plug()

        bench.during_run(phone, away)
        (row,) = bench.measure(phone, "none")
        assert len(phone.benchmarks()) == 1, "it was not run again silently"
        assert left_on(phone) == []
    assert row.valid and row.latency is not None and row.latency.runs >= 12
    assert row.state_after["link_losses"] == "1"


def test_a_dead_adb_server_is_survived(bench: Bench):
    with AdbServer() as server:
        own = bench_of(server, bench.binary, bench.model)
        with own.phone() as phone:
            own.during_run(phone, server.kill)
            (row,) = own.measure(phone, "none")
            assert left_on(phone) == []
    assert row.valid, row.reasons


def test_back_too_late_costs_one_case(bench: Bench):
    with bench.phone() as phone:

        def leave() -> None:
            phone.unplug()
            bench.clock.hurry()

        def come_back(line: str) -> None:
            if line.endswith("waiting for it"):
                bench.clock.normal()
                phone.plug()

        bench.during_run(phone, leave)
        rows = bench.measure(phone, "none", "none", log=come_back)
        assert left_on(phone) == []
    assert "phone lost during the run" in only_reason(rows[0])
    assert rows[1].valid, rows[1].reasons


def test_reboot_in_mid_run(bench: Bench):
    with bench.phone() as phone:
        bench.during_run(phone, lambda: phone.reboot(away_s=0.2, boot_s=0.3))
        rows = bench.measure(phone, "none", "none")
        assert left_on(phone) == []
    assert "rebooted" in only_reason(rows[0])
    assert rows[1].valid, rows[1].reasons


def test_a_long_reboot_is_named_too(bench: Bench):
    with bench.phone() as phone:
        given_up = threading.Event()

        def reboot() -> None:
            phone.reboot(back=given_up)
            bench.clock.hurry()

        def said(line: str) -> None:
            if line.endswith("waiting for it"):
                bench.clock.normal()
                given_up.set()

        bench.during_run(phone, reboot)
        rows = bench.measure(phone, "none", "none", log=said)
    assert "rebooted" in only_reason(rows[0])
    assert rows[1].valid, rows[1].reasons


def test_frozen_in_mid_run(bench: Bench):
    with bench.phone() as phone:

        def freeze() -> None:
            phone.freeze()
            bench.clock.hurry()

        bench.during_run(phone, freeze)
        rows = bench.measure(phone, "none", "none")
        phone.thaw()
    assert "does not respond" in only_reason(rows[0])
    assert len(rows) == 2 and not rows[1].valid


def test_full_storage(bench: Bench):
    with bench.phone(disk_bytes=2**16) as phone:
        filler = phone.path("/data/local/tmp/filler")
        filler.write_bytes(bytes(2**16 - 2**13))
        rows = bench.measure(phone, "none", "none")
        assert left_on(phone, but=["filler"]) == []
    assert len(rows) == 2
    assert all("storage is full" in only_reason(row) for row in rows)


# Order


def test_leftovers_of_a_killed_benchmark_are_ended(bench: Bench):
    with bench.phone() as phone:
        stale = Phone(bench.adb, phone.serial)
        stale.jobs.start("sleep 5000", 600.0)
        assert phone.wait_for_process("sleep 5000")
        seen: list[list[str]] = []
        phone.on_command("setsid", lambda: seen.append([p.command for p in phone.processes()]))
        (row,) = bench.measure(phone, "none")
        assert left_on(phone) == []
    assert row.valid
    assert len(seen) == 1 and not any("sleep 5000" in command for command in seen[0])


def test_one_benchmark_at_a_time(bench: Bench):
    with bench.phone() as phone:
        with Phone(bench.adb, phone.serial):
            (row,) = bench.measure(phone, "none")
            assert phone.benchmarks() == []
        (later,) = bench.measure(phone, "none")
    assert "another benchmark" in only_reason(row)
    assert later.valid


def test_closing_the_generator_cleans_up(bench: Bench):
    with bench.phone() as phone:
        rows = measure_on_phone(
            bench.adb, phone.serial, bench.tasks("none", "none"), bench.find_binary,
            Provenance((), {}), SHORT,
        )  # fmt: skip
        with contextlib.closing(rows):
            next(rows)
            assert phone.path(ROOT).exists()
        assert left_on(phone) == []
        with Phone(bench.adb, phone.serial):
            pass  # the lock is free again


def test_attached_phones(bench: Bench):
    with bench.phone() as one, bench.phone(auth="unauthorized") as two:
        every = {phone.serial: phone.usable for phone in attached_phones(bench.adb)}
        assert every == {one.serial: True, two.serial: False}
        (named,) = attached_phones(bench.adb, f"{one.serial},{one.serial}")
        assert named.serial == one.serial
        with pytest.raises(ZooError, match=one.serial):
            attached_phones(bench.adb, "R58M000")
    with pytest.raises(ZooError, match=r"no phone is attached.*zoo phone connect HOST:PORT"):
        attached_phones(bench.adb)


def test_every_row_goes_into_a_file(bench: Bench):
    with bench.phone(gpu="refused") as phone:
        for row in bench.measure(phone, "gpu", "none"):
            data = json.loads(row.model_dump_json())
            assert data["command"] == ["test"] and data["versions"] == {"zoo": "test"}
            assert os.fspath(bench.model) not in row.model_dump_json()
