"""Settings of the phone that a session changes, and how they are sure to be put back.

What undoes them is written on the phone before anything is changed. It is done when the session
ends; by a watchdog on the phone, if the session died and its lease ran out; or by the next session.
"""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

from android_bench.adb.link import PhoneProblem
from android_bench.phone import lease
from android_bench.phone.lease import Shell
from zoo.errors import one_line

RESTORE = "/data/local/tmp/mobile_model_zoo.restore"
_WATCH_S = 2


@dataclass(frozen=True)
class Setting:
    """One change: shell commands that make and undo it."""

    name: str
    make: str
    undo: str


# Clocks that the phone can keep up without throttling (Android 11 and later). It can't be asked.
FIXED_PERFORMANCE = Setting(
    "fixed performance mode",
    "cmd power set-fixed-performance-mode-enabled true",
    "cmd power set-fixed-performance-mode-enabled false",
)


def change(shell: Shell, setting: Setting) -> None:
    """Makes a change that is undone in any case; the phone must be leased.

    Raises:
        PhoneProblem: the phone refuses it.
    """
    undo = f"{setting.undo}\nrm -f {RESTORE}\n"
    # The watchdog ends with the lease: removed, run out, or of an earlier boot.
    watchdog = (
        f"while [ -f {RESTORE} ] && read -r owner until boot <{lease.PATH} &&\n"
        "read -r up rest </proc/uptime && [ ${up%.*} -lt ${until:-0} ]; do "
        f"sleep {_WATCH_S}; done\n[ ! -f {RESTORE} ] || sh {RESTORE}"
    )
    done = shell(
        f"printf %s {quote(undo)} >{RESTORE}.new && mv {RESTORE}.new {RESTORE} || exit 1\n"
        f"setsid sh -c {quote(watchdog)} </dev/null >/dev/null 2>&1 &\n"
        f"{setting.make}"
    )
    if done.code != 0:
        restore(shell)
        raise PhoneProblem(
            f"the phone has no {setting.name}",
            got=one_line(done.stderr or done.stdout, 80) or f"exit code {done.code}",
            remedy="leave it out",
        )


def restore(shell: Shell) -> None:
    """Puts back what this or an earlier session changed."""
    shell(f"[ ! -f {RESTORE} ] || sh {RESTORE}")
