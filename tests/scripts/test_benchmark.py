"""`scripts.benchmark` as a user types it, on virtual phones through the real adb client."""

import pytest

from android_bench.phone.phone import lock_path
from tests.support.tiny_tflite import tiny_model
from tests.virtual_phone import AdbServer, PhoneProfile, VirtualPhone, stand_in_binary
from zoo.schema.device import device_id
from zoo.schema.json_files import read_records

QUICK = ("--processes=1", "--num_runs=12", "--min_secs=0.02")
ASLEEP = PhoneProfile(litert=False, slow_ms=1.0)


@pytest.fixture
def adb():
    with AdbServer() as server:
        yield server


@pytest.fixture
def phones(adb):
    """Two connected phones of the same make."""
    with VirtualPhone(ASLEEP) as one, VirtualPhone(ASLEEP) as two:
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
        shared = [f"--artifact={tmp_path / 'tiny.tflite'}", f"--benchmark_binary={binary}", *QUICK]
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
    assert all(row.valid and row.latency.runs >= 12 for row in rows)
    for phone in phones:
        assert phone.serial not in done.stdout + str(rows)
        assert phone.processes() == []
        # The truth: what the tool itself timed on that phone.
        measured = [r for r in rows if r.device.id == device_id(phone.serial)]
        assert len(phone.benchmarks()) == len(measured) == 2


def test_a_phone_that_leaves_costs_only_its_own_rows(benchmark, phones):
    one, two = phones
    one.on_command("--graph=", lambda *_: one.unplug())
    done, rows = benchmark("--device=all", "--delegate=xnnpack,none", "--recovery_secs=5")
    assert done.returncode == 1
    by_device = {p: [r for r in rows if r.device.id == device_id(p.serial)] for p in phones}
    assert [r.valid for r in by_device[one]] == [False, False]
    assert all(r.latency is None and r.reasons for r in by_device[one])
    assert [r.valid for r in by_device[two]] == [True, True]
    assert [r.valid for r in rows if r.device.id == "host"] == [True, True]
    assert "FAILED" in done.stdout


def test_unknown_phone_names_those_attached(benchmark, phones, command, adb, tmp_path):
    done = command(
        "benchmark", f"--artifact={tmp_path / 'tiny.tflite'}", "--device=127.0.0.1:1", **adb.env
    )
    assert done.returncode == 1
    assert "unknown phone" in done.stderr
    assert phones[0].serial in done.stderr


@pytest.mark.slow
def test_the_same_command_goes_on_where_it_stopped(benchmark, phones, adb):
    one, _ = phones
    flags = (f"--device={one.serial}", "--delegate=xnnpack,none", "--processes=2")
    one.on_command("--graph=", lambda *_: one.unplug(), times=1)
    stopped, rows = benchmark(*flags, "--recovery_secs=5")
    assert stopped.returncode == 1
    assert len(rows) == 4
    assert not any(row.valid for row in rows)
    one.plug()
    adb.run("connect", one.serial)
    benchmark("--device=host", "--delegate=xnnpack", "--processes=1")  # another case, in between
    went_on, rows = benchmark(*flags)
    assert went_on.returncode == 0, went_on.stdout + went_on.stderr
    good = [row for row in rows if row.valid and row.device.kind == "phone"]
    assert len({(row.case, row.process) for row in good}) == len(good) == 4
    runs = len(one.benchmarks())
    again, same = benchmark(*flags)
    assert again.returncode == 0
    assert "4 of 4 processes are already measured" in again.stdout
    assert len(same) == len(rows) and len(one.benchmarks()) == runs
    _, anew = benchmark(*flags, "--session=second")
    assert len(anew) == len(rows) + 4


def test_cores(benchmark, phones):
    one, _ = phones
    done, rows = benchmark(
        f"--device={one.serial}", "--delegate=none", "--cores=big,80,prime,little", "--threads=1,2"
    )
    assert done.returncode == 0, done.stdout
    assert sorted((r.configuration.cores, r.configuration.threads) for r in rows) == sorted(
        (cores, threads) for cores in ("big", "80", "prime", "little") for threads in (1, 2)
    )
    masks = sorted(str(run["mask"]) for run in one.benchmarks())
    assert masks == ["80", "80", "80", "80", "f", "f", "f0", "f0"]


def test_plan_and_dry_run(benchmark, phones, command, adb, tmp_path):
    one, _ = phones
    shared = (f"--output={tmp_path / 'o'}", f"--artifact={tmp_path / 'tiny.tflite'}")
    flags = (f"--device=host,{one.serial}", "--delegate=none,xnnpack", "--energy")
    plan = command("benchmark", *shared, *flags, "--plan", **adb.env)
    assert plan.returncode == 0, plan.stderr
    assert "2 cases on" in plan.stdout
    assert "6 processes, 6 of them to run" in plan.stdout
    # Two idles and a load of 60 s for each of two cases, and little else.
    assert "to run: at least 3.6 minutes" in plan.stdout
    dry = command("benchmark", *shared, *flags, "--cores=big", "--dry_run", **adb.env)
    lines = [line for line in dry.stdout.splitlines() if "--graph=" in line]
    assert len(lines) == 6
    assert all(line.startswith("  taskset (big) benchmark_model --graph=") for line in lines)
    assert sum("--min_secs=60" in line for line in lines) == 2
    assert one.benchmarks() == []
    assert not (tmp_path / "o" / "results.jsonl").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--threads=0", "numbers from 1 to 256"),
        ("--threads=two", "numbers from 1 to 256"),
        ("--energy_secs=5", "energy_secs"),
        ("--delegate=npu", "unknown phone delegate 'npu'"),
        (
            "--delegate=gpu,none",
            "only phones have this delegate | where: --delegate | expected: "
            "xnnpack, none | got: gpu | to do: ",
        ),
    ],
)
def test_bad_flags(command, tmp_path, flag, message):
    tiny_model(tmp_path / "tiny.tflite")
    done = command("benchmark", f"--artifact={tmp_path / 'tiny.tflite'}", flag)
    assert done.returncode != 0
    assert message in done.stderr
    assert done.stderr.count("\n") <= 6
