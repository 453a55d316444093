"""Injects faults on a phone according to a random plan, each during a run of the tool."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.virtual_phone import AdbServer, VirtualPhone

CRASHES = {"exit 134": 134, "exit 137": 137, "exit 139": 139}
KINDS = (
    "link lost 4 s", "link lost 90 s", "reboot", "frozen 30 s", "adb server killed", *CRASHES,
    "disk full", "output cut", "GPU silently on the CPU", "clock jump", "harness killed",
)  # fmt: skip
GONE = "gone for good"
# Faults after which the result of a successful run of the tool may be lost or rejected.
LOSING = set(KINDS) - {*CRASHES, "output cut"} | {GONE}


@dataclass
class Injected:
    """An injected fault: its kind, start and end (`time.monotonic()`)."""

    kind: str
    began_s: float
    over_s: float = float("inf")


def plan(draw: random.Random, runs: int, share: float) -> list[str]:
    """Draws a fault for each run of the tool, "" for none; all kinds are about equally frequent.

    Args:
        draw: Random generator.
        runs: Number of runs.
        share: Share of runs with a fault.
    """
    many = round(runs * share)
    kinds = [kind for _ in range(many // len(KINDS) + 1) for kind in draw.sample(KINDS, len(KINDS))]
    planned = kinds[:many] + [""] * (runs - many)
    draw.shuffle(planned)
    return planned


@dataclass
class Injector:
    """Injects the planned faults on a phone.

    Attributes:
        phone: The phone.
        server: The adb server.
        planned: Fault for each run of the tool; later runs have none.
        scale: Factor for the durations of faults.
        kill_harness: Kills the command that measures on this phone.
        leave: Unplugs the phone for good.
        draw: Random generator for the moments of faults.
        done: Injected faults.
    """

    phone: VirtualPhone
    server: AdbServer
    planned: Sequence[str]
    scale: float
    kill_harness: Callable[[], None]
    leave: Callable[[], None]
    draw: random.Random
    done: list[Injected] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        self._wants_gpu = False
        self._tool: dict[str, object] = {}
        self.phone.on_command(
            r"(?s)setsid sh -c .*--use_gpu=true", self._started_on_gpu, times=10**6
        )
        self.phone.on_command(r"setsid sh -c ", self._started, times=10**6)
        self.phone.on_command(r"tail -c \d+ \S*/rc", self._collected, times=10**6)
        self._prepare()

    @property
    def _next(self) -> str:
        return self.planned[self._runs] if self._runs < len(self.planned) else ""

    def _prepare(self) -> None:
        """Writes the settings of the next run, which the tool reads when it starts."""
        tool: dict[str, object] = {}
        if self._next in CRASHES:
            tool["crash_exit"] = CRASHES[self._next]
        if self._wants_gpu or self._next == "GPU silently on the CPU":
            self._wants_gpu = True  # until the next run on the GPU
            tool["gpu"] = "silent_cpu"
        if tool != self._tool:
            self._tool = tool
            self.phone.set_benchmark(**tool)

    def _started_on_gpu(self) -> None:
        with self._lock:
            if self._wants_gpu:
                self._wants_gpu = False
                self._note("GPU silently on the CPU")

    def _collected(self) -> None:
        with self._lock:
            self._prepare()

    def _started(self) -> None:
        with self._lock:
            kind = self._next
            self._runs += 1
            if kind in CRASHES:
                self._note(kind)
        if kind and kind not in CRASHES and kind != "GPU silently on the CPU":
            time.sleep(self.draw.uniform(0.0, 1.5))
            self._inject(kind)
        time.sleep(1.0)  # until this run has read its settings, in case it is never collected
        with self._lock:
            self._prepare()

    def _note(self, kind: str) -> Injected:
        fault = Injected(kind, time.monotonic())
        if kind in (*CRASHES, "GPU silently on the CPU", "output cut", "clock jump"):
            fault.over_s = fault.began_s
        self.done.append(fault)
        return fault

    def _inject(self, kind: str) -> None:
        phone, scale = self.phone, self.scale
        fault = self._note(kind)
        if kind.startswith("link lost"):
            phone.unplug()
            time.sleep(scale * float(kind.split()[2]))
            phone.plug()
        elif kind == "reboot":
            phone.reboot(away_s=20 * scale, boot_s=10 * scale)
            time.sleep(30 * scale)
        elif kind.startswith("frozen"):
            phone.freeze()
            time.sleep(scale * float(kind.split()[1]))
            phone.thaw()
        elif kind == "adb server killed":
            self.server.crash()
        elif kind == "disk full":
            phone.fill_disk()
            time.sleep(20 * scale)
            phone.free_disk()
        elif kind == "output cut":
            phone.cut_output(r"tail -c \d+ \S*/out", self.draw.randrange(0, 900))
        elif kind == "clock jump":
            phone.jump_clock(self.draw.choice((-3600.0, 7.0, 3600.0)))
        elif kind == "harness killed":
            self.kill_harness()
        elif kind == GONE:
            self.leave()
            return  # never ends
        fault.over_s = time.monotonic()
