"""The adb client as a subprocess: each call bounded in time and output, nothing of it left behind.

Why a subprocess and no Python client: the real client's behavior on lost links, keys and old
phones is known and maintained, and a call costs about 10 ms. The adb server is the user's own (it
holds the keys that the phones know) unless the environment names another; it is never killed,
since that would drop wireless links.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import selectors
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from android_bench.clock import Clock
from zoo.errors import ZooError, one_line

MAX_OUTPUT_BYTES = 4 * 2**20
_LOOK_S = 0.25  # whether a silent call has ended, or its time is over
DEVICES_TIMEOUT_S = 20.0  # includes starting the server, about 3 s on a slow computer

# What `adb devices` says instead of `device`: the reason and what to do about it.
BAD_STATES: Mapping[str, tuple[str, str]] = {
    "offline": ("device offline", "replug the phone, or disconnect and connect it again"),
    "unauthorized": ("device unauthorized", "unlock the phone and accept the key dialog on it"),
    "authorizing": ("device is still authorizing", "accept the key dialog on the phone, then wait"),
    "connecting": ("device is still connecting", "wait a few seconds and run again"),
    "no permissions": (
        "no permissions for the USB device",
        "add a udev rule for the phone, or join the plugdev group",
    ),
    "recovery": ("device is in recovery mode", "boot it to Android"),
    "rescue": ("device is in rescue mode", "boot it to Android"),
    "sideload": ("device is in sideload mode", "boot it to Android"),
    "bootloader": ("device is in its bootloader", "boot it to Android"),
    "host": ("device is in host mode", "switch the USB role on the phone"),
    "detached": ("device is detached from the adb server", "run `adb attach`"),
}
_ROW = re.compile(
    r"(?P<serial>\S.*?)\s+"
    rf"(?P<state>device|{'|'.join(BAD_STATES)})\b(?P<more>.*)"
)
_DETAIL = re.compile(r"(?<!\S)(\w+):(\S+)")


@dataclass(frozen=True)
class Completed:
    """What an adb call did.

    Attributes:
        arguments: of adb.
        returncode: None where it was killed; `killed_for` says why.
    """

    arguments: tuple[str, ...]
    returncode: int | None
    stdout: str
    stderr: str
    killed_for: str = ""


@dataclass(frozen=True)
class Attached:
    """One row of `adb devices -l`; `details` holds its `key:value` words, such as `model`."""

    serial: str
    state: str
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether adb would run commands on it."""
        return self.state == "device"

    @property
    def refusal(self) -> tuple[str, str] | None:
        """Why it is not usable, and what to do; None where it is usable."""
        unknown = (f"device is in state {one_line(self.state, 60)!r}", "replug the phone")
        return None if self.usable else BAD_STATES.get(self.state, unknown)

    @property
    def problem(self) -> str:
        """Both in one clause; empty where it is usable."""
        return ": ".join(self.refusal or ())


