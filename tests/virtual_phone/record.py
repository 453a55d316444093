"""The log of a virtual phone, and the hooks of tests on its commands."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.processes import HANG_S


@dataclass(frozen=True)
class LogEntry:
    """A request to the phone, or an event.

    Attributes:
        time_s: `time.monotonic()` of the entry.
        kind: `connect`, `key offered`, `open` (a service), `command`, `exit`, `push`, `pull`,
            `stat`, `list`, `unplug`, `plug`, `freeze`, `thaw`, `go_offline`, `reboot`, `boot`,
            `cut`, `disk full`, `throttle`, `clock`, `busy`.
        text: Service, command or path.
        status: Exit status, for `exit`.
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
    """The log of a phone and the hooks on its commands.

    Attributes:
        entries: The log.
        hook_errors: Exceptions raised by hooks.
    """

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.hook_errors: list[Exception] = []
        self._hooks: list[_Hook] = []
        self._cuts: list[tuple[re.Pattern[str], int]] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def note(self, kind: str, text: str = "", status: int | None = None) -> None:
        """Adds an entry; for a `command`, also calls the matching hooks."""
        self.entries.append(LogEntry(time.monotonic(), kind, text, status))
        if kind != "command":
            return
        with self._lock:
            for hook in self._hooks:
                if hook.times_left > 0 and hook.pattern.search(text):
                    hook.times_left -= 1
                    # In a thread, because the callback may cut the link of this command.
                    thread = threading.Thread(target=self._call, args=(hook,), daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def on_command(self, pattern: str, callback: Callable[[], object], times: int) -> None:
        """Calls `callback` for the next `times` matching commands."""
        with self._lock:
            self._hooks.append(_Hook(re.compile(pattern), callback, times))

    def cut(self, pattern: str, after_bytes: int) -> None:
        """Limits the output of the next matching command to `after_bytes` bytes."""
        with self._lock:
            self._cuts.append((re.compile(pattern), after_bytes))

    def limit(self, command: str) -> int | None:
        """Returns the limit on a command's output in bytes, None if there is none."""
        with self._lock:
            cut = next((cut for cut in self._cuts if cut[0].search(command)), None)
            if cut is None:
                return None
            self._cuts.remove(cut)
        self.note("cut", command)
        return cut[1]

    def finish(self) -> None:
        """Waits for running callbacks."""
        for thread in list(self._threads):
            thread.join(HANG_S)

    def _call(self, hook: _Hook) -> None:
        try:
            hook.callback()
        except Exception as error:  # otherwise lost at the end of the thread
            self.hook_errors.append(error)
