"""The phone's own lock: a file that says who is using it, and until when.

The lock on this computer can't tell of another computer, nor of one phone that is attached by USB
and by Wi-Fi at once. A lease ends by itself, since whoever took it may have died; it counts in
seconds since boot, which nobody sets.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from shlex import quote

from android_bench.adb.link import BOOT_ID, PhoneProblem, ShellResult

PATH = "/data/local/tmp/mobile_model_zoo.lock"
_HELD = re.compile(r"held ([0-9a-f]{16})-(\d{1,10})-(\d{1,20}) (\d{1,9})")
Shell = Callable[[str], ShellResult]


class PhoneTaken(PhoneProblem):
    """Someone else is using the phone."""


class Lease:
    """A claim to one phone; `shell` runs commands there."""

    def __init__(self, shell: Shell):
        self._shell = shell
        pid = os.getpid()
        self.owner = f"{_computer()}-{pid}-{_started(pid)}"

    def claim(self, seconds: float) -> None:
        """Takes the phone, or keeps it, for so long from now on.

        Raises:
            PhoneTaken: someone else has it.
            PhoneProblem: its storage can't be written.
        """
        said = self._shell(_claim_script(self.owner, seconds, "")).stdout.strip()
        held = _HELD.fullmatch(said)
        if held is not None and _is_dead(held[1], int(held[2]), held[3]):
            dead = f"{held[1]}-{held[2]}-{held[3]}"
            said = self._shell(_claim_script(self.owner, seconds, dead)).stdout.strip()
            held = _HELD.fullmatch(said)
        if held is not None:
            here = "this computer" if held[1] == _computer() else "another computer"
            raise PhoneTaken(
                f"another benchmark, on {here}, is using the phone",
                got=f"its claim ends in {held[4]} s at the latest",
                remedy="wait for it, or end it",
            )
        if said != "mine":
            raise PhoneProblem(
                "cannot lock the phone", got=said or "no answer", remedy="free some storage on it"
            )

    def release(self) -> None:
        """Gives the phone back, if it is ours."""
        self._shell(
            f"read -r owner rest 2>/dev/null <{PATH} && [ \"$owner\" = {quote(self.owner)} ] &&\n"
            f"rm -f {PATH}; rm -f {PATH}.*; true"
        )  # fmt: skip


def _claim_script(owner: str, seconds: float, dead: str) -> str:
    # `set -C` makes the shell create the file only if there is none: of two, one succeeds.
    return (
        f"lock={PATH}; me={quote(owner)}; dead={quote(dead)}\n"
        "read -r up rest </proc/uptime; up=${up%.*}\n"
        f'boot="$({BOOT_ID})"; line="$me $((up + {round(seconds)})) $boot"\n'
        "owner=; until=0; theirs=\n"
        "[ ! -f $lock ] || read -r owner until theirs <$lock\n"
        'case "$until" in ""|*[!0-9]*) until=0;; esac\n'
        'if [ "$owner" = "$me" ]; then\n'
        # Storage that filled up does not take the phone away; the claim only isn't longer.
        '( echo "$line" >$lock.$$ ) 2>/dev/null && mv $lock.$$ $lock || rm -f $lock.$$\n'
        "echo mine; exit; fi\n"
        'if [ -n "$owner" ] && [ "$owner" != "$dead" ] && [ "$theirs" = "$boot" ] &&\n'
        '[ "$until" -gt "$up" ]; then echo "held $owner $((until - up))"; exit; fi\n'
        "[ ! -f $lock ] || { mv $lock $lock.$$ && rm -f $lock.$$; }\n"
        'if ( set -C; echo "$line" >$lock ) 2>/dev/null; then echo mine; exit; fi\n'
        'read -r owner until theirs <$lock && echo "held $owner $((until - up))"'
    )


def _computer() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    text = f"{platform.node()}\0{boot.read_text().strip() if boot.exists() else ''}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _started(pid: int) -> str:
    """When the process began, so that a later one with its number is not taken for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"


def _is_dead(computer: str, pid: int, started: str) -> bool:
    """Whether a claim of this computer is of a process that is no more."""
    if computer != _computer():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _started(pid) != started
