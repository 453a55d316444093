"""One phone: commands with marks, pushing by content, jobs that outlive the link."""

import os
import signal
import threading
from pathlib import Path

import pytest

from android_bench.adb.client import Adb
from android_bench.adb.link import Link, PhoneLost, PhoneProblem, PhoneRebooted
from android_bench.phone.phone import ROOT, Phone
from tests.android_bench.conftest import OURS, Bench, left_on
from tests.support.processes import HANG_S
from tests.virtual_phone import VirtualPhone
from zoo.errors import ZooError
from zoo.io.files import sha256_of

RETRY_S = 0.5  # between two tries to reach a lost phone: `link._RETRY_EVERY_S`


def phone_of(bench: Bench, phone: VirtualPhone) -> Phone:
    return Phone(bench.adb, phone.serial)


# Commands


def away(bench: Bench, phone: VirtualPhone) -> None:
    """The phone is gone until it was looked for in vain."""
    phone.unplug()
    bench.clock.wait_for_pause(RETRY_S)
    phone.plug()


@pytest.mark.parametrize("shell_v2", [True, False])
def test_exit_codes_and_output(bench: Bench, shell_v2: bool):
    with bench.phone(shell_v2=shell_v2) as phone:
        link = Link(bench.adb, phone.serial)
        assert link.shell("exit 7").code == 7
        assert link.shell("printf 'no newline'").stdout == "no newline"
        assert link.shell("printf 'a\\n\\nb\\n'").stdout == "a\n\nb\n"
        assert link.shell("echo 'end-1234 0'; false").code == 1
        assert link.shell("cd /nowhere 2>/dev/null || exit 3; echo here").code == 3
        both = link.shell("echo out; echo err >&2")
        assert "out" in both.stdout and "err" in both.stderr + both.stdout


def test_a_link_lost_in_mid_command_is_no_success(bench: Bench):
    with bench.phone() as phone:
        phone.on_command("sleep 30", phone.unplug)
        with pytest.raises(PhoneLost, match=r"lost during a command|offline|not found|failed"):
            Link(bench.adb, phone.serial).shell("echo half; sleep 30")


@pytest.mark.parametrize(
    "said", ["", "echo half", "echo begin-0; echo end-0 0", 'echo "$4" | head -n 1']
)
def test_an_exit_code_of_0_alone_is_no_success(tmp_path: Path, said: str):
    """Older adb clients exit with 0 when the phone drops out: here one that does."""
    client = tmp_path / "adb"
    client.write_text(f"#!/bin/sh\n{said}\n")
    client.chmod(0o755)
    with pytest.raises(PhoneLost, match="lost during a command"):
        Link(Adb(client), "serial").shell("echo half")


def test_a_frozen_phone_times_out(bench: Bench):
    with bench.phone() as phone:
        phone.freeze()
        bench.clock.hurry()
        with pytest.raises(PhoneLost, match="does not respond"):
            Link(bench.adb, phone.serial).shell("true")
        phone.thaw()


def test_endless_output_is_cut(bench: Bench):
    with bench.phone() as phone, pytest.raises(PhoneProblem, match="too much"):
        Link(bench.adb, phone.serial).shell("yes")


# Files


def test_push_once_by_content(bench: Bench, tmp_path: Path):
    first, same, other = (tmp_path / name for name in ("a b.tflite", "-c", "d'; rm -rf x"))
    first.write_bytes(b"one" * 10_000)
    same.write_bytes(first.read_bytes())
    other.write_bytes(b"two")
    with bench.phone() as phone:
        mine = phone_of(bench, phone)
        remote = mine.push(first, sha256_of(first))
        assert phone.path(remote).read_bytes() == first.read_bytes()
        assert mine.push(same, sha256_of(same)) == remote
        assert mine.push(other, sha256_of(other)) != remote
        pushes = [entry for entry in phone.log if entry.kind == "push"]
        assert len(pushes) == 2
        assert remote not in [entry.text for entry in pushes], "never straight to the final name"
        phone.path(remote).write_bytes(b"spoilt")
        assert mine.push(first, sha256_of(first)) == remote
        assert phone.path(remote).read_bytes() == first.read_bytes()
        mine.cleanup()
        assert phone.path(remote).exists()
        mine.cleanup(purge=True)
        assert left_on(phone) == []


