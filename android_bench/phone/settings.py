"""Changes phone settings for a session and guarantees that they are restored.

A restore script is written to the phone before anything is changed. It runs when the session ends;
from a watchdog on the phone, if the session died and its lease expired; or from the next session.
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
    """A change of a phone setting.

    Attributes:
        name: Name in messages.
        make: Shell command that makes the change.
        undo: Shell command that reverts it.
    """

    name: str
    make: str
    undo: str


# Clocks that the phone can sustain without throttling (Android 11 and later). Android has no
# command to read the current mode.
FIXED_PERFORMANCE = Setting(
    "fixed performance mode",
    "cmd power set-fixed-performance-mode-enabled true",
    "cmd power set-fixed-performance-mode-enabled false",
)


def change(shell: Shell, setting: Setting) -> None:
    """Changes a setting for this session; the phone must be leased.

    Raises:
        PhoneProblem: if the phone does not support the setting.
    """
    undo = f"{setting.undo}\nrm -f {RESTORE}\n"
    # The watchdog restores the setting when the lease is removed or expires.
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
            f"the phone does not support {setting.name}",
            got=one_line(done.stderr or done.stdout, 80) or f"exit code {done.code}",
            remedy="run without it",
        )


def restore(shell: Shell) -> None:
    """Reverts the changes of this or an earlier session."""
    shell(f"[ ! -f {RESTORE} ] || sh {RESTORE}")
