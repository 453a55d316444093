"""`scripts.benchmark` as a user types it, on virtual phones through the real adb client."""

import pytest

from android_bench.adb import device_id
from android_bench.phone import lock_path
from tests.tiny_tflite import tiny_model
from tests.virtual_phone import AdbServer, PhoneProfile, VirtualPhone, stand_in_binary
from zoo.records import read_records

QUICK = ("--processes=1", "--num_runs=3", "--min_secs=0.02", "--recovery_secs=4")


@pytest.fixture
def adb():
    with AdbServer() as server:
        yield server


@pytest.fixture
def phones(adb):
    """Two connected phones of the same make."""
    with VirtualPhone(PhoneProfile()) as one, VirtualPhone(PhoneProfile()) as two:
        for phone in (one, two):
            adb.run("connect", phone.serial)
        yield one, two
        for phone in (one, two):
            lock_path(phone.serial).unlink(missing_ok=True)


@pytest.fixture
def benchmark(command, adb, tmp_path):
    """Runs the command on a tiny model; returns its result and the rows it wrote."""
    tiny_model(tmp_path / "tiny.tflite")
    binary = stand_in_binary(tmp_path)

    def run(*flags):
        shared = [f"--models={tmp_path / 'tiny.tflite'}", f"--benchmark_binary={binary}", *QUICK]
        done = command("benchmark", f"--output={tmp_path / 'o'}", *shared, *flags, **adb.env)
        records, problems = read_records(tmp_path / "o" / "results.jsonl")
        assert problems == []
        return done, records

    return run


def test_all_means_this_computer_and_every_phone(benchmark, phones):
    done, rows = benchmark("--device=all", "--delegate=xnnpack,none")
    assert done.returncode == 0, done.stdout + done.stderr
    ids = ["host", "host", *(device_id(phone.serial) for phone in phones for _ in "12")]
    assert sorted(row.device.id for row in rows) == sorted(ids)
    assert all(row.valid and row.latency.runs >= 3 for row in rows)
    for phone in phones:
        assert phone.serial not in done.stdout + str(rows)
        assert phone.processes() == []
        # The truth: what the tool itself timed on that phone.
        measured = [r for r in rows if r.device.id == device_id(phone.serial)]
        assert len(phone.benchmarks()) == len(measured) == 2


def test_a_phone_that_leaves_costs_only_its_own_rows(benchmark, phones):
    one, two = phones
    one.on_command("--graph=", lambda *_: one.unplug())
    done, rows = benchmark("--device=all", "--delegate=xnnpack,none")
    assert done.returncode == 1
    by_device = {p: [r for r in rows if r.device.id == device_id(p.serial)] for p in phones}
    assert [r.valid for r in by_device[one]] == [False, False]
    assert all(r.latency is None and r.reasons for r in by_device[one])
    assert [r.valid for r in by_device[two]] == [True, True]
    assert [r.valid for r in rows if r.device.id == "host"] == [True, True]
    assert "FAILED" in done.stdout


def test_unknown_phone_names_those_attached(benchmark, phones, command, adb, tmp_path):
    done = command(
        "benchmark", f"--models={tmp_path / 'tiny.tflite'}", "--device=127.0.0.1:1", **adb.env
    )
    assert done.returncode == 1
    assert "unknown phone" in done.stderr
    assert phones[0].serial in done.stderr
