"""Who may use a phone, and what becomes of its settings, over the real adb client."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from android_bench.adb.link import PhoneProblem
from android_bench.phone import lease, settings
from android_bench.phone.lease import Lease
from android_bench.phone.phone import ROOT, Phone
from tests.android_bench.conftest import SHORT, left_on
from tests.support.processes import HANG_S

FIXED = "/system/stub/state/fixed_performance"


def shell_of(bench, phone):
    return Phone(bench.adb, phone.serial).shell


def fixed(phone):
    path = phone.path(FIXED)
    return path.read_text().strip() if path.exists() else ""


def claim_as(owner, bench, phone, seconds=HANG_S):
    one = Lease(shell_of(bench, phone))
    one.owner = owner
    one.claim(seconds)
    return one


def end_claim(phone):
    """Leaves a claim of `HANG_S` as it is when that time has come."""
    owner, until_s, boot = phone.path(lease.PATH).read_text().split()
    phone.path(lease.PATH).write_text(f"{owner} {int(until_s) - HANG_S} {boot}\n")


ELSEWHERE = "0123456789abcdef-77-1234"


def test_what_another_computer_runs_is_left_alone(bench):
    with bench.phone() as phone:
        Phone(bench.adb, phone.serial).jobs.start("sleep 5000", 600.0)
        other = claim_as(ELSEWHERE, bench, phone)
        (row,) = bench.measure(phone, "none")
        assert not row.valid and phone.path(ROOT).exists()
        assert phone.wait_for_process("sleep 5000")
        other.release()


def test_a_claim_of_another_computer(bench):
    with bench.phone() as phone:
        other = claim_as(ELSEWHERE, bench, phone, seconds=HANG_S)
        (row,) = bench.measure(phone, "none")
        assert phone.benchmarks() == []
        other.release()
        (later,) = bench.measure(phone, "none")
        assert left_on(phone) == []
    assert "another benchmark on another computer is using the phone" in row.reasons[0]
    assert re.search(r"its lease expires in ([1-9]|\d{2,4}) s at the latest", row.reasons[0])
    assert later.valid


def test_one_phone_under_two_names(bench):
    # By USB and by Wi-Fi at once, the lock on this computer sees two phones.
    with bench.phone() as phone:
        alive = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        try:
            theirs = f"{lease._computer()}-{alive.pid}-{lease._started(alive.pid)}"
            claim_as(theirs, bench, phone)
            with pytest.raises(PhoneProblem, match="on this computer is using the phone"):
                Lease(shell_of(bench, phone)).claim(10)
        finally:
            alive.kill()
            alive.wait()
        Lease(shell_of(bench, phone)).claim(10)  # whoever had it is dead


def test_a_claim_ends_by_itself(bench):
    with bench.phone() as phone:
        claim_as(ELSEWHERE, bench, phone, seconds=HANG_S)
        mine = Lease(shell_of(bench, phone))
        with pytest.raises(PhoneProblem):
            mine.claim(HANG_S)
        until_s = int(phone.path(lease.PATH).read_text().split()[1])
        assert 0 < until_s - float(Path("/proc/uptime").read_text().split()[0]) <= HANG_S
        end_claim(phone)
        mine.claim(HANG_S)
        mine.claim(2 * HANG_S)
        with pytest.raises(PhoneProblem):
            claim_as(ELSEWHERE, bench, phone)


def test_a_claim_does_not_outlive_a_boot(bench):
    with bench.phone() as phone:
        claim_as(ELSEWHERE, bench, phone)
        phone.reboot(away_s=0.2)
        one = Phone(bench.adb, phone.serial)
        assert one.wait_ready(60)
        one.claim(10)


def test_full_storage_does_not_take_a_phone_away(bench):
    with bench.phone(disk_bytes=2**16) as phone:
        mine = Lease(shell_of(bench, phone))
        mine.claim(HANG_S)
        phone.path("/data/local/tmp/filler").write_bytes(bytes(2**16 - 2**12))
        with contextlib.suppress(OSError):
            phone.path("/data/local/tmp/more").write_bytes(bytes(2**13))
        mine.claim(2 * HANG_S)
        with pytest.raises(PhoneProblem, match="using the phone"):
            claim_as(ELSEWHERE, bench, phone)
        phone.path("/data/local/tmp/filler").unlink()
        phone.path("/data/local/tmp/more").unlink(missing_ok=True)
        mine.release()
        assert left_on(phone) == []


def test_a_damaged_lock_is_no_claim(bench):
    with bench.phone() as phone:
        for junk in ("", "x", "a b c d", "$(reboot) 9999999 0", "\0\xff" * 100):
            phone.path(lease.PATH).write_text(junk)
            Lease(shell_of(bench, phone)).claim(10)


def test_fixed_performance_is_put_back(bench):
    with bench.phone() as phone:
        seen = []
        phone.on_command("setsid", lambda: seen.append(fixed(phone)), times=10)
        (row,) = bench.measure(phone, "none", fixed_performance=True)
        assert row.valid and "true" in seen and fixed(phone) == "false"
        assert left_on(phone) == []


def test_a_phone_without_that_mode(bench):
    with bench.phone(sdk=29) as phone:
        (row,) = bench.measure(phone, "none", fixed_performance=True)
        assert left_on(phone) == []
    assert "the phone does not support fixed performance mode" in row.reasons[0]


KILLED = """
import os, sys
from android_bench.phone import settings
from android_bench.adb.client import Adb
from android_bench.phone.phone import Phone
phone = Phone(Adb(sys.argv[1]), sys.argv[2])
phone.claim(float(sys.argv[3]))
settings.change(phone.shell, settings.FIXED_PERFORMANCE)
os.kill(os.getpid(), 9)
"""


def killed_in_between(bench, phone, lease_s):
    words = [sys.executable, "-c", KILLED, bench.adb.path, phone.serial, str(lease_s)]
    done = subprocess.run(
        words, env={**os.environ, **bench.server.env}, check=False, timeout=HANG_S
    )
    assert done.returncode == -signal.SIGKILL
    assert fixed(phone) == "true"


def test_a_watchdog_puts_it_back_when_the_session_died(bench):
    with bench.phone() as phone:
        killed_in_between(bench, phone, HANG_S)
        end_claim(phone)
        phone.wait_for_end(re.escape(settings.RESTORE))
        assert fixed(phone) == "false"
        assert not phone.path(settings.RESTORE).exists()


def test_the_next_session_puts_it_back(bench):
    with bench.phone() as phone:
        killed_in_between(bench, phone, HANG_S)
        (row,) = bench.measure(phone, "none", num_runs=SHORT.num_runs)
        assert row.valid, row.reasons
        assert fixed(phone) == "false"
        assert left_on(phone) == []
