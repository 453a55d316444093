"""Time that passes on a phone only where all that runs there waits for it.

A minute of waiting is over at once, and a slow computer makes nothing late: the phone's time stands
still while any of its processes has something to do. Its `sleep` and its tool ask for time here,
and /proc/uptime and `date` tell what has passed; whatever reads another clock does not belong on
such a phone.

A process writes `PID SECONDS` into the pipe `sleepers` and reads the time from `sleeper.PID` when
they are over; that pipe is removed then, unless a `+` follows the number. `PID gate` is the tool in
the midst of a run: see `VirtualPhone.during_run`.
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

BOOT_S = 5000.0  # since boot, when a phone comes up
EPOCH_S = 1_750_000_000.0  # the wall clock at boot
_LEFT_S = 0.2
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.0002, 0.004  # whether all processes wait


class PhoneTime:
    """The time of one phone.

    Args:
        folder: of the pipes.
        uptime: what the phone shows as /proc/uptime.
        processes: the phone's /proc, or what of it can be reached now.
        passing: are called with every new time, before anybody wakes.

    Raises:
        OSError: this computer's kernel does not tell who waits.
    """

    def __init__(
        self,
        folder: Path,
        uptime: Path,
        processes: Callable[[], Path],
        passing: list[Callable[[float], None]],
    ):
        if not _tells_who_waits(f"{processes()}/1"):
            raise OSError("this kernel does not tell who waits")
        self._folder, self._uptime, self._processes = folder, uptime, processes
        self._passing = passing
        self._now_s = BOOT_S
        self.jumped_s = 0.0  # of the wall clock
        self.gates: list[Callable[[], object]] = []
        self.errors: list[Exception] = []
        self._sleepers: list[tuple[float, int, str | threading.Event]] = []
        self._number = itertools.count()
        self._lock = threading.Lock()
        self._stopped = False
        self._ended: dict[str, float] = {}  # when a process was first seen to have ended
        self._buffer = b""
        self._tell()
        pipe = folder / "sleepers"
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        self._pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def now(self) -> float:
        """Seconds since boot."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Has a thread of this computer wait for the phone's time to pass."""
        over = threading.Event()
        self._add(seconds, over)
        os.write(self._pipe, b"\n")
        over.wait()

    def stop(self) -> None:
        """Ends it; nobody who still waits is woken but threads of this computer."""
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
            if not self._hear():  # or somebody has just begun to wait
                self._wake_next()

    def _hear(self) -> bool:
        """Takes new sleepers; whether there were any."""
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
        except Exception as error:  # it would be lost with the thread
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
        except OSError:  # it has ended
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
        for one in self._passing:
            one(self._now_s)
        self._tell()

    def _tell(self) -> None:
        wall_s = EPOCH_S + self._now_s + self.jumped_s
        for path, text in (
            (self._uptime, f"{self._now_s:.2f} {self._now_s:.2f}\n"),
            (self._folder / "now", f"{wall_s:.6f}\n"),
        ):
            # In place and of one width: the phone has this very file mounted.
            with path.open("r+" if path.exists() else "w") as file:
                file.write(text)

    def _all_wait(self) -> bool:
        """Whether no process of the phone runs; twice the same, as one may wake another between."""
        first = self._running()
        return first is not None and first == self._running()

    def _running(self) -> dict[str, bytes] | None:
        """How often each process has run; None while one does."""
        found: dict[str, bytes] = {}
        ended = {}
        folder = str(self._processes())
        try:
            names = [one.name for one in os.scandir(folder) if one.name.isdigit()]
        except OSError:
            return {}  # it is down
        for name in reversed(names):  # the youngest, which are the likeliest to run
            try:
                state, threads = _state(f"{folder}/{name}")
                if state == b"Z":
                    ended[name] = self._ended.setdefault(name, time.monotonic())
                    # Whoever is about to take note of its end may not run yet.
                    if time.monotonic() - ended[name] < _LEFT_S:
                        return None
                    continue
                places = [f"{folder}/{name}"]
                if threads > 1:
                    places = [one.path for one in os.scandir(f"{folder}/{name}/task")]
                for place in places:
                    if not _waits(place):
                        return None
                    found[place] = _content(f"{place}/schedstat")
            except OSError:  # it ended meanwhile
                return None
        self._ended = ended
        return found


def _state(process: str) -> tuple[bytes, int]:
    """Its letter in `ps`, and its threads."""
    stat = _content(f"{process}/stat")
    fields = stat[stat.rindex(b")") + 2 :].split()
    return fields[0], int(fields[17])


def _waits(thread: str) -> bool:
    # Whoever is about to sleep, or was, looks asleep, but has no place to wait at.
    state, _ = _state(thread)
    return state == b"T" or (state == b"S" and _content(f"{thread}/wchan") != b"0")


def _tells_who_waits(process: str) -> bool:
    """Whether it does of a process that does nothing else."""
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
