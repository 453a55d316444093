"""Simulated time of a phone, which advances only while all of its processes wait.

A minute of waiting takes no real time, and a slow computer delays nothing, because the phone's time
stands still while any of its processes runs. The phone's `sleep` and its tool wait here, and
/proc/uptime and `date` show the simulated time. Programs that read other clocks must not run on
such a phone.

To wait, a process writes `PID SECONDS` to the pipe `sleepers` and reads the time from the pipe
`sleeper.PID`, which is then removed unless a `+` follows the PID. `PID gate` is written by the tool
during a run; see `VirtualPhone.during_run`.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

BOOT_S = 5000.0  # seconds since boot when a phone starts
EPOCH_S = 1_750_000_000.0  # wall clock at boot
_LEFT_S = 0.2
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.0002, 0.004  # between checks whether all processes wait


class PhoneTime:
    """The simulated time of a phone.

    Attributes:
        jumped_s: Offset of the wall clock.
        gates: Actions for the next runs of the tool, in order.
        errors: Exceptions raised by these actions.

    Args:
        folder: Folder of the pipes.
        uptime: The phone's /proc/uptime on the host.
        processes: Returns the current path of the phone's /proc on the host.
        passing: Called with each new time before a process wakes up.

    Raises:
        OSError: if this computer's kernel does not show which processes wait.
    """

    def __init__(
        self,
        folder: Path,
        uptime: Path,
        processes: Callable[[], Path],
        passing: list[Callable[[float], None]],
    ):
        if not _tells_who_waits(f"{processes()}/1"):
            raise OSError("this kernel does not show which processes wait")
        self._folder, self._uptime, self._processes = folder, uptime, processes
        self._passing = passing
        self._now_s = BOOT_S
        self.jumped_s = 0.0
        self.gates: list[Callable[[], object]] = []
        self.errors: list[Exception] = []
        self._sleepers: list[tuple[float, int, str | threading.Event]] = []
        self._number = itertools.count()
        self._lock = threading.Lock()
        self._stopped = False
        self._ended: dict[str, float] = {}  # real time at which the end of a process was noticed
        self._buffer = b""
        self._tell()
        pipe = folder / "sleepers"
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        self._pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def now(self) -> float:
        """Returns the seconds since boot."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Waits in the phone's time; called by threads of the tests."""
        over = threading.Event()
        self._add(seconds, over)
        os.write(self._pipe, b"\n")
        over.wait()

    def stop(self) -> None:
        """Stops the time; wakes waiting threads of the tests, but no processes of the phone."""
        self._stopped = True
        os.write(self._pipe, b"\n")
        self._thread.join()
        for _, _, who in self._sleepers:
            if isinstance(who, threading.Event):
                who.set()
        os.close(self._pipe)

    def _run(self) -> None:
        look_s = _FIRST_LOOK_S
        while not self._stopped:
            if not self._sleepers:
                select.select([self._pipe], [], [])
            self._hear()
            if not self._sleepers:
                continue
            if not self._all_wait():
                time.sleep(look_s)
                look_s = min(1.5 * look_s, _LONGEST_LOOK_S)
                continue
            look_s = _FIRST_LOOK_S
            if not self._hear():  # otherwise another process has just begun to wait
                self._wake_next()

    def _hear(self) -> bool:
        """Reads new sleepers from the pipe and returns whether there were any."""
        try:
            data = os.read(self._pipe, 65536)
        except BlockingIOError:
            return False
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in filter(None, lines):
            pid, wish = line.decode().split()
            if wish == "gate":
                self._open_gate()
            self._add(0.0 if wish == "gate" else float(wish), pid)
        return True

    def _open_gate(self) -> None:
        try:
            if self.gates:
                self.gates.pop(0)()
        except Exception as error:  # otherwise lost at the end of the thread
            self.errors.append(error)

    def _add(self, seconds: float, who: str | threading.Event) -> None:
        with self._lock:
            heapq.heappush(self._sleepers, (self._now_s + seconds, next(self._number), who))

    def _wake_next(self) -> None:
        with self._lock:
            due_s, _, who = heapq.heappop(self._sleepers)
        if isinstance(who, threading.Event):
            self._pass_until(due_s)
            who.set()
            return
        lasting = who.endswith("+")
        reply = self._folder / f"sleeper.{who.rstrip('+')}"
        try:
            pipe = os.open(reply, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # the process has ended
            reply.unlink(missing_ok=True)
            return
        self._pass_until(due_s)
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, b"%r\n" % self._now_s)
        os.close(pipe)
        if not lasting:
            reply.unlink(missing_ok=True)

    def _pass_until(self, due_s: float) -> None:
        self._now_s = max(self._now_s, due_s)
        for callback in self._passing:
            callback(self._now_s)
        self._tell()

    def _tell(self) -> None:
        wall_s = EPOCH_S + self._now_s + self.jumped_s
        for path, text in (
            (self._uptime, f"{self._now_s:.2f} {self._now_s:.2f}\n"),
            (self._folder / "now", f"{wall_s:.6f}\n"),
        ):
            # In place and with a constant width, because the file is mounted in the phone.
            with path.open("r+" if path.exists() else "w") as file:
                file.write(text)

    def _all_wait(self) -> bool:
        """Returns whether all processes wait; checked twice, as one may wake another in between."""
        first = self._running()
        return first is not None and first == self._running()

    def _running(self) -> dict[str, bytes] | None:
        """Returns the scheduler statistics of each process; None if a process is running."""
        statistics: dict[str, bytes] = {}
        ended = {}
        folder = str(self._processes())
        try:
            names = [entry.name for entry in os.scandir(folder) if entry.name.isdigit()]
        except OSError:
            return {}  # the phone is down
        for name in reversed(names):  # the newest first, which are most likely to run
            try:
                state, threads = _state(f"{folder}/{name}")
                if state == b"Z":
                    ended[name] = self._ended.setdefault(name, time.monotonic())
                    # A process that waits for this end may not have been scheduled yet.
                    if time.monotonic() - ended[name] < _LEFT_S:
                        return None
                    continue
                places = [f"{folder}/{name}"]
                if threads > 1:
                    places = [entry.path for entry in os.scandir(f"{folder}/{name}/task")]
                for place in places:
                    if not _waits(place):
                        return None
                    statistics[place] = _content(f"{place}/schedstat")
            except OSError:  # it has just ended
                return None
        self._ended = ended
        return statistics


def _state(process: str) -> tuple[bytes, int]:
    """Returns the state of a process, a letter as in `ps`, and its number of threads."""
    stat = _content(f"{process}/stat")
    fields = stat[stat.rindex(b")") + 2 :].split()
    return fields[0], int(fields[17])


def _waits(thread: str) -> bool:
    # A thread that is about to sleep or has just woken is shown as sleeping, but without a wchan.
    state, _ = _state(thread)
    return state == b"T" or (state == b"S" and _content(f"{thread}/wchan") != b"0")


def _tells_who_waits(process: str) -> bool:
    """Returns whether the kernel shows that an idle process waits."""
    for _ in range(1000):
        if _content(f"{process}/wchan") != b"0":
            return True
        time.sleep(0.005)
    return False


def _content(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 1000)
    finally:
        os.close(file)
