"""Runs the adb client as a child process, with limits on time and output.

A child process is used instead of a Python client because the official client handles lost links,
keys and old phones, and a call costs only about 10 ms. The adb server is the user's own, whose keys
the phones already accept, unless the environment selects another. The server is never killed, as
that would drop wireless links.
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
_POLL_S = 0.25  # how often a silent call is checked for its end and its timeout
DEVICES_TIMEOUT_S = 20.0  # includes starting the adb server: about 3 s on a slow computer

# States of `adb devices` other than `device`: state → (reason, remedy).
BAD_STATES: Mapping[str, tuple[str, str]] = {
    "offline": ("device offline", "replug the phone, or disconnect and reconnect it"),
    "unauthorized": ("device unauthorized", "unlock the phone and accept the USB debugging prompt"),
    "authorizing": (
        "device is still authorizing",
        "accept the USB debugging prompt on the phone, then wait",
    ),
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
    """Result of an adb call.

    Attributes:
        arguments: Arguments passed to adb.
        returncode: Exit code; None if adb was killed.
        stdout: Standard output, decoded.
        stderr: Standard error, decoded.
        killed_for: Reason why adb was killed; empty if it was not.
    """

    arguments: tuple[str, ...]
    returncode: int | None
    stdout: str
    stderr: str
    killed_for: str = ""


@dataclass(frozen=True)
class Attached:
    """One row of `adb devices -l`; `details` holds its `key:value` pairs, for example `model`."""

    serial: str
    state: str
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether adb can run commands on the device."""
        return self.state == "device"

    @property
    def refusal(self) -> tuple[str, str] | None:
        """(reason, remedy) if the device is not usable, else None."""
        unknown = (f"device is in state {one_line(self.state, 60)!r}", "replug the phone")
        return None if self.usable else BAD_STATES.get(self.state, unknown)

    @property
    def problem(self) -> str:
        """`reason: remedy`; empty if the device is usable."""
        return ": ".join(self.refusal or ())


class Adb:
    """The adb client.

    Args:
        path: Path or name of the executable. Default: adb on the PATH, else the one that adbutils
            bundles.
        server_port: Port of the adb server. Default: set by the environment, usually 5037.
        env: Environment variables of every call. Default: those of this process.
        clock: Clock for all timeouts and pauses. Default: this computer's.

    Raises:
        ZooError: if there is no adb executable.
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
        """Runs `adb ARGUMENTS`; kills adb and its children if it takes too long or prints too much.

        Args:
            *arguments: Arguments of adb.
            timeout_s: Timeout in seconds.
            limit_bytes: Limit on stdout and stderr together.
            typed: Standard input, at most one line. For secrets, as other users of this computer
                can see the arguments.
            clock: Clock of the timeout. Default: the client's.

        Raises:
            ZooError: if adb cannot be started.
        """
        try:
            process = subprocess.Popen(
                [self.path, *arguments],
                stdin=subprocess.PIPE if typed else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.env,
                start_new_session=True,  # its own process group, killed together with its children
            )
        except OSError as error:
            raise ZooError(
                "cannot start adb",
                where=self.path,
                got=error.strerror,
                remedy="pip install --force-reinstall adbutils, or pass --adb=PATH",
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
        """Lists the phones attached to the adb server, in any state.

        Raises:
            ZooError: if the adb server cannot be reached or started.
        """
        # The server runs in real time even if `self.clock` is simulated.
        done = self.run("devices", "-l", timeout_s=DEVICES_TIMEOUT_S, clock=Clock())
        if done.returncode != 0:
            raise ZooError(
                "adb can't list the phones",
                where=self.path,
                got=done.killed_for or done.stderr or f"exit code {done.returncode}",
                remedy="run `adb devices`; check ANDROID_ADB_SERVER_PORT and the adb log",
            )
        return parse_devices(done.stdout)


def parse_devices(text: str) -> list[Attached]:
    """Parses the output of `adb devices -l`; skips other lines (`* daemon started…`)."""
    devices: list[Attached] = []
    started = False
    for line in text.splitlines():
        if line.startswith("List of devices"):
            started = True
        elif started and line.strip() and not line.startswith("*"):
            match = _ROW.fullmatch(line.strip())
            if match is not None:
                details = dict(_DETAIL.findall(match["more"]))
                devices.append(Attached(match["serial"], match["state"], details))
            else:  # a state introduced by a newer adb
                serial, _, state = line.strip().partition(" ")
                devices.append(Attached(serial, state.strip()[:60] or "unknown"))
    return devices


def _executable(path: Path | str | None) -> str:
    remedy = "pip install adbutils (it bundles adb), or pass --adb=PATH"
    if path is not None:
        executable = shutil.which(str(path))
        if executable is None:
            raise ZooError("adb not found or not executable", where=path, remedy=remedy)
        return executable
    # Checks the same locations as adbutils without importing it, which takes half a second.
    if not os.environ.get("ADBUTILS_ADB_PATH"):
        package = importlib.util.find_spec("adbutils")
        folders = package.submodule_search_locations if package is not None else None
        bundled = Path(*folders, "binaries", "adb") if folders else None
        executable = shutil.which("adb") or (shutil.which(bundled) if bundled else None)
        if executable is not None:
            return str(executable)
    import adbutils

    try:
        return adbutils.adb_path()
    except adbutils.AdbError as error:  # neither on the PATH nor in the wheel for this platform
        raise ZooError("adb is not installed", remedy=remedy) from error


def _drain(
    process: subprocess.Popen[bytes], clock: Clock, timeout_s: float, limit_bytes: int
) -> tuple[bytes, bytes, str]:
    """Reads both streams until the process ends.

    Returns:
        stdout, stderr and the reason to kill the process, which is empty if it has ended.
    """
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - both are PIPE
    streams: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    killed_for = ""
    deadline = clock.now() + timeout_s
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            remaining_s = deadline - clock.now()
            if remaining_s <= 0:
                killed_for = "timed out"
                break
            ready = selector.select(min(remaining_s, _POLL_S))
            # An adb server started by this call may keep the pipes open forever.
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
                killed_for = "timed out"
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
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
