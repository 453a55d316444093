"""Reaching a phone over the network, which is how its energy can be measured.

`adb connect` exits with 0 also where it fails, and a listed phone may be a dead link: what counts
is a command that comes back. Every step is bounded in time, and the adb server is never killed.
"""

from __future__ import annotations

import ipaddress
import re
from shlex import quote

from android_bench.adb.client import Adb, Attached, Completed
from android_bench.adb.link import Link
from zoo.errors import ZooError, one_line
from zoo.io.log import Log

PORT = 5555
ADDRESSES_COMMAND = "ip -o -4 addr show 2>/dev/null; ip route 2>/dev/null"
_CONNECT_TIMEOUT_S = 12.0  # adb gives an unreachable address up after 5–11 s
_PAIR_TIMEOUT_S = 20.0
_TCPIP_TIMEOUT_S = 10.0
_ANSWER_S = 8.0
_POLL_S = 0.5
_MAX_TEXT = 2**16
_HOST = r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9]{1,16})?\]"
_ON_WLAN = (
    r"^\d+: wlan\d+\s+inet ([0-9.]{7,15})/",  # of `ip addr`
    r"\bdev wlan\d+ .{0,200}?\bsrc ([0-9.]{7,15})\b",  # of `ip route`
)


def parse_address(text: str, port: int | None = None) -> str:
    """`HOST:PORT` of `HOST[:PORT]`; an IPv6 host stands in brackets.

    Args:
        text: the address.
        port: where it names none; None where it must.

    Raises:
        ZooError: it is no address.
    """
    found = re.fullmatch(rf"({_HOST})(?::(\d{{1,5}}))?", text)
    number = int(found[2] or port or 0) if found else 0
    if found is None or not 0 < number < 65536:
        raise ZooError(
            "not an address of a phone",
            expected="HOST:PORT, such as 192.168.1.7:5555" if port is None else "HOST[:PORT]",
            got=repr(one_line(text, 80)),
            remedy="the phone shows it under Developer options, Wireless debugging",
        )
    return f"{found[1]}:{number}"


def connect(
    adb: Adb,
    address: str,
    *,
    wait_s: float = 15.0,
    patient: bool = False,
    log: Log = lambda _: None,
) -> Attached:
    """Connects to a phone and proves it by a command that comes back.

    Args:
        adb: the client.
        address: `HOST:PORT`.
        wait_s: how long to wait for someone to accept the key dialog.
        patient: whether a refused connection is tried again meanwhile.
        log: gets what to do about it, as soon as that is known.

    Raises:
        ZooError: it can't be reached, or does not let this computer in.
    """
    until = adb.clock.now() + wait_s
    said = told = ""
    phone = _listed(adb, address)
    while True:
        if phone is None or phone.state == "offline":
            if phone is not None:
                adb.run("disconnect", address, timeout_s=_CONNECT_TIMEOUT_S)
            said = _said(adb.run("connect", address, timeout_s=_CONNECT_TIMEOUT_S))
            phone = _listed(adb, address)
        if phone is not None and phone.usable:
            if Link(adb, address).reconnect(adb.clock.now() + _ANSWER_S):
                return phone
            said = f"connected, but no command comes back within {_ANSWER_S:g} s"
            break
        if phone is not None and phone.problem != told:
            told = phone.problem
            log(told)
        if adb.clock.now() >= until or (phone is None and not patient):
            break
        adb.clock.sleep(_POLL_S)
        phone = _listed(adb, address)
    if phone is not None and phone.state in ("unauthorized", "authorizing"):
        # Stays connected: as soon as the dialog is accepted, the phone is there.
        raise ZooError(
            "the phone does not let this computer in yet",
            where=address,
            got=phone.state,
            remedy="unlock the phone, accept the key dialog on it, and run this again",
        )
    adb.run("disconnect", address, timeout_s=_CONNECT_TIMEOUT_S)
    raise ZooError(
        "cannot connect to the phone",
        where=address,
        got=said,
        remedy="put both into one network and check the port; by cable first: "
        "python -m scripts.phone connect --usb=SERIAL; Android 11+: python -m scripts.phone pair",
    )


def pair(adb: Adb, address: str, code: str) -> None:
    """Makes this computer's key known to a phone (Android 11+), which need not be connected.

    Args:
        adb: the client.
        address: `HOST:PORT` that the phone shows beside the code; it changes every time.
        code: the six digits that it shows; a secret, which no message holds.

    Raises:
        ZooError: they are no six digits, or the phone does not accept them.
    """
    if not re.fullmatch(r"[0-9]{6}", code):
        raise ZooError(
            "not a pairing code",
            expected="the 6 digits that the phone shows beside its address",
            got=f"{len(code)} characters",
        )
    done = adb.run("pair", address, timeout_s=_PAIR_TIMEOUT_S, typed=f"{code}\n")
    said = _said(done).replace("Enter pairing code: ", "").replace(code, "······")
    if done.returncode == 0 and said.startswith("Successfully paired"):
        return
    raise ZooError(
        "the phone was not paired",
        where=address,
        got=said,
        remedy="on the phone: Developer options, Wireless debugging, Pair device with pairing "
        "code; keep that dialog open, and give the address and the code that it shows",
    )


def over_usb(
    adb: Adb,
    usb: Attached,
    port: int = PORT,
    *,
    wait_s: float = 20.0,
    log: Log = lambda _: None,
) -> Attached:
    """Makes a phone on a cable listen on its Wi-Fi, until it boots again, and connects to that.

    Raises:
        ZooError: it is not usable by cable, has no Wi-Fi address, or does not answer there.
    """
    if not usb.usable:
        raise ZooError("the phone is not usable by cable", where=usb.serial, got=usb.problem)
    # Asked before the switch, which breaks the cable's link for a moment.
    address = wifi_address(Link(adb, usb.serial).shell(ADDRESSES_COMMAND).stdout)
    if address is None:
        raise ZooError(
            "the phone has no Wi-Fi address",
            where=usb.serial,
            remedy="turn its Wi-Fi on and join this computer's network",
        )
    done = adb.run("-s", usb.serial, "tcpip", str(port), timeout_s=_TCPIP_TIMEOUT_S)
    if "restarting in TCP mode" not in done.stdout:
        raise ZooError(
            "the phone does not switch to the network",
            where=usb.serial,
            got=_said(done),
            remedy="Android 11+: python -m scripts.phone pair HOST:PORT",
        )
    return connect(adb, f"{address}:{port}", wait_s=wait_s, patient=True, log=log)


def wifi_address(text: str) -> str | None:
    """The phone's IPv4 address on Wi-Fi from the output of `ADDRESSES_COMMAND`; never raises."""
    for pattern in _ON_WLAN:
        for found in re.findall(pattern, text[:_MAX_TEXT], re.MULTILINE):
            try:
                return str(ipaddress.IPv4Address(found))
            except ValueError:
                continue
    return None


def command_for(serial: str) -> str:
    """What a user types to measure this phone without its cable."""
    return f"python -m scripts.phone connect --usb={quote(serial)}"


def _listed(adb: Adb, address: str) -> Attached | None:
    return next((phone for phone in adb.devices() if phone.serial == address), None)


def _said(done: Completed) -> str:
    said = one_line(f"{done.stdout} {done.stderr}", 300)
    return said or done.killed_for or f"exit code {done.returncode}"