def test_a_file_that_is_not_as_hashed_is_refused(bench: Bench, tmp_path: Path):
    file = tmp_path / "m"
    file.write_bytes(b"one")
    with bench.phone() as phone:
        with pytest.raises(PhoneProblem, match="corrupted on its way"):
            phone_of(bench, phone).push(file, "0" * 64)
        assert list(phone.path(f"{ROOT}/files").iterdir()) == []


def test_push_to_a_full_phone(bench: Bench, tmp_path: Path):
    file = tmp_path / "m"
    file.write_bytes(bytes(2**20))
    with bench.phone(disk_bytes=2**19) as phone:
        with pytest.raises(PhoneProblem, match=r"storage is full.*free some storage"):
            phone_of(bench, phone).push(file, sha256_of(file))
        assert list(phone.path(f"{ROOT}/files").iterdir()) == []


def test_push_survives_a_lost_link(bench: Bench, tmp_path: Path):
    file = tmp_path / "m"
    file.write_bytes(b"x" * 2**20)
    with bench.phone() as phone:
        phone.on_command("mkdir -p", lambda: away(bench, phone))
        mine = phone_of(bench, phone)
        remote = mine.push(file, sha256_of(file))
        assert sha256_of(phone.path(remote)) == sha256_of(file)
        assert mine.link.losses >= 1


# Jobs


def test_a_jobs_result(bench: Bench):
    with bench.phone() as phone:
        mine = phone_of(bench, phone)
        result = mine.run("echo out; echo err >&2; exit 42", HANG_S)
        assert (result.exit_code, result.stdout, result.stderr) == (42, "out\n", "err\n")
        assert mine.run("kill -9 $(sh -c 'echo $PPID')", HANG_S).exit_code == 137
        assert mine.run("true", HANG_S).stdout == ""
        mine.cleanup(purge=True)
        assert left_on(phone) == []


def test_what_a_job_leaves_running_ends_with_it(bench: Bench):
    with bench.phone() as phone:
        mine = phone_of(bench, phone)
        assert mine.run("sleep 3210 & echo started", HANG_S).stdout == "started\n"
        phone.wait_for_end("sleep 3210")


def test_long_output_keeps_its_end(bench: Bench):
    with bench.phone() as phone:
        result = phone_of(bench, phone).run("yes | head -n 400000; echo last", HANG_S)
        assert result.stdout.endswith("y\nlast\n")
        assert len(result.stdout) <= 2**18


def test_a_job_that_the_phone_kills_whole(bench: Bench):
    with bench.phone() as phone, pytest.raises(PhoneProblem, match="the phone killed the run"):
        phone_of(bench, phone).run("kill -9 0; sleep 9", HANG_S)


def test_storage_that_becomes_full_in_mid_run(bench: Bench):
    with bench.phone(disk_bytes=2**20) as phone:
        if phone.sandbox != "namespace":
            pytest.skip("without namespaces the phone's storage ends for pushes only")

        def fill() -> None:
            sleep = phone.wait_for_process(r"^sleep 45000")
            phone.fill_disk()
            os.kill(sleep.pid, signal.SIGTERM)

        phone.on_command(r"sleep 45000", fill)
        with pytest.raises(PhoneProblem, match="storage filled up during the run"):
            phone_of(bench, phone).run("sleep 45000; echo out", HANG_S)
        phone.free_disk()


def test_output_that_is_cut_is_asked_for_again(bench: Bench):
    with bench.phone() as phone:
        phone.cut_output(r"tail -c \d+ \S*/out", 30)
        assert phone_of(bench, phone).run("seq 1 50", HANG_S).stdout == "".join(
            f"{n}\n" for n in range(1, 51)
        )
        assert [entry.kind for entry in phone.log].count("cut") == 1


