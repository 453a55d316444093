"""The samplers on this computer: the program's source compiled for it, and the shell loop."""

import contextlib
import hashlib
import importlib.util
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from android_bench.power import sampler
from android_bench.power.trace import parse
from tests.support.processes import HANG_S
from zoo.errors import ZooError

KINDS = ("native", "loop")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The sampler's source as a program for this computer."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    path = tmp_path_factory.mktemp("sampler") / "sampler"
    warnings = ("-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, "-O1", *warnings, "-o", path, sampler.SOURCE], check=True)
    return sampler.native(path, None)


@pytest.fixture(params=KINDS)
def either(request):
    return request.getfixturevalue("program") if request.param == "native" else sampler.loop()


@pytest.fixture
def nodes(tmp_path):
    texts = {"current_now": "-412000\n", "voltage_now": "4101000\n", "status": "Charging\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in (*texts, "temp")}


@contextlib.contextmanager
def running(which, nodes, period_s=0.1, limit_s=300, output=subprocess.PIPE):
    command = which.command(str(which.path), period_s, limit_s, nodes)
    with subprocess.Popen(
        ["/bin/sh", "-c", f"exec {command}"], stdout=output, text=True
    ) as process:
        watch = threading.Timer(HANG_S, process.kill)
        watch.start()
        try:
            yield process
        finally:
            watch.cancel()
            process.kill()


def rows(process, count):
    """What it prints until the `count`-th further row."""
    text = ""
    while count and (line := process.stdout.readline()):
        text += line
        count -= line[0].isdigit() or line[0] == "-"
    assert not count, f"ended early, after {text!r}"
    return text


def rest(process):
    """What it prints after being told to end."""
    process.terminate()
    text = process.stdout.read()
    process.wait(HANG_S)
    return text


def test_a_changing_node(either, nodes, tmp_path):
    with running(either, nodes) as process:
        text = rows(process, 8)
        (tmp_path / "current_now").write_text("-90000\n")
        changed_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        text += rows(process, 8) + rest(process)
    trace = parse(text)
    assert process.returncode == 0
    assert (trace.kind, trace.damaged) == (either.kind, 0)
    assert trace.refused == {"temp": "missing"}
    assert list(trace.columns) == ["current_now", "voltage_now", "status"]
    assert np.isnan(trace.columns["status"]).all()
    assert (trace.columns["voltage_now"] == 4_101_000).all()
    current = trace.columns["current_now"]
    assert set(current) == {-412_000, -90_000}
    assert current[0] == -412_000
    resolution_s = 0.01  # of the loop's clock
    assert (current[trace.boot_s >= changed_s + resolution_s] == -90_000).all()
    assert current[-1] == -90_000
    steps_s = np.diff(trace.boot_s)
    # Sleeping takes as long or longer; the program aims at absolute times, so that it may catch up.
    assert steps_s.min() >= (0 if either.kind == "native" else 0.09)
    if either.kind == "native":
        assert trace.boot_s[-1] - trace.boot_s[0] >= 0.1 * len(steps_s) - 0.1
        assert not np.isnan(trace.awake_s).any()


@pytest.mark.parametrize("content", ["", "-\n", "12abc\n", "9" * 40, "1 2\n", "\n5\n"])
def test_no_number_is_made_of_what_is_none(either, nodes, tmp_path, content):
    (tmp_path / "current_now").write_text(content)
    with running(either, nodes) as process:
        trace = parse(rows(process, 2) + rest(process))
    assert len(trace.boot_s) >= 2
    assert np.isnan(trace.columns["current_now"]).all()
    assert (trace.columns["voltage_now"] == 4_101_000).all()


def test_it_ends_by_itself_and_not_before(either, nodes):
    with running(either, nodes, limit_s=1) as process:
        started = time.monotonic()  # so that the loop's clock, read later, has not yet begun
        process.communicate(timeout=HANG_S)
    assert process.returncode == 0
    assert time.monotonic() - started >= 0.9


def test_it_outlives_a_lost_terminal(either, nodes):
    with running(either, nodes) as process:
        rows(process, 1)
        process.send_signal(signal.SIGHUP)
        rows(process, 4)
        rest(process)
    assert process.returncode == 0


def test_a_node_that_is_denied(either, tmp_path):
    denied = tmp_path / "current_now"
    denied.write_text("5\n")
    denied.chmod(0)
    if denied.owner() == "root" and _reads(denied):
        pytest.skip(
            "root reads everything: the user of tests/virtual_phone/test_virtual_phone.py does not"
        )
    with running(either, {"current_now": str(denied)}, limit_s=1) as process:
        text, _ = process.communicate(timeout=HANG_S)
    assert parse(text).refused == {"current_now": "denied"}


def _reads(path):
    try:
        return bool(path.read_text())
    except PermissionError:
        return False


def test_a_full_disk_ends_it(program, nodes):
    with Path("/dev/full").open("w") as full, running(program, nodes, output=full) as process:
        assert process.wait(timeout=HANG_S) == 1


def test_it_waits_between_samples(program, nodes):
    """What it costs, `python -m tests.soak.sampler_cost` measures."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with running(program, nodes, limit_s=3) as process:
        process.communicate(timeout=HANG_S)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < 0.1 * 3, "as one that asks all the time whether it is time"


@pytest.mark.parametrize("words", [[], ["100", "5"], ["5", "5", "a=/b"], ["100", "0", "a=/b"]])
def test_wrong_words(program, words):
    done = subprocess.run([program.path, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""


def test_words_are_quoted(either):
    command = either.command("/data/my files/s", 0.25, 90, {"a": "/sys/$(rm x)/y z"})
    words = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    start = ["/data/my files/s", "250"]
    if either.kind == "loop":
        start = ["sh", "/data/my files/s", "0.250"]
    assert words == [*start, "90", "a=/sys/$(rm x)/y z"]


def test_the_program_for_phones_is_the_recorded_one(tmp_path):
    found = sampler.native()
    assert found.path == sampler.ARM64
    data = sampler.ARM64.read_bytes()
    assert data[:4] == b"\x7fELF"
    assert int.from_bytes(data[18:20], "little") == 183  # AArch64
    assert b"ld-linux" not in data and b"/system/bin/linker" not in data  # static
    other = tmp_path / "sampler-arm64"
    other.write_bytes(data[:-1] + b"!")
    with pytest.raises(ZooError, match="differs from the build of its source"):
        sampler.native(other)


@pytest.mark.slow
def test_the_program_for_phones_comes_from_its_source(tmp_path):
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("pip install ziglang==0.17.1 to build it")
    built = tmp_path / "built"
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", *sampler.BUILD, "-o", built, sampler.SOURCE],
        check=True,
    )
    assert hashlib.sha256(built.read_bytes()).hexdigest() == sampler.ARM64_SHA256
