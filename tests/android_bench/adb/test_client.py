"""The adb client as a subprocess, and what it lists."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_bench.adb.client import Adb, parse_devices
from android_bench.clock import Clock
from tests.support.processes import HANG_S
from zoo.errors import ZooError
from zoo.schema.device import device_id

LIST = """\
* daemon not running; starting now at tcp:5037
* daemon started successfully
List of devices attached
0123456789ABCDEF       device usb:1-4 product:x model:Pixel_4a device:sunfish transport_id:1
127.0.0.1:5555         offline transport_id:7
HT7A1              unauthorized usb:1-2 transport_id:2
R58M                   no permissions (missing udev rules? user is in the plugdev group); see \
[http://developer.android.com/tools/device.html] usb:1-3 transport_id:4
adb-R5CT (2)._adb-tls-connect._tcp authorizing transport_id:5
emulator-5554          levitating transport_id:9

"""


def test_every_state():
    found = {phone.serial: phone for phone in parse_devices(LIST)}
    assert len(found) == 6
    phone = found["0123456789ABCDEF"]
    assert phone.usable and phone.problem == ""
    assert phone.details["model"] == "Pixel_4a" and phone.details["usb"] == "1-4"
    assert "replug" in found["127.0.0.1:5555"].problem
    assert found["HT7A1"].state == "unauthorized"
    assert "USB debugging prompt" in found["HT7A1"].problem
    assert found["R58M"].state == "no permissions" and "udev" in found["R58M"].problem
    assert found["adb-R5CT (2)._adb-tls-connect._tcp"].state == "authorizing"
    assert "levitating" in found["emulator-5554"].problem


@given(st.text())
def test_any_list(text: str):
    for phone in parse_devices(f"List of devices attached\n{text}"):
        assert phone.serial
        assert phone.usable or phone.problem


def test_ids_hide_serials_and_stay_the_same():
    assert device_id("0123456789ABCDEF") == device_id("0123456789ABCDEF")
    assert device_id("0123456789ABCDEF") != device_id("0123456789ABCDEE")
    assert "0123" not in device_id("0123456789ABCDEF") and len(device_id("x")) == 12


def script(folder: Path, text: str) -> Path:
    path = folder / "adb"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def alive(mark: str) -> int:
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            found += mark in (folder / "cmdline").read_text().replace("\0", " ")
    return found


def test_a_hanging_client_is_killed_with_its_children(tmp_path: Path):
    sleep = f"sleep 9870.{os.getpid()}"  # a mark, and longer than any limit
    adb = Adb(script(tmp_path, f"{sleep} & {sleep}"))
    done = adb.run("shell", timeout_s=0.3)
    assert done.returncode is None and "timed out" in done.killed_for
    deadline = time.monotonic() + HANG_S  # what is killed takes a moment to go on a busy machine
    while alive(sleep):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_server_that_keeps_the_pipes_open_does_not_block(tmp_path: Path):
    adb = Adb(script(tmp_path, "setsid sleep 9870.25 & echo $! started"))
    done = adb.run("start-server", timeout_s=HANG_S)
    server, said = done.stdout.split()
    os.kill(int(server), signal.SIGTERM)  # it was there all the time
    assert (done.returncode, said) == (0, "started")


def test_output_is_bounded(tmp_path: Path):
    done = Adb(script(tmp_path, "yes")).run("x", timeout_s=HANG_S, limit_bytes=100_000)
    assert done.returncode is None and "output" in done.killed_for
    assert len(done.stdout) < 300_000


def test_streams_and_exit_code(tmp_path: Path):
    done = Adb(script(tmp_path, 'echo "$@"; echo no >&2; exit 7')).run(
        "-s", "a b", timeout_s=HANG_S
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "-s a b\n", "no\n")


def test_nothing_is_read_from_our_standard_input(tmp_path: Path):
    assert Adb(script(tmp_path, "cat; echo end")).run("x", timeout_s=HANG_S).stdout == "end\n"


@pytest.mark.parametrize("kind", ["missing", "not executable"])
def test_no_adb(tmp_path: Path, kind: str):
    path = tmp_path / "adb"
    if kind == "not executable":
        path.write_text("x")
    with pytest.raises(ZooError, match="adbutils"):
        Adb(path)


def test_an_adb_that_cannot_start(tmp_path: Path):
    path = tmp_path / "adb"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    with pytest.raises(ZooError, match=r"cannot start adb"):
        Adb(path).devices()


def test_an_adb_that_fails(tmp_path: Path):
    with pytest.raises(ZooError, match=r"can't list.*port in use"):
        Adb(script(tmp_path, "echo port in use >&2; exit 1")).devices()


def test_the_port_reaches_the_client(tmp_path: Path):
    adb = Adb(script(tmp_path, "echo $ANDROID_ADB_SERVER_PORT"), server_port=5999)
    assert adb.run("x", timeout_s=HANG_S).stdout == "5999\n"


def test_the_usual_clock_is_that_of_the_computer():
    clock, began = Clock(), time.monotonic()
    first = clock.now()
    clock.sleep(0.02)
    assert clock.now() >= first + 0.02
    assert began <= first <= clock.now() <= time.monotonic()
