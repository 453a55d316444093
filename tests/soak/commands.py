"""The real `scripts.benchmark`, as a user runs it: again and again until nothing is left to do."""

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
_USER_S = 1.0  # before the command is typed again


@dataclass
class Command:
    """One phone's command and its runs so far.

    Attributes:
        server: of adb.
        phone: that is measured.
        flags: of the command.
        cases: (began, ended) of every case in `time.monotonic()`, also those that failed.
        seconds: of all runs together.
        processor_s: that they and their adb clients computed.
        codes: exit codes of the runs.
        output: all that was printed.
        gone: the phone left for good, and nobody types the command again.
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
        """SIGKILL to what runs now."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process is not None and self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def leave(self) -> None:
        """Unplugs the phone, for good."""
        self.gone = True
        self.phone.unplug()

    def run(self) -> int:
        """Runs it once; its exit code."""
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
        with self._lock:  # not while `kill` looks at it
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
        """Runs it until it has nothing left to do, or the phone is gone for good."""
        for _ in range(_MOST_ROUNDS):
            if self.run() == 0 or self.gone:
                return
            time.sleep(_USER_S)
