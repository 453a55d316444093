"""The job that samples around a run of the tool, on virtual phones."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_bench.phone.phone import Phone
from android_bench.power import sampler
from android_bench.power.gauge import PowerProblem
from android_bench.power.metered import MARKS as MARKS_FILE
from android_bench.power.metered import SAMPLES, Metering, pushed, readable_nodes, script, windows
from android_bench.power.trace import parse
from tests.support.processes import HANG_S

NODE = "/data/local/tmp/node"


def run(bench, tool):
    """The job on a phone whose time is its own; what it left, and the node's content."""
    with bench.phone(simulated=True) as phone, Phone(bench.client(phone), phone.serial) as used:
        if phone.time is None:
            pytest.skip("without namespaces a phone has no time of its own")
        phone.path(NODE).write_text("-100\n")
        phone.path(NODE).chmod(0o666)
        which, remote = pushed(used, None)
        sample = which.command(remote, 0.05, 30, {"current_now": NODE})
        job = script(tool, sample, Metering(idle_s=0.6))
        return used.run(job, HANG_S, (SAMPLES, MARKS_FILE))


def test_a_run_is_sampled_and_noted(bench):
    tool = f"echo hello; echo -900 >{NODE}; sleep 1.5; echo -100 >{NODE}; exit 7"
    done = run(bench, f"(\n{tool}\n)")
    assert (done.exit_code, done.stdout, done.stderr) == (7, "hello\n", "")
    before, load, after = windows(done.files[MARKS_FILE], 1.5)
    assert before.length_s == pytest.approx(0.6, abs=0.011)  # marks have two decimals
    assert load.length_s == pytest.approx(0.5)
    assert after.length_s == pytest.approx(0.6, abs=0.011)
    trace = parse(done.files[SAMPLES])
    assert trace.boot_s[0] == pytest.approx(before.start_s, abs=0.06)
    assert trace.boot_s[-1] == pytest.approx(after.end_s, abs=0.06)
    for window, level in ((before, -100), (load, -900), (after, -100)):
        found = trace.part(window.start_s + 0.02, window.end_s - 0.02).columns["current_now"]
        assert len(found) >= 9
        assert set(found) == {level}


def test_a_tool_that_dies(bench):
    done = run(bench, "sh -c 'kill -9 $$'")
    assert done.exit_code == 137
    windows(done.files[MARKS_FILE], 0.0)


MARKS = "idle 10.00\nload 40.00\nend 105.50\ndone 135.60\n"


def test_windows():
    before, load, after = windows(MARKS, 60.5)
    assert (before.start_s, before.end_s) == (10, 40)
    assert (load.start_s, load.end_s) == (45, 104.5)
    assert (after.start_s, after.end_s) == (105.5, 135.6)


@pytest.mark.parametrize(
    ("marks", "inferences_s", "message"),
    [
        ("", 1, "timestamps of the run are incomplete.*nothing"),
        (MARKS.replace("done 135.60\n", ""), 1, "timestamps of the run are incomplete"),
        (MARKS.replace("end", "emd"), 1, "timestamps of the run are incomplete"),
        (MARKS.replace("105.50", "39.00"), 1, "timestamps of the run are incomplete"),
        ("idle 1.00\n" + MARKS, 1, "timestamps of the run are incomplete"),
        (MARKS, 65.51, "clock is wrong"),
    ],
)
def test_marks_that_can_not_be(marks, inferences_s, message):
    with pytest.raises(PowerProblem, match=message):
        windows(marks, inferences_s)


@given(st.text(max_size=200), st.floats(0, 1e4))
def test_any_marks(text, inferences_s):
    try:
        before, load, after = windows(text, inferences_s)
    except PowerProblem:
        return
    assert before.start_s <= before.end_s <= load.start_s <= load.end_s <= after.start_s


BATTERY = "/sys/class/power_supply/battery"
GAUGE = "/sys/class/power_supply/bms"


def test_nodes_are_found(bench):
    with bench.phone() as phone, Phone(bench.adb, phone.serial) as used:
        assert readable_nodes(used) == {
            name: f"{BATTERY}/{name}"
            for name in ("current_now", "voltage_now", "charge_counter", "temp", "capacity")
        }


def test_a_gauge_of_its_own(bench):
    moved = {f"{BATTERY}/current_now": None, f"{GAUGE}/current_now": "-1\n"}
    with bench.phone(files=moved) as phone, Phone(bench.adb, phone.serial) as used:
        found = readable_nodes(used)
    assert (found["current_now"], found["temp"]) == (f"{GAUGE}/current_now", f"{BATTERY}/temp")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"denied": (f"{BATTERY}/current_now",)}, "current_now can't be read.*denies it"),
        ({"files": {f"{BATTERY}/voltage_now": None}}, "voltage_now can't be read.*no such node"),
    ],
)
def test_nodes_that_can_not_be_read(bench, options, message):
    with bench.phone(**options) as phone, Phone(bench.adb, phone.serial) as used:
        if options.get("denied") and used.shell(f"cat {BATTERY}/current_now").code == 0:
            pytest.skip("without namespaces this computer's user reads every node")
        with pytest.raises(PowerProblem, match=message):
            readable_nodes(used)


def test_the_program_and_then_the_loop(bench, tmp_path):
    """The stand-in phone is no ARM: the real program fails there, and one of its own runs."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    own = tmp_path / "sampler"
    subprocess.run([compiler, "-O1", "-static", "-o", own, sampler.SOURCE], check=True)
    with bench.phone() as phone, Phone(bench.adb, phone.serial) as used:
        for native, kind in ((sampler.native(own, None), "native"), (None, "loop")):
            which, remote = pushed(used, native)
            assert which.kind == kind
            sample = which.command(remote, 0.05, 1, {"current_now": f"{BATTERY}/current_now"})
            trace = parse(used.run(sample, HANG_S).stdout)
            assert (trace.kind, trace.columns["current_now"][0]) == (kind, -412_000)
            assert len(trace.boot_s) >= 5
        broken = tmp_path / "broken"
        broken.write_bytes(b"\x7fELF no program")
        assert pushed(used, sampler.native(broken, None))[0].kind == "loop"
