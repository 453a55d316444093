"""Long commands that run on a phone by themselves, whatever becomes of the link.

A lost link kills what adb's shell runs. A job is therefore started in a session of its own, and its
folder on the phone tells the rest: `boot` (the boot id it was started under), `pid` (also its
process group), `out`, `err`, and `rc`, written last and by renaming. A missing `rc` under another
boot id means a reboot; without its process it means that the phone killed it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

from android_bench.adb.link import (
    BOOT_ID,
    Link,
    PhoneLost,
    PhoneProblem,
    PhoneRebooted,
    ShellResult,
)

OUTPUT_BYTES = 2**18  # collected of each stream, from its end: that is where results are
FILE_BYTES = 3 * 2**20  # of a file, from its beginning
_FILE_BLOCKS = 2**17  # of 512 bytes: what a tool gone wild may write before it is stopped
_POLL_TIMEOUT_S = 10.0
_FILE_TIMEOUT_S = 60.0
_POLL_S = (0.2, 2.0)  # first and longest pause; each poll costs the phone some processes
_GRACE_S = 60.0  # the phone's own time limit comes this much after ours


@dataclass(frozen=True)
class JobResult:
    """A finished job: its exit code (128 + the signal's number if it was killed) and output.

    `files` are those in its folder that were asked for, by name; "" for one that is not there.
    """

    exit_code: int
    stdout: str
    stderr: str
    files: Mapping[str, str] = field(default_factory=dict)


class Jobs:
    """Starts, follows and ends jobs on one phone; `root` is a folder of ours on it."""

    def __init__(self, link: Link, root: str):
        self.link = link
        self.folder = f"{root}/jobs"

    def run(
        self, command: str, timeout_s: float, files: Sequence[str] = (), least_s: float = 0.0
    ) -> JobResult:
        """Runs a shell command line in a job folder and waits for its end.

        Args:
            command: leaves its `files`, if any, in the folder that it is started in.
            timeout_s: its limit.
            files: names of those that are collected besides its output.
            least_s: what it takes if all goes well; until then the phone is left alone.

        Raises:
            PhoneProblem: no end within `timeout_s`, or the phone killed it.
            PhoneRebooted: the phone was restarted meanwhile.
            PhoneLost: the phone dropped out for longer than the link tolerates.
        """
        try:
            job = self.start(command, timeout_s)
            clock = self.link.adb.clock
            deadline = clock.now() + timeout_s
            for pause_s in _pauses(least_s):
                clock.sleep(min(pause_s, max(0.05, deadline - clock.now())))
                if self.poll(job):
                    break
                if clock.now() > deadline:
                    self.kill_all()
                    raise PhoneProblem(
                        f"no end within {timeout_s:g} s; killed on the phone",
                        remedy="raise the time limit, or measure a smaller model",
                    )
            return self.collect(job, files)
        except PhoneRebooted:
            raise
        except PhoneLost as lost:
            raise PhoneLost(f"left in mid-run: {lost.what}", lost.call) from lost

    def start(self, command: str, timeout_s: float) -> str:
        """Starts a job and returns its folder on the phone."""

        def attempt() -> str:
            # If the link broke in mid-start, the earlier try is swept before the next.
            self.kill_all()
            folder = f"{self.folder}/job-{secrets.token_hex(6)}"
            # Two calls: a start that is overtaken by a sweep finds its folder gone and gives up.
            for script in (_make_script(folder), _start_script(folder, command, timeout_s)):
                done = self.link.shell(script)
                if done.code != 0:
                    raise PhoneProblem(
                        "cannot start a job on the phone",
                        got=done.stderr or done.stdout or f"exit code {done.code}",
                        remedy="free some storage on the phone",
                    )
            return folder

        return self.link.patiently(attempt)

    def poll(self, job: str) -> bool:
        """Whether the job has ended; raises as `run` does."""
        script = (
            f"cd {quote(job)} 2>/dev/null || {{ echo swept; exit; }}\n"
            f'if [ -f rc ]; then echo done; elif [ "$({BOOT_ID})" != "$(cat boot)" ]; then\n'
            'echo rebooted; elif [ -d "/proc/$(cat pid)" ]; then echo running\n'
            "elif [ -f rc ]; then echo done\n"
            "elif echo room >room 2>/dev/null; then echo gone; else echo full; fi"
        )
        word = self._shell(script).stdout.strip()
        if word == "rebooted":
            raise PhoneRebooted("the phone rebooted in mid-run")
        if word == "full":
            raise PhoneProblem(
                "the phone's storage became full in mid-run",
                remedy="free some storage on the phone",
            )
        if word in ("gone", "swept"):
            raise PhoneProblem(
                "the phone killed the run, or something removed its folder",
                remedy="free memory on the phone: close its apps",
            )
        if word not in ("done", "running"):
            raise PhoneProblem("the phone gave an odd answer about a running job", got=word)
        return word == "done"

    def running(self) -> int:
        """How many jobs run on the phone, whoever started them."""
        folder = quote(self.folder)
        live = '[ -d "/proc/$p" ] && echo running'
        return self._shell(_each_live(f"{folder}*", live)).stdout.count("running\n")

    def collect(self, job: str, files: Sequence[str] = ()) -> JobResult:
        """The exit code, output and files of a job that has ended; its folder is removed."""
        code, stdout, stderr = (
            self._shell(f"tail -c {OUTPUT_BYTES} {quote(f'{job}/{name}')}").stdout
            for name in ("rc", "out", "err")
        )
        found = {
            name: self._shell(
                f"head -c {FILE_BYTES} {quote(f'{job}/{name}')} 2>/dev/null", _FILE_TIMEOUT_S
            ).stdout
            for name in files
        }
        self._shell(f"rm -rf {quote(job)}")
        if re.fullmatch(r"\s*\d{1,3}\s*", code) is None:
            raise PhoneProblem("the exit code of a run is unreadable", got=code[:60] or "empty")
        return JobResult(int(code), stdout, stderr, found)

    def kill_all(self, timeout_s: float = 10.0) -> None:
        """Ends every job of ours, this session's and any left by an earlier one.

        Raises:
            PhoneLost: the phone can't be reached.
        """
        self.link.shell(_kill_script(self.folder), timeout_s)

    def _shell(self, script: str, timeout_s: float = _POLL_TIMEOUT_S) -> ShellResult:
        return self.link.patiently(lambda: self.link.shell(script, timeout_s))


def _pauses(least_s: float) -> Iterator[float]:
    """Seconds before each look at a job: one soon, as it may fail to start, then none for long."""
    pause_s, longest_s = _POLL_S
    yield pause_s
    if least_s > pause_s:
        yield least_s - pause_s
    while True:
        yield pause_s
        pause_s = min(pause_s * 1.3, longest_s)


def _make_script(folder: str) -> str:
    return f"mkdir -p {quote(folder)} && {BOOT_ID} >{quote(folder)}/boot"


def _start_script(folder: str, command: str, timeout_s: float) -> str:
    job = quote(folder)
    # The last line ends the whole group: the time limit's `sleep`, and whatever the tool left.
    # A job whose folder was swept before its pid was on record must not run at all.
    inner = (
        f"cd {job} && echo $$ >pid.new && mv pid.new pid || exit 1\n"
        f"ulimit -f {_FILE_BLOCKS}\n"
        f"( sleep {int(timeout_s + _GRACE_S)}; kill -9 -$$ ) >/dev/null 2>&1 &\n"
        f"(\n{command}\n) >out 2>err\n"
        "echo $? >rc.new && mv rc.new rc\n"
        "kill -9 -$$"
    )
    return (
        f"cd {job} || exit 1\n"
        f"setsid sh -c {quote(inner)} </dev/null >/dev/null 2>&1 &\n"
        # adb's shell must not end, and hang up, before the job is on its own.
        f"n=0; until [ -f {job}/pid ]; do\n"
        f"n=$((n+1)); [ -d {job} ] && [ $n -le 50 ] || exit 1\n"
        "sleep 0.1 2>/dev/null || sleep 1; done"
    )


def _kill_script(folder: str) -> str:
    # Renamed first, so that a job that is just starting fails to put its pid on record and ends.
    jobs = quote(folder)
    # What still dies must not disturb what is measured next.
    kill = (
        'kill -9 "-$p" 2>/dev/null; n=0\n'
        'while grep -q "${job##*/}" "/proc/$p/cmdline" 2>/dev/null && [ $n -lt 20 ]; do\n'
        "n=$((n+1)); sleep 0.1 2>/dev/null || sleep 1; done"
    )
    kills = _each_live(f"{jobs}-*", kill)
    return f"[ ! -d {jobs} ] || mv {jobs} {jobs}-$$ || exit 1\n{kills}rm -rf {jobs}-*"


def _each_live(folders: str, action: str) -> str:
    # A pid whose command line does not name its job belongs to somebody else by now.
    return (
        f'now="$({BOOT_ID})"\n'
        f"for job in {folders}/job-*; do\n"
        '[ -f "$job/pid" ] && [ "$(cat "$job/boot")" = "$now" ] || continue\n'
        'p=$(cat "$job/pid"); case "$p" in ""|*[!0-9]*|0|1) continue;; esac\n'
        'if [ -d "/proc/$p" ] && ! grep -q "${job##*/}" "/proc/$p/cmdline" 2>/dev/null; then\n'
        "continue; fi\n"
        f"{action}\n"
        "done\n"
    )