@pytest.mark.parametrize("least_s", [30.0, 0.0])
def test_a_job_is_left_alone_until_it_may_have_ended(bench: Bench, least_s: float):
    with bench.phone() as phone:

        def end_it() -> None:
            bench.clock.wait_for_pauses(4)
            phone.path(f"{OURS}/go").touch()

        threading.Thread(target=end_it).start()
        job = f"until [ -f {OURS}/go ]; do sleep 0.05; done"
        assert phone_of(bench, phone).run(job, HANG_S, least_s=least_s).exit_code == 0
    # Soon, as it may fail to start; then when it may have ended; then ever more seldom.
    expected = [0.2, 29.8, 0.2, 0.26] if least_s else [0.2, 0.2, 0.26, 0.338]
    assert bench.clock.pauses[:4] == pytest.approx(expected)


def test_a_job_that_fails_at_once_is_not_waited_for(bench: Bench):
    with bench.phone() as phone:
        assert phone_of(bench, phone).run("exit 3", HANG_S, least_s=1e6).exit_code == 3
    assert bench.clock.pauses[0] < 1, "the first look comes soon"


def test_a_job_has_a_time_limit_on_the_phone_too(bench: Bench):
    with bench.phone() as phone:
        mine = phone_of(bench, phone)
        job = mine.jobs.start("echo begun; sleep 4000", 5000.0)  # the phone's comes 60 s later
        phone.wait_for_process("^sleep 4000")
        phone.wait_for_process("^sleep 5060")
        mine.shell("kill $(pgrep -f '^sleep 5060')")  # so that it comes now
        phone.wait_for_end("sleep 4000")
        assert phone.path(f"{job}/out").read_text() == "begun\n"
        with pytest.raises(PhoneProblem, match="the phone killed the run"):
            mine.jobs.poll(job)


def test_a_job_knows_a_reboot(bench: Bench):
    with bench.phone() as phone:
        mine = phone_of(bench, phone)
        job = mine.jobs.start("sleep 4000", 5000)
        phone.reboot(away_s=0.2)
        with pytest.raises(PhoneRebooted):
            mine.jobs.poll(job)


def test_a_recycled_pid_is_left_alone(bench: Bench):
    with bench.phone() as phone:
        mine = phone_of(bench, phone)
        job = mine.jobs.start("sleep 4000", 5000)
        mine.shell("setsid sleep 4440 </dev/null >/dev/null 2>&1 &")
        other = mine.shell("pgrep -f 'sleep 444[0]'").stdout.strip()
        mine.shell(f"echo {other} >{job}/pid")
        mine.jobs.kill_all()
        assert [p.command for p in phone.processes() if "sleep 4440" in p.command] == ["sleep 4440"]


def test_a_link_lost_while_tidying_up(bench: Bench):
    with bench.phone() as phone:
        with phone_of(bench, phone) as mine:
            mine.run("true", HANG_S)
            phone.on_command(r"mv \S*/jobs ", lambda: away(bench, phone))
        assert left_on(phone) == []


# Lock


def test_two_users_of_one_phone(bench: Bench):
    with bench.phone() as phone, bench.phone() as second:
        with Phone(bench.adb, phone.serial):
            with pytest.raises(ZooError, match=r"another benchmark.*wait for it"):
                Phone(bench.adb, phone.serial).acquire()
            with Phone(bench.adb, second.serial):
                pass
        with Phone(bench.adb, phone.serial):
            pass


def test_two_phones_at_once(bench: Bench):
    with bench.phone() as one, bench.phone(model="Other") as two:
        found: dict[str, str] = {}

        def use(phone: VirtualPhone) -> None:
            with Phone(bench.adb, phone.serial) as mine:
                found[phone.serial] = mine.run("getprop ro.product.model", HANG_S).stdout.strip()

        threads = [threading.Thread(target=use, args=(phone,)) for phone in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG_S)
        assert found == {one.serial: "VP865", two.serial: "Other"}


def test_not_booted_yet(bench: Bench):
    with bench.phone(properties={"sys.boot_completed": None}) as phone:
        bench.clock.hurry()
        assert not phone_of(bench, phone).wait_ready(60.0)
        bench.clock.normal()
        phone.set_property("sys.boot_completed", "1")
        assert phone_of(bench, phone).wait_ready(60.0)
