"""The power of a virtual phone: its true consumption, and the readings of its gauge."""

from __future__ import annotations

import fcntl
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import HANG_S

_STEP_S = 0.02
_WIDTH = 15  # characters of a reading, constant because files are overwritten while samplers read
_FOLDER = "/sys/class/power_supply/battery"


@dataclass(frozen=True, kw_only=True)
class Power:
    """A battery, its load and its gauge.

    Attributes:
        idle_w: Mean power without inferences.
        load_w: Mean power with inferences.
        noise: Standard deviation of the power relative to its mean.
        volts: Voltage of the battery without load.
        ohms: Internal resistance of the battery.
        period_s: Time between two measurements of the gauge.
        averaging: Whether the gauge gives the mean current since its last measurement instead of
            the current at that moment.
        amps: Amperes per unit of current_now: 1e-6 by the kernel's ABI, 1e-3 on some phones.
        charging_positive: Whether current_now is positive while charging; False on many Qualcomm
            gauges.
        charging_w: Power of a charger.
        full_uah: Charge counter of the full battery; 0 for a phone without a charge counter.
        dead: Whether current_now is always 0.
        seed: Seed of the noise.
    """

    idle_w: float = 0.6
    load_w: float = 3.2
    noise: float = 0.04
    volts: float = 3.95
    ohms: float = 0.06
    period_s: float = 1.0
    averaging: bool = False
    amps: float = 1e-6
    charging_positive: bool = True
    charging_w: float = 0.0
    full_uah: float = 4_500_000
    dead: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Throttle:
    """Thermal throttling of a phone under load.

    Attributes:
        after_s: Seconds of load before it starts.
        ratio: Factor for clock rates, speed and the power of the load.
        status: Status of the thermal service while throttled, 1 to 6.
    """

    after_s: float
    ratio: float
    status: int = 3


@dataclass(frozen=True)
class Moment:
    """True power of the phone in a time step, and whether inferences were running."""

    at_s: float
    watts: float
    busy: bool


class PowerPlant:
    """Simulates a phone's battery files and records the true power.

    Attributes:
        truth: True power in each time step.

    Args:
        power: Battery to simulate.
        busy: File that the tool locks while inferences run.
        node: Returns the host's path for a path of the phone.
        throttle: Throttling under a long load; None for none.
        hot: Called with `throttle` when throttling starts.
        level: Initial charge in percent.
    """

    def __init__(
        self,
        power: Power,
        busy: Path,
        node: Callable[[str], Path],
        throttle: Throttle | None = None,
        hot: Callable[[Throttle], None] = lambda _: None,
        level: float = 80.0,
    ):
        self.power = power
        self._throttle, self._hot = throttle, hot
        self._charge_uah = level / 100 * power.full_uah
        self.truth: list[Moment] = []
        self._busy = busy
        self._nodes = {
            name: node(f"{_FOLDER}/{name}")
            for name in ("current_now", "voltage_now", "charge_counter")
        }
        self._random = random.Random(power.seed)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._wander, self._drawn_as, self._busy_s, self._ratio = 0.0, 0.0, 0.0, 1.0
        self._amperes: list[float] = []

    def start(self) -> None:
        """Simulates in real time, in its own thread."""
        self.follow(time.monotonic())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def follow(self, now_s: float) -> None:
        """Simulates in the time that `advance` sets, starting at `now_s`."""
        if not self.power.full_uah:
            self._nodes.pop("charge_counter").unlink()
        self._began_s = self._last_s = self._shown_s = now_s

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=HANG_S)

    def net_w(self) -> float:
        """Returns the true mean power of the longest load, minus the mean idle power."""
        start, end = self._longest()
        idle = [m.watts for m in self.truth[:start] + self.truth[end:] if not m.busy]
        load = [m.watts for m in self.truth[start:end]]
        return sum(load) / len(load) - sum(idle) / len(idle)

    def gross_w(self) -> float:
        """Returns the true mean power of the longest load."""
        start, end = self._longest()
        return sum(m.watts for m in self.truth[start:end]) / (end - start)

    def _longest(self) -> tuple[int, int]:
        best, start = (0, 0), None
        for i, moment in enumerate([*self.truth, Moment(0, 0, False)]):
            if moment.busy and start is None:
                start = i
            elif not moment.busy and start is not None:
                if i - start > best[1] - best[0]:
                    best = start, i
                start = None
        return best

    def _run(self) -> None:
        while not self._stop.wait(_STEP_S):
            self._step(time.monotonic(), self._is_busy())

    def advance(self, now_s: float) -> None:
        """Simulates up to `now_s`; the phone counts as busy for that time if it is busy now."""
        if now_s - self._last_s >= _STEP_S:
            busy = self._is_busy()
            while now_s - self._last_s >= _STEP_S:
                self._step(self._last_s + _STEP_S, busy)

    def _step(self, now: float, busy: bool) -> None:
        power, ratio = self.power, self._ratio
        passed_s, self._last_s = now - self._last_s, now
        self._busy_s += passed_s if busy else 0.0
        if self._throttle is not None and ratio == 1 and self._busy_s >= self._throttle.after_s:
            self._ratio = ratio = self._throttle.ratio
            self._hot(self._throttle)
        # Noise that changes within about half a second.
        self._wander += (self._random.gauss(0, 1) - self._wander) * 0.05
        self._wander = (self._wander + self._random.gauss(0, 0.15)) * 0.97
        level = power.idle_w + busy * ratio * (power.load_w - power.idle_w)
        watts = level * max(0.3, 1 + power.noise * self._wander)
        self.truth.append(Moment(now - self._began_s, watts, busy))
        volts = power.volts - power.ohms * watts / power.volts
        self._amperes.append((watts - power.charging_w) / volts)
        self._drawn_as += self._amperes[-1] * passed_s
        if now - self._shown_s >= power.period_s:
            self._shown_s += power.period_s
            amperes = self._amperes
            mean = sum(amperes) / len(amperes) if power.averaging else amperes[-1]
            amperes.clear()
            sign = -1 if power.charging_positive else 1
            self._show("current_now", 0.0 if power.dead else sign * mean / power.amps)
            self._show("voltage_now", volts * 1e6)
            if power.full_uah:
                self._show("charge_counter", self._charge_uah - self._drawn_as / 3600e-6)

    def _is_busy(self) -> bool:
        # The lock counts, not the file, which remains when a run is killed.
        try:
            with self._busy.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _show(self, name: str, value: float) -> None:
        text = f"{round(value):0{_WIDTH}d}\n"
        with self._nodes[name].open("r+b") as file:
            file.write(text.encode())
