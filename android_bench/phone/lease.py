"""A lock on the phone itself: a file with its owner and expiry time.

The lock on this computer covers neither other computers nor a phone that is attached over USB and
Wi-Fi at once. A lease expires, because its owner may have died. Its expiry time is in seconds since
boot, as the wall clock may be changed.
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
    """The phone is in use by another benchmark."""


class Lease:
    """A lease of one phone.

    Args:
        shell: Runs a shell command on the phone.
    """

    def __init__(self, shell: Shell):
        self._shell = shell
        pid = os.getpid()
        self.owner = f"{_computer()}-{pid}-{_started(pid)}"

    def claim(self, seconds: float) -> None:
        """Takes or extends the lease; it expires `seconds` from now.

        Raises:
            PhoneTaken: if another benchmark holds the lease.
            PhoneProblem: if the phone's storage cannot be written.
        """
        reply = self._shell(_claim_script(self.owner, seconds, "")).stdout.strip()
        held = _HELD.fullmatch(reply)
        if held is not None and _is_dead(held[1], int(held[2]), held[3]):
            dead = f"{held[1]}-{held[2]}-{held[3]}"
            reply = self._shell(_claim_script(self.owner, seconds, dead)).stdout.strip()
            held = _HELD.fullmatch(reply)
        if held is not None:
            computer = "this computer" if held[1] == _computer() else "another computer"
            raise PhoneTaken(
                f"another benchmark on {computer} is using the phone",
                got=f"its lease expires in {held[4]} s at the latest",
                remedy="wait for it to finish, or end it",
            )
        if reply != "mine":
            raise PhoneProblem(
                "cannot lock the phone", got=reply or "no reply", remedy="free some storage on it"
            )

    def release(self) -> None:
        """Ends the lease if it is ours."""
        self._shell(
            f"read -r owner rest 2>/dev/null <{PATH} && [ \"$owner\" = {quote(self.owner)} ] &&\n"
            f"rm -f {PATH}; rm -f {PATH}.*; true"
        )  # fmt: skip


def _claim_script(owner: str, seconds: float, dead: str) -> str:
    # `set -C` makes the shell fail if the file exists, so only one of two claims succeeds.
    return (
        f"lock={PATH}; me={quote(owner)}; dead={quote(dead)}\n"
        "read -r up rest </proc/uptime; up=${up%.*}\n"
        f'boot="$({BOOT_ID})"; line="$me $((up + {round(seconds)})) $boot"\n'
        "owner=; until=0; theirs=\n"
        "[ ! -f $lock ] || read -r owner until theirs <$lock\n"
        'case "$until" in ""|*[!0-9]*) until=0;; esac\n'
        'if [ "$owner" = "$me" ]; then\n'
        # On full storage the lease is kept but not extended.
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
    """Returns when a process started, in clock ticks since boot; distinguishes reused pids."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"


def _is_dead(computer: str, pid: int, started: str) -> bool:
    """Returns whether a lease belongs to a process of this computer that no longer runs."""
    if computer != _computer():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _started(pid) != started
