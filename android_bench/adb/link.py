"""A link to one phone that detects commands cut off by a lost connection.

adb exits with 0 if the phone disconnects during a command, and old phones report no exit codes at
all. So each command runs in a subshell between two random marks, the second with the exit code.
Output without both marks counts as a lost link, whatever adb returned.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from android_bench.adb.client import BAD_STATES, Adb, Completed
from zoo.errors import ZooError, one_line

T = TypeVar("T")

SHELL_TIMEOUT_S = 15.0
_PROBE_TIMEOUT_S = 4.0
_CONNECT_TIMEOUT_S = 12.0  # adb gives up on an unreachable address after 5–11 s
_RETRY_EVERY_S = 0.5

BOOT_ID = "cat /proc/sys/kernel/random/boot_id 2>/dev/null"


class PhoneProblem(ZooError):
    """A failure on a phone that can still be reached."""


class PhoneLost(ZooError):
    """The phone cannot be reached.

    Attributes:
        call: The adb call that failed; None if there was none.
    """

    def __init__(self, what: str, call: Completed | None = None):
        super().__init__(what)
        self.call = call


class PhoneRebooted(PhoneLost):
    """The phone rebooted, which ended all jobs on it."""


@dataclass(frozen=True)
class ShellResult:
    """Exit code and output of a shell command on the phone.

    On Android 6 and older, `stdout` contains stderr as well.
    """

    code: int
    stdout: str
    stderr: str


class Link:
    """Runs commands on one phone.

    Args:
        adb: The adb client.
        serial: Serial number or address as listed by `adb devices`.
        tolerance_s: Seconds that `patiently` waits for a lost phone to come back.
    """

    def __init__(self, adb: Adb, serial: str, *, tolerance_s: float = 20.0):
        self.adb = adb
        self.serial = serial
        self.tolerance_s = tolerance_s
        self.losses = 0  # number of times the phone was lost and came back
        self.boot = ""  # expected boot id; empty to accept any

    def shell(self, command: str, timeout_s: float = SHELL_TIMEOUT_S) -> ShellResult:
        """Runs a POSIX shell command line; quote its arguments with `shlex.quote`.

        Raises:
            PhoneLost: if the end of the command was not seen. The command may have run fully,
                partly or not at all.
            PhoneProblem: if it printed too much output.
        """
        mark = secrets.token_hex(8)
        # The first mark separates the output from warnings that the shell prints at startup.
        script = f'echo "begin-{mark}"\n(\n{command}\n)\nmmz=$?; echo; echo "end-{mark} $mmz"'
        done = self.adb.run("-s", self.serial, "shell", script, timeout_s=timeout_s)
        stdout = done.stdout.replace("\r\n", "\n")
        match = re.search(rf"^begin-{mark}\n(.*)\nend-{mark} (\d{{1,3}})\n?\Z", stdout, re.M | re.S)
        if match is not None:
            return ShellResult(int(match[2]), match[1], done.stderr.replace("\r\n", "\n"))
        if done.killed_for.startswith("more than"):
            raise PhoneProblem("a command printed too much output", got=done.killed_for)
        raise PhoneLost(lost_reason(done), done)

    def answers(self, timeout_s: float = _PROBE_TIMEOUT_S) -> bool:
        """Returns whether a trivial command succeeds: `adb devices` lists frozen phones too."""
        try:
            return self.shell("true", timeout_s).code == 0
        except PhoneLost:
            return False

    def reconnect(self, until: float) -> bool:
        """Tries to reach the phone until the clock reaches `until`; returns whether it succeeded.

        A network phone is disconnected and reconnected, because the adb server drops a phone that
        was away for a minute and keeps a frozen connection forever. A USB phone reconnects by
        itself.
        """
        clock = self.adb.clock
        while (remaining_s := until - clock.now()) > 0:
            if self.answers(min(_PROBE_TIMEOUT_S, remaining_s)):
                return True
            if self._on_network():
                self.adb.run("disconnect", self.serial, timeout_s=_PROBE_TIMEOUT_S)
                remaining_s = max(1.0, until - clock.now())
                limit_s = min(_CONNECT_TIMEOUT_S, remaining_s)
                self.adb.run("connect", self.serial, timeout_s=limit_s)
                if self.answers(min(_PROBE_TIMEOUT_S, remaining_s)):
                    return True
            clock.sleep(min(_RETRY_EVERY_S, max(0.0, until - clock.now())))
        return False

    def patiently(self, operation: Callable[[], T]) -> T:
        """Runs an idempotent operation and repeats it if the phone is lost and comes back.

        Raises:
            PhoneLost: if the phone did not come back within `tolerance_s`.
            PhoneRebooted: if it came back with a boot id other than `boot`.
        """
        until: float | None = None
        while True:
            try:
                return operation()
            except PhoneRebooted:
                raise
            except PhoneLost as lost:
                now = self.adb.clock.now()
                until = now + self.tolerance_s if until is None else until
                if now >= until or not self.reconnect(until):
                    raise PhoneLost(
                        f"{lost.what}; it did not come back within {self.tolerance_s:g} s",
                        lost.call,
                    ) from lost
                self.losses += 1
                self._check_boot()

    def boot_id(self) -> str:
        """Returns the boot id, which changes with every boot; empty if the phone reports none."""
        return self.shell(BOOT_ID).stdout.strip()[:64]

    def _check_boot(self) -> None:
        try:
            boot = self.boot_id()
        except PhoneLost:
            return  # lost again: the operation raises it
        if self.boot and boot and boot != self.boot:
            raise PhoneRebooted("the phone rebooted during the run")

    def _on_network(self) -> bool:
        return re.fullmatch(r".+:\d{1,5}", self.serial) is not None


def lost_reason(done: Completed) -> str:
    """Returns why an adb call did not reach the phone, as a clause, from adb's output."""
    stderr = done.stderr.lower()
    for state in ("unauthorized", "offline", "authorizing", "no permissions"):
        if f"device {state}" in stderr or (
            state == "no permissions" and "permissions for" in stderr
        ):
            reason, remedy = BAD_STATES[state]
            return f"{reason}: {remedy}"
    if "not found" in stderr or "no devices" in stderr:
        return "phone not found: it was unplugged or its connection was lost"
    if done.killed_for:
        return "the phone does not respond (frozen link or hung phone)"
    if done.stderr.strip():
        return f"the link to the phone failed: {one_line(done.stderr, 200)}"
    return "the link to the phone was lost during a command"
