"""Connecting and pairing by the real adb client, to virtual phones and to nobody."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_bench.adb import wireless
from android_bench.adb.client import Adb
from android_bench.adb.link import Link
from tests.android_bench.conftest import Bench
from tests.virtual_phone import AdbServer, PhoneProfile, VirtualPhone
from tests.virtual_phone.server import free_port
from zoo.errors import ZooError
from zoo.schema.device import device_id


def states(bench: Bench) -> dict[str, str]:
    return {phone.serial: phone.state for phone in bench.adb.devices()}


def test_a_phone_that_listens(bench: Bench):
    with VirtualPhone() as phone:
        assert wireless.connect(bench.adb, phone.serial).serial == phone.serial
        assert wireless.connect(bench.adb, phone.serial).details["model"] == "VP865", "again"
        assert phone.commands(), "a command went there and back"
        bench.server.run("disconnect", phone.serial)


def test_a_dead_port(bench: Bench):
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(ZooError, match=r"cannot connect.*Connection refused.*--usb=SERIAL"):
        wireless.connect(bench.adb, address)
    assert bench.clock.pauses == [], "no waiting where nobody listens"
    assert address not in states(bench)


def test_a_key_dialog_that_is_accepted_meanwhile(bench: Bench):
    told: list[str] = []
    with VirtualPhone(PhoneProfile(auth="unauthorized")) as phone:

        def accept(text: str) -> None:
            told.append(text)
            threading.Thread(target=allow).start()

        def allow() -> None:
            bench.clock.wait_for_pauses(1)
            phone.authorize()

        found = wireless.connect(bench.adb, phone.serial, log=accept)
        assert found.usable
        assert told == ["device unauthorized: unlock the phone and accept the USB debugging prompt"]
        bench.server.run("disconnect", phone.serial)


def test_a_key_dialog_that_nobody_accepts(bench: Bench):
    with VirtualPhone(PhoneProfile(auth="unauthorized")) as phone:
        why = r"has not authorized.*unauthorized.*accept the USB debugging prompt"
        with pytest.raises(ZooError, match=why):
            wireless.connect(bench.adb, phone.serial, wait_s=60, log=lambda _: bench.clock.skip(60))
        phone.authorize()
        assert wireless.connect(bench.adb, phone.serial).usable, "accepted later, it is there"
        bench.server.run("disconnect", phone.serial)


def test_a_frozen_phone_is_not_connected(bench: Bench):
    """adb says `already connected` and lists it as usable."""
    with bench.phone() as phone:
        phone.freeze()
        bench.clock.hurry()
        with pytest.raises(ZooError, match="cannot connect"):
            wireless.connect(bench.adb, phone.serial)
        bench.clock.normal()
        phone.thaw()


def test_from_the_cable_to_wifi(bench: Bench):
    port = free_port()
    with bench.phone(wifi="127.0.0.1") as phone:
        usb = next(one for one in bench.adb.devices() if one.serial == phone.serial)
        found = wireless.over_usb(bench.adb, usb, port)
        assert found.serial == f"127.0.0.1:{port}"
        boot = Link(bench.adb, found.serial).boot_id()
        assert boot == Link(bench.adb, phone.serial).boot_id(), "the same phone"
        bench.server.run("disconnect", found.serial)


def test_a_phone_without_wifi(bench: Bench):
    with bench.phone(wifi="") as phone:
        usb = next(one for one in bench.adb.devices() if one.serial == phone.serial)
        with pytest.raises(ZooError, match=r"no Wi-Fi address.*turn on its Wi-Fi"):
            wireless.over_usb(bench.adb, usb)
        assert not [entry for entry in phone.log if entry.text.startswith("tcpip")]


def test_pairing_with_nobody_and_the_code_stays_secret(bench: Bench):
    with pytest.raises(ZooError, match=r"was not paired.*got: .+to do: on the phone") as raised:
        wireless.pair(bench.adb, f"127.0.0.1:{free_port()}", "734182")
    assert "734182" not in str(raised.value)
    with pytest.raises(ZooError, match=r"not a pairing code.*got: 7 characters") as raised:
        wireless.pair(bench.adb, "127.0.0.1:1", "73418x2")
    assert "73418" not in str(raised.value)


@pytest.mark.parametrize(
    ("said", "good"),
    [
        ("echo Successfully paired to $2 [guid=adb-R58-x]", True),
        ("echo Failed: Wrong password or connection was dropped.", False),
        ('read code; echo "Failed: $code is wrong"', False),
        ("echo Successfully paired; exit 1", False),
    ],
)
def test_what_other_clients_say_of_pairing(tmp_path, said, good):
    client = tmp_path / "adb"
    client.write_text(f'#!/bin/sh\n[ "$*" = "pair h:1" ] || exit 9\n{said}\n')
    client.chmod(0o755)
    adb = Adb(client)
    if good:
        wireless.pair(adb, "h:1", "734182")
    else:
        with pytest.raises(ZooError, match="not paired") as raised:
            wireless.pair(adb, "h:1", "734182")
        assert "734182" not in str(raised.value)


# Addresses


@pytest.mark.parametrize(
    ("text", "port", "expected"),
    [
        ("192.168.1.7", 5555, "192.168.1.7:5555"),
        ("192.168.1.7:41235", 5555, "192.168.1.7:41235"),
        ("phone-1.local:1", None, "phone-1.local:1"),
        ("[fe80::1%wlan0]:5555", None, "[fe80::1%wlan0]:5555"),
    ],
)
def test_addresses(text, port, expected):
    assert wireless.parse_address(text, port) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-H:1",
        "a b:1",
        "host",
        "host:",
        "host:0",
        "host:65536",
        "host:1:2",
        "h;reboot:1",
        "h\n:1",
    ],
)
def test_no_addresses(text):
    with pytest.raises(ZooError, match="not an address"):
        wireless.parse_address(text)


LINES = (
    "1: lo    inet 127.0.0.1/8 scope host lo", "30: wlan0    inet 192.168.1.5/24 brd x",
    "30: wlan0    inet 999.1.1.1/24 brd x", "18: rmnet0    inet 10.1.2.3/29 scope global",
    "192.168.1.0/24 dev wlan0 proto kernel scope link src 192.168.1.9", "\x00", "dev wlan0 src",
)  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (LINES, "192.168.1.5"),
        ((LINES[0], LINES[2], LINES[4]), "192.168.1.9"),
        ((LINES[0], LINES[3]), None),
        ((), None),
    ],
)
def test_wifi_address(lines, expected):
    assert wireless.wifi_address("\n".join(lines)) == expected


@given(st.text() | st.lists(st.sampled_from(LINES)).map("\n".join))
def test_any_text_gives_an_address_or_none(text: str):
    found = wireless.wifi_address(text)
    assert found is None or wireless.parse_address(found, 1) == f"{found}:1"


# The command


def test_the_commands(command):
    with AdbServer() as adb, VirtualPhone(PhoneProfile(wifi="127.0.0.1")) as phone:
        done = command("phone", "list", **adb.env)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: no phone is attached | to do: ")
        done = command("phone", "connect", phone.serial, **adb.env)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"connected: {phone.serial} ({device_id(phone.serial)})\n"
        port = free_port()
        done = command("phone", "connect", f"--usb={phone.serial}", f"--port={port}", **adb.env)
        assert done.returncode == 0, done.stderr
        assert "unplug the cable" in done.stdout
        with VirtualPhone(PhoneProfile(auth="unauthorized")) as shy:
            done = command("phone", "connect", shy.serial, "--wait_secs=0.5", **adb.env)
            assert done.returncode == 1
            assert "accept the USB debugging prompt" in done.stdout + done.stderr
            done = command("phone", "list", **adb.env)
            assert done.returncode == 0, "one is usable"
            rows = {line.split()[0]: line for line in done.stdout.splitlines()}
            assert set(rows) == {phone.serial, shy.serial, f"127.0.0.1:{port}"}
            assert rows[phone.serial].split()[1:] == [device_id(phone.serial), "device", "VP865"]
            assert "unauthorized" in rows[shy.serial] and "USB debugging prompt" in rows[shy.serial]


def test_wrong_arguments(command):
    for words, said in (
        ((), "a subcommand is required"),
        (("lst",), "did you mean list"),
        (("connect",), "wrong arguments"),
        (("pair", "h:1", "734182", "x"), "3 arguments"),
        (("pair",), "got: none"),
        (("pair", "h:1"), "a pairing code is required"),
        (("doctor", "--sample_secs=0"), "sample_secs"),
    ):
        done = command("phone", *words)
        assert done.returncode in (1, 2) and said in done.stderr
        assert done.stderr.count("\n") == 1 and "734182" not in done.stderr
    done = command("phone", "--help")
    assert "connect --usb=SERIAL" in done.stdout and "--sample_secs" in done.stdout
