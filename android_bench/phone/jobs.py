"""Runs long commands on a phone detached from adb, so they survive a lost link.

A lost link kills the processes of adb's shell, so each job runs in its own session and keeps its
state in a folder on the phone: `boot` (boot id at its start), `pid` (also its process group),
`out`, `err` and `rc` (exit code), which is written last and atomically. If `rc` is missing, a
changed boot id means that the phone rebooted, and a missing process means that the phone killed
the job.
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

OUTPUT_BYTES = 2**18  # kept from the end of each stream, where the results are
FILE_BYTES = 3 * 2**20  # kept from the beginning of each file
_FILE_BLOCKS = 2**17  # limit on the size of a file that a job writes, in 512-byte blocks
_POLL_TIMEOUT_S = 10.0
_FILE_TIMEOUT_S = 60.0
_POLL_S = (0.2, 2.0)  # first and longest pause; each poll starts a few processes on the phone
_GRACE_S = 60.0  # the phone's own timeout is this much later than the host's


@dataclass(frozen=True)
class JobResult:
    """Result of a finished job.

    Attributes:
        exit_code: Exit code; 128 + signal number if the job was killed.
        stdout: Last `OUTPUT_BYTES` of standard output.
        stderr: Last `OUTPUT_BYTES` of standard error.
        files: Contents of the requested files by name; "" for a missing file.
    """

    exit_code: int
    stdout: str
    stderr: str
    files: Mapping[str, str] = field(default_factory=dict)


class Jobs:
    """Starts, polls and kills jobs on one phone.

    Args:
        link: Link to the phone.
        root: Folder on the phone for all of our files; jobs are in its subfolder `jobs`.
    """

    def __init__(self, link: Link, root: str):
        self.link = link
        self.folder = f"{root}/jobs"

    def run(
        self, command: str, timeout_s: float, files: Sequence[str] = (), least_s: float = 0.0
    ) -> JobResult:
        """Runs a shell command line in a job folder and waits until it ends.

        Args:
            command: Command line; its working directory is the job folder.
            timeout_s: Timeout in seconds.
            files: Names of files in the job folder to collect as well.
            least_s: Expected minimum duration in seconds. The phone is not polled until then, to
                leave the measurement undisturbed.

        Raises:
            PhoneProblem: if the job times out or the phone kills it.
            PhoneRebooted: if the phone reboots during the job.
            PhoneLost: if the phone is lost for longer than the link tolerates.
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
                        f"timed out after {timeout_s:g} s; killed on the phone",
                        remedy="raise the timeout, or measure a smaller model",
                    )
            return self.collect(job, files)
        except PhoneRebooted:
            raise
        except PhoneLost as lost:
            raise PhoneLost(f"phone lost during the run: {lost.what}", lost.call) from lost

    def start(self, command: str, timeout_s: float) -> str:
        """Starts a job and returns its folder on the phone."""

        def attempt() -> str:
            # Ends the job of an earlier attempt whose link broke during the start.
            self.kill_all()
            folder = f"{self.folder}/job-{secrets.token_hex(6)}"
            # Two calls: a delayed start script finds its folder removed by `kill_all` and exits.
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
        """Returns whether the job has ended.

        Raises:
            PhoneProblem: if the phone killed the job or its storage is full.
            PhoneRebooted: if the phone rebooted during the job.
            PhoneLost: if the phone is lost for longer than the link tolerates.
        """
        script = (
            f"cd {quote(job)} 2>/dev/null || {{ echo swept; exit; }}\n"
            f'if [ -f rc ]; then echo done; elif [ "$({BOOT_ID})" != "$(cat boot)" ]; then\n'
            'echo rebooted; elif [ -d "/proc/$(cat pid)" ]; then echo running\n'
            "elif [ -f rc ]; then echo done\n"
            "elif echo room >room 2>/dev/null; then echo gone; else echo full; fi"
        )
        word = self._shell(script).stdout.strip()
        if word == "rebooted":
            raise PhoneRebooted("the phone rebooted during the run")
        if word == "full":
            raise PhoneProblem(
                "the phone's storage filled up during the run",
                remedy="free some storage on the phone",
            )
        if word in ("gone", "swept"):
            raise PhoneProblem(
                "the phone killed the run, or its folder was removed",
                remedy="free memory on the phone: close apps",
            )
        if word not in ("done", "running"):
            raise PhoneProblem("the phone reported an unknown job state", got=word)
        return word == "done"

    def running(self) -> int:
        """Counts the jobs running on the phone, including those of other sessions and computers."""
        folder = quote(self.folder)
        live = '[ -d "/proc/$p" ] && echo running'
        return self._shell(_each_live(f"{folder}*", live)).stdout.count("running\n")

    def collect(self, job: str, files: Sequence[str] = ()) -> JobResult:
        """Returns the result of a job that has ended and removes its folder."""
        code, stdout, stderr = (
            self._shell(f"tail -c {OUTPUT_BYTES} {quote(f'{job}/{name}')}").stdout
            for name in ("rc", "out", "err")
        )
        contents = {
            name: self._shell(
                f"head -c {FILE_BYTES} {quote(f'{job}/{name}')} 2>/dev/null", _FILE_TIMEOUT_S
            ).stdout
            for name in files
        }
        self._shell(f"rm -rf {quote(job)}")
        if re.fullmatch(r"\s*\d{1,3}\s*", code) is None:
            raise PhoneProblem("the exit code of a run is unreadable", got=code[:60] or "empty")
        return JobResult(int(code), stdout, stderr, contents)

    def kill_all(self, timeout_s: float = 10.0) -> None:
        """Kills the jobs of this and of earlier sessions, and removes their folders.

        Raises:
            PhoneLost: if the phone cannot be reached.
        """
        self.link.shell(_kill_script(self.folder), timeout_s)

    def _shell(self, script: str, timeout_s: float = _POLL_TIMEOUT_S) -> ShellResult:
        return self.link.patiently(lambda: self.link.shell(script, timeout_s))


def _pauses(least_s: float) -> Iterator[float]:
    """Yields the seconds before each poll.

    The first poll comes early, as the job may fail to start, and the next one after `least_s`.
    """
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
    # The last line kills the process group: the timeout's `sleep` and any children of the tool.
    # A job whose folder was removed before it wrote its pid must not run, as nothing could kill it.
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
        # adb's shell must not exit, which sends SIGHUP, before the job is detached.
        f"n=0; until [ -f {job}/pid ]; do\n"
        f"n=$((n+1)); [ -d {job} ] && [ $n -le 50 ] || exit 1\n"
        "sleep 0.1 2>/dev/null || sleep 1; done"
    )


def _kill_script(folder: str) -> str:
    # Renamed first, so a job that is just starting fails to write its pid and exits.
    jobs = quote(folder)
    # Waits until each process is gone, so it does not disturb the next measurement.
    kill = (
        'kill -9 "-$p" 2>/dev/null; n=0\n'
        'while grep -q "${job##*/}" "/proc/$p/cmdline" 2>/dev/null && [ $n -lt 20 ]; do\n'
        "n=$((n+1)); sleep 0.1 2>/dev/null || sleep 1; done"
    )
    kills = _each_live(f"{jobs}-*", kill)
    return f"[ ! -d {jobs} ] || mv {jobs} {jobs}-$$ || exit 1\n{kills}rm -rf {jobs}-*"


def _each_live(folders: str, action: str) -> str:
    # A pid whose command line does not contain its job's name was reused by another process.
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
