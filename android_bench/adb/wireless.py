"""Connects to phones over the network; energy measurements need a phone without a USB cable.

`adb connect` exits with 0 even if it fails, and a listed phone may be a dead link, so a phone only
counts as connected once a command on it succeeds. Every step has a timeout, and the adb server is
never killed.
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
_CONNECT_TIMEOUT_S = 12.0  # adb gives up on an unreachable address after 5–11 s
_PAIR_TIMEOUT_S = 20.0
_TCPIP_TIMEOUT_S = 10.0
_ANSWER_S = 8.0
_POLL_S = 0.5
_MAX_TEXT = 2**16
_HOST = r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9]{1,16})?\]"
_ON_WLAN = (
    r"^\d+: wlan\d+\s+inet ([0-9.]{7,15})/",  # from `ip addr`
    r"\bdev wlan\d+ .{0,200}?\bsrc ([0-9.]{7,15})\b",  # from `ip route`
)


def parse_address(text: str, port: int | None = None) -> str:
    """Parses `HOST[:PORT]` and returns `HOST:PORT`.

    Args:
        text: Address; an IPv6 host is in brackets.
        port: Default port; None if the address must contain one.

    Raises:
        ZooError: if `text` is not a valid address.
    """
    match = re.fullmatch(rf"({_HOST})(?::(\d{{1,5}}))?", text)
    number = int(match[2] or port or 0) if match else 0
    if match is None or not 0 < number < 65536:
        raise ZooError(
            "not an address of a phone",
            expected="HOST:PORT, e.g. 192.168.1.7:5555" if port is None else "HOST[:PORT]",
            got=repr(one_line(text, 80)),
            remedy="copy it from the phone: Developer options, Wireless debugging",
        )
    return f"{match[1]}:{number}"


def connect(
    adb: Adb,
    address: str,
    *,
    wait_s: float = 15.0,
    patient: bool = False,
    log: Log = lambda _: None,
) -> Attached:
    """Connects to a phone and checks the link by running a command.

    Args:
        adb: The adb client.
        address: `HOST:PORT`.
        wait_s: Seconds to wait for the user to accept the USB debugging prompt.
        patient: Whether a refused connection is retried within `wait_s`.
        log: Called with instructions for the user.

    Raises:
        ZooError: if the phone cannot be reached or has not authorized this computer.
    """
    until = adb.clock.now() + wait_s
    result = logged = ""
    phone = _listed(adb, address)
    while True:
        if phone is None or phone.state == "offline":
            if phone is not None:
                adb.run("disconnect", address, timeout_s=_CONNECT_TIMEOUT_S)
            result = _message(adb.run("connect", address, timeout_s=_CONNECT_TIMEOUT_S))
            phone = _listed(adb, address)
        if phone is not None and phone.usable:
            if Link(adb, address).reconnect(adb.clock.now() + _ANSWER_S):
                return phone
            result = f"connected, but commands time out after {_ANSWER_S:g} s"
            break
        if phone is not None and phone.problem != logged:
            logged = phone.problem
            log(logged)
        if adb.clock.now() >= until or (phone is None and not patient):
            break
        adb.clock.sleep(_POLL_S)
        phone = _listed(adb, address)
    if phone is not None and phone.state in ("unauthorized", "authorizing"):
        # Not disconnected: adb connects as soon as the prompt is accepted.
        raise ZooError(
            "the phone has not authorized this computer yet",
            where=address,
            got=phone.state,
            remedy="unlock the phone, accept the USB debugging prompt, and run this again",
        )
    adb.run("disconnect", address, timeout_s=_CONNECT_TIMEOUT_S)
    raise ZooError(
        "cannot connect to the phone",
        where=address,
        got=result,
        remedy="put both on the same network and check the port; with a cable: "
        "zoo phone connect --usb=SERIAL; Android 11+: zoo phone pair",
    )


def pair(adb: Adb, address: str, code: str) -> None:
    """Registers this computer's key with a phone (Android 11+), which need not be connected.

    Args:
        adb: The adb client.
        address: `HOST:PORT` shown next to the pairing code; it changes every time.
        code: The six-digit pairing code; secret, so no message contains it.

    Raises:
        ZooError: if the code is not six digits or the phone rejects it.
    """
    if not re.fullmatch(r"[0-9]{6}", code):
        raise ZooError(
            "not a pairing code",
            expected="the 6 digits shown on the phone next to its address",
            got=f"{len(code)} characters",
        )
    done = adb.run("pair", address, timeout_s=_PAIR_TIMEOUT_S, typed=f"{code}\n")
    message = _message(done).replace("Enter pairing code: ", "").replace(code, "······")
    if done.returncode == 0 and message.startswith("Successfully paired"):
        return
    raise ZooError(
        "the phone was not paired",
        where=address,
        got=message,
        remedy="on the phone: Developer options, Wireless debugging, Pair device with pairing "
        "code; keep that dialog open, and enter the address and the code that it shows",
    )


def over_usb(
    adb: Adb,
    usb: Attached,
    port: int = PORT,
    *,
    wait_s: float = 20.0,
    log: Log = lambda _: None,
) -> Attached:
    """Switches a USB phone to adb over Wi-Fi, which lasts until it reboots, and connects to it.

    Args:
        adb: The adb client.
        usb: The phone on its cable.
        port: TCP port for adb on the phone.
        wait_s: Seconds to wait for the connection.
        log: Called with instructions for the user.

    Raises:
        ZooError: if the phone is not usable over USB, has no Wi-Fi address or does not respond
            over Wi-Fi.
    """
    if not usb.usable:
        raise ZooError("the phone is not usable over USB", where=usb.serial, got=usb.problem)
    # Read before the switch, which breaks the USB link for a moment.
    address = wifi_address(Link(adb, usb.serial).shell(ADDRESSES_COMMAND).stdout)
    if address is None:
        raise ZooError(
            "the phone has no Wi-Fi address",
            where=usb.serial,
            remedy="turn on its Wi-Fi and join this computer's network",
        )
    done = adb.run("-s", usb.serial, "tcpip", str(port), timeout_s=_TCPIP_TIMEOUT_S)
    if "restarting in TCP mode" not in done.stdout:
        raise ZooError(
            "the phone did not switch to adb over Wi-Fi",
            where=usb.serial,
            got=_message(done),
            remedy="Android 11+: zoo phone pair HOST:PORT",
        )
    return connect(adb, f"{address}:{port}", wait_s=wait_s, patient=True, log=log)


def wifi_address(text: str) -> str | None:
    """Extracts the phone's Wi-Fi IPv4 address from the output of `ADDRESSES_COMMAND`.

    Returns None if there is none; never raises.
    """
    for pattern in _ON_WLAN:
        for address in re.findall(pattern, text[:_MAX_TEXT], re.MULTILINE):
            try:
                return str(ipaddress.IPv4Address(address))
            except ValueError:
                continue
    return None


def command_for(serial: str) -> str:
    """Returns the command that connects this USB phone over Wi-Fi."""
    return f"zoo phone connect --usb={quote(serial)}"


def _listed(adb: Adb, address: str) -> Attached | None:
    return next((phone for phone in adb.devices() if phone.serial == address), None)


def _message(done: Completed) -> str:
    message = one_line(f"{done.stdout} {done.stderr}", 300)
    return message or done.killed_for or f"exit code {done.returncode}"
