"""Ctrl-C in mid-run, as a user has it: a whole process, its signal, and what is left after."""

import os
import signal
import subprocess
import sys
import tempfile

from android_bench.phone.phone import Phone
from tests.android_bench.conftest import Bench, left_on
from tests.support.processes import HANG_S

TOOL = r"^\S*python.* --graph="


def start(bench: Bench, serial: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.interrupted", serial]
    return subprocess.Popen(
        [*command, str(bench.binary), str(bench.model)],
        env={**os.environ, **bench.server.env, "TMPDIR": tempfile.gettempdir()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_leaves_nothing(bench: Bench):
    with bench.phone(slow_ms=20) as phone:
        harness = start(bench, phone.serial)
        try:
            phone.during_run(lambda: harness.send_signal(signal.SIGINT))
            stdout, stderr = harness.communicate(timeout=HANG_S)
        finally:
            harness.kill()
        assert "KeyboardInterrupt" in stderr and stdout == ""
        assert left_on(phone) == []
        with Phone(bench.adb, phone.serial):
            pass  # the lock is free


def test_ctrl_c_while_starting_leaves_nothing(bench: Bench):
    with bench.phone(slow_ms=20) as phone:
        harness = start(bench, phone.serial)
        try:
            phone.on_command("setsid", lambda: harness.send_signal(signal.SIGINT))
            harness.communicate(timeout=HANG_S)
        finally:
            harness.kill()
        assert left_on(phone) == []


def test_what_a_killed_harness_left_is_ended_by_the_next(bench: Bench):
    with bench.phone(slow_ms=20) as phone:
        harness = start(bench, phone.serial)
        try:
            phone.wait_for_process(TOOL)
        finally:
            harness.kill()
            harness.communicate(timeout=HANG_S)
        assert any("--graph" in process.command for process in phone.processes())
        phone.set_benchmark(slow_ms=0)
        (row,) = bench.measure(phone, "none")
        assert row.valid
        assert left_on(phone) == []
