"""Runs the real `scripts.benchmark` as a user does, repeatedly until all cases are measured."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.virtual_phone import AdbServer, VirtualPhone

_ROOT = Path(__file__).parents[2]
_CASE = re.compile(r"phone [0-9a-f]{12}: (\d+)/(\d+) ")
_MOST_ROUNDS = 60
_USER_S = 1.0  # pause before the command is run again


@dataclass
class Command:
    """The command for a phone, and its runs so far.

    Attributes:
        server: The adb server.
        phone: The phone.
        flags: Flags of the command.
        cases: Start and end of each case in `time.monotonic()`, including failed cases.
        seconds: Duration of all runs.
        processor_s: CPU time of all runs and their adb clients.
        codes: Exit codes of the runs.
        output: Output lines of all runs.
        gone: Whether the phone was disconnected for good, so the command is not repeated.
    """

    server: AdbServer
    phone: VirtualPhone
    flags: Sequence[str]
    cases: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    processor_s: float = 0.0
    codes: list[int] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    gone: bool = False

    def __post_init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def kill(self) -> None:
        """Sends SIGKILL to the current run."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process is not None and self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def leave(self) -> None:
        """Unplugs the phone for good."""
        self.gone = True
        self.phone.unplug()

    def run(self) -> int:
        """Runs the command once and returns its exit code."""
        self.server.run("connect", self.phone.serial)
        started = time.monotonic()
        words = ["-m", "scripts.benchmark", f"--device={self.phone.serial}", *self.flags]
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=_ROOT,
            env={**os.environ, **self.server.env, "TMPDIR": os.environ.get("TMPDIR", "/tmp")},  # noqa: S108
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        with self._lock:
            self._process = process
        assert process.stdout is not None
        began: float | None = None
        for line in process.stdout:
            now = time.monotonic()
            self.output.append(line.rstrip("\n"))
            if _CASE.match(line):
                if began is not None:
                    self.cases.append((began, now))
                began = now
        with self._lock:  # `kill` must not signal a process ID that is being released
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = code = os.waitstatus_to_exitcode(status)
        self.processor_s += used.ru_utime + used.ru_stime
        now = time.monotonic()
        if began is not None and code in (0, 1):
            self.cases.append((began, now))
        self.seconds += now - started
        self.codes.append(code)
        return code

    def run_to_the_end(self) -> None:
        """Runs the command until it succeeds or the phone is gone."""
        for _ in range(_MOST_ROUNDS):
            if self.run() == 0 or self.gone:
                return
            time.sleep(_USER_S)
