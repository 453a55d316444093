"""Which live processes belong to a virtual phone, however they were started."""

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
    """A live process; `pid` is the host's number for it."""

    pid: int
    command: str


def processes_of(phone_id: str) -> list[PhoneProcess]:
    """Live processes that carry the phone's mark in their environment (zombies carry none)."""
    mark = f"{MARK}={phone_id}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environment = (folder / "environ").read_bytes()
            if mark not in environment.split(b"\0"):
                continue
            command = (folder / "cmdline").read_bytes()
        except OSError:  # it ended meanwhile, or belongs to another user
            continue
        words = command.rstrip(b"\0").replace(b"\0", b" ")
        found.append(PhoneProcess(int(folder.name), words.decode(errors="replace")))
    return sorted(found, key=lambda process: process.pid)


def kill_all(phone_id: str, timeout_s: float = HANG_S) -> None:
    """Kills every process of the phone and waits until none is left.

    Raises:
        RuntimeError: something survived SIGKILL for `timeout_s`.
    """
    end_s = time.monotonic() + timeout_s
    while left := processes_of(phone_id):
        if time.monotonic() > end_s:
            raise RuntimeError(f"processes of virtual phone {phone_id} would not die: {left}")
        for process in left:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.01)
