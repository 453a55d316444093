"""What a phone was asked and what happened to it, and calls that tests hang on that."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.processes import HANG_S


@dataclass(frozen=True)
class LogEntry:
    """One thing that the phone was asked, or that happened to it.

    Attributes:
        time_s: `time.monotonic()` of the moment.
        kind: `connect`, `key offered`, `open` (a service), `command`, `exit`, `push`, `pull`,
            `stat`, `list`, `unplug`, `plug`, `freeze`, `thaw`, `go_offline`, `reboot`, `boot`,
            `cut`, `disk full`, `throttle`, `clock`, `busy`.
        text: the service, command or path.
        status: exit status, for `exit`.
    """

    time_s: float
    kind: str
    text: str = ""
    status: int | None = None


@dataclass
class _Hook:
    pattern: re.Pattern[str]
    callback: Callable[[], object]
    times_left: int


class Record:
    """The log, and the hooks on commands."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.hook_errors: list[Exception] = []
        self._hooks: list[_Hook] = []
        self._cuts: list[tuple[re.Pattern[str], int]] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def note(self, kind: str, text: str = "", status: int | None = None) -> None:
        """Adds an entry; a `command` sets off the hooks that match it."""
        self.entries.append(LogEntry(time.monotonic(), kind, text, status))
        if kind != "command":
            return
        with self._lock:
            for hook in self._hooks:
                if hook.times_left > 0 and hook.pattern.search(text):
                    hook.times_left -= 1
                    # A thread, as the callback may cut the very link that the command came by.
                    thread = threading.Thread(target=self._call, args=(hook,), daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def on_command(self, pattern: str, callback: Callable[[], object], times: int) -> None:
        """Calls `callback` for the next `times` commands that match."""
        with self._lock:
            self._hooks.append(_Hook(re.compile(pattern), callback, times))

    def cut(self, pattern: str, after_bytes: int) -> None:
        """Cuts the output of the next command that matches."""
        with self._lock:
            self._cuts.append((re.compile(pattern), after_bytes))

    def limit(self, command: str) -> int | None:
        """Bytes of a command's output that get through; None for all."""
        with self._lock:
            cut = next((cut for cut in self._cuts if cut[0].search(command)), None)
            if cut is None:
                return None
            self._cuts.remove(cut)
        self.note("cut", command)
        return cut[1]

    def finish(self) -> None:
        """Waits for callbacks that still run."""
        for thread in list(self._threads):
            thread.join(HANG_S)

    def _call(self, hook: _Hook) -> None:
        try:
            hook.callback()
        except Exception as error:  # it would be lost with the thread
            self.hook_errors.append(error)
