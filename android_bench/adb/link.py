"""A link to one phone that never takes silence for success.

adb exits with 0 when the phone drops out in mid-command, and old phones have no exit codes at all.
So each command runs in a subshell between two random marks, the last one with its exit code: no
mark, no result, whatever adb returned.
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
_CONNECT_TIMEOUT_S = 12.0  # adb gives an unreachable address up after 5–11 s
_RETRY_EVERY_S = 0.5

BOOT_ID = "cat /proc/sys/kernel/random/boot_id 2>/dev/null"


class PhoneProblem(ZooError):
    """Something failed on a phone that can still be reached."""


class PhoneLost(ZooError):
    """The phone can't be reached.

    Attributes:
        call: the adb call that showed it, where one did.
    """

    def __init__(self, what: str, call: Completed | None = None):
        super().__init__(what)
        self.call = call


class PhoneRebooted(PhoneLost):
    """The phone was restarted, and what ran on it is gone."""


@dataclass(frozen=True)
class ShellResult:
    """A command's end on the phone. On Android 6 and older, stderr is mixed into stdout."""

    code: int
    stdout: str
    stderr: str


class Link:
    """Runs commands on one phone.

    Args:
        adb: the client.
        serial: as `adb devices` lists it.
        tolerance_s: how long `patiently` waits for a phone that dropped out.
    """

    def __init__(self, adb: Adb, serial: str, *, tolerance_s: float = 20.0):
        self.adb = adb
        self.serial = serial
        self.tolerance_s = tolerance_s
        self.losses = 0  # how often the phone dropped out and came back
        self.boot = ""  # the boot id under which everything so far was done

    def shell(self, command: str, timeout_s: float = SHELL_TIMEOUT_S) -> ShellResult:
        """Runs a POSIX shell command line; quote its arguments with `shlex.quote`.

        Raises:
            PhoneLost: the command's end was not seen, so it may have run, in part or not at all.
            PhoneProblem: it printed too much.
        """
        mark = secrets.token_hex(8)
        # The first mark sets off what a phone's shell complains about when it starts.
        script = f'echo "begin-{mark}"\n(\n{command}\n)\nmmz=$?; echo; echo "end-{mark} $mmz"'
        done = self.adb.run("-s", self.serial, "shell", script, timeout_s=timeout_s)
        stdout = done.stdout.replace("\r\n", "\n")
        found = re.search(rf"^begin-{mark}\n(.*)\nend-{mark} (\d{{1,3}})\n?\Z", stdout, re.M | re.S)
        if found is not None:
            return ShellResult(int(found[2]), found[1], done.stderr.replace("\r\n", "\n"))
        if done.killed_for.startswith("more than"):
            raise PhoneProblem("a command printed too much", got=done.killed_for)
        raise PhoneLost(lost_reason(done), done)

    def answers(self, timeout_s: float = _PROBE_TIMEOUT_S) -> bool:
        """Whether a trivial command comes back; `adb devices` lists a frozen phone as usable."""
        try:
            return self.shell("true", timeout_s).code == 0
        except PhoneLost:
            return False

    def reconnect(self, until: float) -> bool:
        """Tries to reach the phone again until the instant `until` of the clock.

        A phone on the network is disconnected and connected anew: the adb server drops one that was
        away for a minute and keeps a frozen connection for ever. A USB phone is waited for.
        """
        clock = self.adb.clock
        while (left_s := until - clock.now()) > 0:
            if self.answers(min(_PROBE_TIMEOUT_S, left_s)):
                return True
            if self._on_network():
                self.adb.run("disconnect", self.serial, timeout_s=_PROBE_TIMEOUT_S)
                left_s = max(1.0, until - clock.now())
                limit_s = min(_CONNECT_TIMEOUT_S, left_s)
                self.adb.run("connect", self.serial, timeout_s=limit_s)
                if self.answers(min(_PROBE_TIMEOUT_S, left_s)):
                    return True
            clock.sleep(min(_RETRY_EVERY_S, max(0.0, until - clock.now())))
        return False

    def patiently(self, operation: Callable[[], T]) -> T:
        """Runs an operation that may be repeated, again if the phone drops out and comes back.

        Raises:
            PhoneLost: the phone did not come back within `tolerance_s`.
            PhoneRebooted: it came back under another boot id than `boot`.
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
        """Changes with every boot; empty where the phone doesn't tell."""
        return self.shell(BOOT_ID).stdout.strip()[:64]

    def _check_boot(self) -> None:
        try:
            boot = self.boot_id()
        except PhoneLost:
            return  # gone again: the operation will say so
        if self.boot and boot and boot != self.boot:
            raise PhoneRebooted("the phone rebooted in mid-run")

    def _on_network(self) -> bool:
        return re.fullmatch(r".+:\d{1,5}", self.serial) is not None


def lost_reason(done: Completed) -> str:
    """Why an adb call did not reach the phone, in a clause, from what adb printed."""
    said = done.stderr.lower()
    for state in ("unauthorized", "offline", "authorizing", "no permissions"):
        if f"device {state}" in said or (state == "no permissions" and "permissions for" in said):
            reason, remedy = BAD_STATES[state]
            return f"{reason}: {remedy}"
    if "not found" in said or "no devices" in said:
        return "phone not found: it was unplugged or its link is gone"
    if done.killed_for:
        return "the phone does not answer (its link is frozen, or it hangs)"
    if done.stderr.strip():
        return f"the link to the phone failed: {one_line(done.stderr, 200)}"
    return "the link to the phone was lost in mid-command"
