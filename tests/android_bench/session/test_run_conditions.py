"""What the phone's shell notes around a run, read back from a real shell and from odd text."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_bench.session.run_conditions import FILE, parse, watched
from tests.support.processes import HANG_S

CPU = "cpu  1000 20 300 90000 70 0 50 0 0 0"
LATER = "cpu  3000 20 400 91000 70 10 60 0 0 0"
NOTES = f"""\
before 100.00 1700000000.500000 {CPU}
limit 0 1804800
limit 7 2841600
after 120.00 1700000020.500000 {LATER}
limit 0 1804800
limit 7 2000000
0m0.00s 0m0.01s
0m18.10s 0m0.30s
"""
SHELLS = [shell for shell in ("sh", "bash", "mksh", "busybox") if shutil.which(shell)]


def test_what_was_noted():
    watch = parse(NOTES)
    assert watch.seconds == 20
    assert watch.clock_jump_s == pytest.approx(0, abs=1e-6)
    # 2000 + 100 + 10 + 10 ticks, less the 18.4 s of the tool.
    assert watch.other_cores == pytest.approx((21.2 - 18.4) / 20)
    assert watch.limits == {"0": (1804800, 1804800), "7": (2841600, 2000000)}
    assert watch.notes == {"tool_seconds": "20.00", "other_load_cores": "0.14"}


def test_a_clock_that_jumped():
    watch = parse(NOTES.replace("1700000020.5", "1700000023.5"))
    assert watch.clock_jump_s == pytest.approx(3, abs=1e-6) and watch.clock_step_s < 0.1
    coarse = parse(NOTES.replace("1700000020.500000", "1700000021"))
    assert coarse.clock_step_s > 1


def test_what_a_phone_denies():
    denied = NOTES.replace(CPU, "").replace(LATER, "").replace("limit", "limits")
    watch = parse(denied)
    assert watch.seconds == 20 and watch.other_cores is None and watch.limits == {}


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_note_it(shell, tmp_path):
    run = [shell] if shell != "busybox" else ["busybox", "sh"]
    burn = "n=0; while [ $n -lt 30000 ]; do n=$((n+1)); done"
    tool = f"{' '.join(run)} -c '{burn}; exit 7'"
    done = subprocess.run([*run, "-c", watched(tool)], cwd=tmp_path, check=False, timeout=HANG_S)
    assert done.returncode == 7
    text = (tmp_path / FILE).read_text()
    watch = parse(text)
    assert watch.seconds, text
    assert watch.clock_jump_s is not None and abs(watch.clock_jump_s) <= watch.clock_step_s
    assert watch.other_cores is not None, text


def test_what_the_tool_took_is_not_the_load_of_others():
    idle = parse(NOTES.replace("0m18.10s", "0m0.10s"))
    assert idle.other_cores is not None and idle.other_cores > 1


@given(
    st.text()
    | st.integers(0, len(NOTES)).map(lambda end: NOTES[:end])
    | st.permutations(NOTES.splitlines()).map("\n".join)
)
def test_any_text(text):
    watch = parse(text)
    if watch.seconds is not None:
        assert watch.seconds > 0
    assert watch.other_cores is None or watch.other_cores >= 0