class Adb:
    """The adb client.

    Args:
        path: the executable; without it the system's, else the one that adbutils bundles.
        server_port: of the adb server; without it the environment decides (usually 5037).
        env: the environment of every call; without it this process's own.
        clock: what all waiting for phones goes by.

    Raises:
        ZooError: there is no adb.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        server_port: int | None = None,
        env: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ):
        self.path = _executable(path)
        self.clock = clock or Clock()
        self.env = dict(os.environ if env is None else env)
        if server_port is not None:
            self.env["ANDROID_ADB_SERVER_PORT"] = str(server_port)

    def run(
        self,
        *arguments: str,
        timeout_s: float,
        limit_bytes: int = MAX_OUTPUT_BYTES,
        typed: str = "",
        clock: Clock | None = None,
    ) -> Completed:
        """Runs `adb ARGUMENTS`; a call that takes too long or prints too much is killed whole.

        `typed`, at most a line, is its standard input: other users of this computer see arguments.
        The limit is by `clock`, the client's unless given.

        Raises:
            ZooError: adb can't be started.
        """
        try:
            process = subprocess.Popen(
                [self.path, *arguments],
                stdin=subprocess.PIPE if typed else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.env,
                start_new_session=True,  # so that it can be killed with its children
            )
        except OSError as error:
            raise ZooError(
                "cannot start adb",
                where=self.path,
                got=error.strerror,
                remedy="pip install --force-reinstall adbutils, or give --adb=PATH",
            ) from error
        try:
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError), process.stdin:
                    process.stdin.write(typed.encode())
            stdout, stderr, killed_for = _drain(
                process, clock or self.clock, timeout_s, limit_bytes
            )
        finally:
            _end(process)
        return Completed(
            arguments,
            None if killed_for else process.returncode,
            stdout.decode(errors="replace"),
            stderr.decode(errors="replace"),
            killed_for,
        )

    def devices(self) -> list[Attached]:
        """Every phone that the adb server knows, whatever its state.

        Raises:
            ZooError: the adb server can't be reached or started.
        """
        # The server is this computer's, whatever time a phone has.
        done = self.run("devices", "-l", timeout_s=DEVICES_TIMEOUT_S, clock=Clock())
        if done.returncode != 0:
            raise ZooError(
                "adb can't list phones",
                where=self.path,
                got=done.killed_for or done.stderr or f"exit code {done.returncode}",
                remedy="run `adb devices` by hand; check ANDROID_ADB_SERVER_PORT and the adb log",
            )
        return parse_devices(done.stdout)


def parse_devices(text: str) -> list[Attached]:
    """The rows of `adb devices -l`; lines of another form (`* daemon started…`) are left out."""
    found: list[Attached] = []
    started = False
    for line in text.splitlines():
        if line.startswith("List of devices"):
            started = True
        elif started and line.strip() and not line.startswith("*"):
            row = _ROW.fullmatch(line.strip())
            if row is not None:
                details = dict(_DETAIL.findall(row["more"]))
                found.append(Attached(row["serial"], row["state"], details))
            else:  # a state that a later adb invented
                serial, _, state = line.strip().partition(" ")
                found.append(Attached(serial, state.strip()[:60] or "unknown"))
    return found


def _executable(path: Path | str | None) -> str:
    remedy = "pip install adbutils (it bundles adb), or give --adb=PATH"
    if path is not None:
        found = shutil.which(str(path))
        if found is None:
            raise ZooError("no adb there, or not executable", where=path, remedy=remedy)
        return found
    # Where adbutils looks first, without importing it, which takes half a second.
    if not os.environ.get("ADBUTILS_ADB_PATH"):
        package = importlib.util.find_spec("adbutils")
        places = package.submodule_search_locations if package is not None else None
        bundled = Path(*places, "binaries", "adb") if places else None
        found = shutil.which("adb") or (shutil.which(bundled) if bundled else None)
        if found is not None:
            return str(found)
    import adbutils

    try:
        return adbutils.adb_path()
    except adbutils.AdbError as error:  # neither on the PATH nor in this platform's wheel
        raise ZooError("adb is not installed", remedy=remedy) from error


def _drain(
    process: subprocess.Popen[bytes], clock: Clock, timeout_s: float, limit_bytes: int
) -> tuple[bytes, bytes, str]:
    """Reads both streams until the process ends: (stdout, stderr, why it must be killed or "")."""
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - PIPE was asked
    streams: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    killed_for = ""
    deadline = clock.now() + timeout_s
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            left_s = deadline - clock.now()
            if left_s <= 0:
                killed_for = "no end within the time limit"
                break
            ready = selector.select(min(left_s, _LOOK_S))
            # A server that this call started may hold the pipes open for ever.
            if not ready and process.poll() is not None:
                break
            for key, _ in ready:
                stream = key.fileobj  # type: ignore[assignment]
                block = os.read(key.fd, 2**16)
                if not block:
                    selector.unregister(stream)
                streams[stream] += block
            if sum(map(len, streams.values())) > limit_bytes:
                killed_for = f"more than {limit_bytes} bytes of output"
                break
    if not killed_for:
        while process.poll() is None:
            if clock.now() >= deadline:
                killed_for = "no end within the time limit"
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)
    return bytes(streams[process.stdout]), bytes(streams[process.stderr]), killed_for


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
