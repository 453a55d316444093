"""Finds and kills the processes of a virtual phone, regardless of how they were started."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import HANG_S

MARK = "VIRTUAL_PHONE_ID"


@dataclass(frozen=True)
class PhoneProcess:
    """A live process; `pid` is its process ID on the host."""

    pid: int
    command: str


def processes_of(phone_id: str) -> list[PhoneProcess]:
    """Returns the live processes with the phone's mark in their environment, but no zombies."""
    mark = f"{MARK}={phone_id}".encode()
    result = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environment = (folder / "environ").read_bytes()
            if mark not in environment.split(b"\0"):
                continue
            command = (folder / "cmdline").read_bytes()
        except OSError:  # it has just ended, or belongs to another user
            continue
        words = command.rstrip(b"\0").replace(b"\0", b" ")
        result.append(PhoneProcess(int(folder.name), words.decode(errors="replace")))
    return sorted(result, key=lambda process: process.pid)


def kill_all(phone_id: str, timeout_s: float = HANG_S) -> None:
    """Kills all processes of the phone and waits for their end.

    Raises:
        RuntimeError: if a process survives SIGKILL for `timeout_s`.
    """
    end_s = time.monotonic() + timeout_s
    while left := processes_of(phone_id):
        if time.monotonic() > end_s:
            raise RuntimeError(f"processes of virtual phone {phone_id} do not end: {left}")
        for process in left:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.01)
