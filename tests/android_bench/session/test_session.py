"""Measuring over the real adb client on virtual phones: what is recorded, what is cleaned up."""

import contextlib
import json
import os

import pytest

from android_bench.phone.phone import ROOT, Phone
from android_bench.session.session import attached_phones, measure_on_phone
from tests.android_bench.conftest import SHORT, Bench, left_on, only_reason
from zoo.errors import ZooError
from zoo.io.files import sha256_of
from zoo.io.provenance import Provenance
from zoo.schema.device import device_id
from zoo.schema.result import RESULT

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
