"""Energy of the computer's processor from its RAPL counters in Linux's powercap.

    /sys/class/powercap/intel-rapl:0/name                 package-0
    /sys/class/powercap/intel-rapl:0/energy_uj            microjoules since an arbitrary time
    /sys/class/powercap/intel-rapl:0/max_energy_range_uj  where the counter wraps to 0

Intel and AMD processors have them. Only packages are counted: the domains of cores and memory
controllers (`intel-rapl:0:0`) are parts of a package, and `psys` includes the rest of the board.
Since 2020 only root may read the counters, and virtual machines have none, so usually the result is
a PowerProblem.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np

from android_bench.power.energy import Power, Window, net_power
from android_bench.power.gauge import PowerProblem, standard_error
from zoo.errors import one_line
from zoo.schema.measurement import Energy

POWERCAP = Path("/sys/class/powercap")
PERIOD_S = 0.25  # the counters update every millisecond
SETTLING_S = 1.0  # after a load: caches are written back and fans slow down
_PARTS = 8  # parts of a window; their variance gives the uncertainty
_MAX_DIGITS = 20
_WHAT = "the processor's energy counters can't be read"
_REMEDY = (
    "run as root, or until the next boot: sudo chmod a+r "
    "/sys/class/powercap/intel-rapl:*/energy_uj (lets other users observe the processor's load)"
)
_NONE_REMEDY = "sudo modprobe intel_rapl_msr; virtual machines and ARM computers have no counters"
_QUIETER = "measure longer, with nothing else running on this computer"


@dataclass(frozen=True)
class Domain:
    """A processor package.

    Attributes:
        name: Name of the powercap domain.
        counter: Path of the energy counter.
        range_uj: Microjoules at which the counter wraps to 0.
    """

    name: str
    counter: Path
    range_uj: int

    def read_uj(self) -> int:
        """Reads the energy counter in microjoules.

        Raises:
            PowerProblem: if the counter cannot be read or is not a number.
        """
        return _number(self.counter)


@dataclass(frozen=True)
class CounterReading:
    """The counters of all packages in microjoules, read at `time.monotonic()` time `at_s`."""

    at_s: float
    uj: tuple[int, ...]


class Rapl:
    """The energy counters of all processor packages.

    Args:
        folder: Powercap folder in sysfs.

    Raises:
        PowerProblem: if there are no counters or they cannot be read.
    """

    def __init__(self, folder: Path = POWERCAP):
        self.domains = _packages(folder)
        self.read()

    def read(self) -> CounterReading:
        """Reads all counters.

        Raises:
            PowerProblem: if a counter cannot be read.
        """
        start_s = time.monotonic()
        uj = tuple(domain.read_uj() for domain in self.domains)
        return CounterReading((start_s + time.monotonic()) / 2, uj)

    def joules(self, first: CounterReading, last: CounterReading) -> float:
        """Returns the energy of all packages between two readings.

        Each counter may wrap once between the readings.
        """
        total_uj = 0
        for domain, start_uj, end_uj in zip(self.domains, first.uj, last.uj, strict=True):
            total_uj += end_uj - start_uj + (domain.range_uj if end_uj < start_uj else 0)
        return total_uj / 1e6


class Recording:
    """Reads the counters periodically in a thread during a `with` block."""

    def __init__(self, rapl: Rapl, period_s: float = PERIOD_S):
        self.rapl = rapl
        self.readings: list[CounterReading] = []
        self._period_s = period_s
        self._stop = threading.Event()
        self._problem: PowerProblem | None = None
        self._thread = threading.Thread(target=self._run, name="rapl", daemon=True)

    def __enter__(self) -> Recording:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def power(self, window: Window, name: str) -> Power:
        """Returns the mean power in a window of `time.monotonic()`.

        Args:
            window: Start and end of the window.
            name: Name of the window in error messages.

        Raises:
            PowerProblem: if there are too few readings, or the counters did not change or could not
                be read.
        """
        if self._problem is not None:
            raise self._problem
        inside = [r for r in self.readings if window.start_s <= r.at_s <= window.end_s]
        if len(inside) <= _PARTS:
            raise PowerProblem(
                "too few readings of the processor's energy counters",
                where=name,
                expected=f"more than {_PARTS}",
                got=f"{len(inside)} in {window.length_s:.1f} s",
                remedy="measure longer",
            )
        # Averaged over parts, as a late reading makes the difference to the next one too small.
        edges = np.linspace(0, len(inside) - 1, _PARTS + 1).astype(int)
        total = np.cumsum([0.0, *(self.rapl.joules(a, b) for a, b in pairwise(inside))])
        joules = np.diff(total[edges])
        seconds = np.diff([inside[i].at_s for i in edges])
        if not joules.any():
            raise PowerProblem(
                "the processor's energy counters do not change",
                where=name,
                got=f"no change in {seconds.sum():.1f} s",
                remedy=_NONE_REMEDY,
            )
        return Power(
            float(joules.sum() / seconds.sum()),
            standard_error(joules / seconds),
            len(inside) - 1,
            window.length_s / len(inside),
        )

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stop.is_set():
            try:
                self.readings.append(self.rapl.read())
            except PowerProblem as problem:
                self._problem = problem
                return
            due_s = max(due_s + self._period_s, time.monotonic())
            self._stop.wait(due_s - time.monotonic())


def energy(recording: Recording, before: Window, load: Window, after: Window, runs: int) -> Energy:
    """Returns the processor's energy per inference, net of its idle power.

    Args:
        recording: Counter readings over all three windows.
        before: Idle window before the load.
        load: Window with inferences only.
        after: Idle window after the load; its first `SETTLING_S` seconds are not used.
        runs: Number of inferences in `load`.

    Raises:
        PowerProblem: if the energy cannot be determined or is too uncertain.
    """
    first = recording.power(before, "idle before")
    loaded = recording.power(load, "load")
    last = recording.power(Window(after.start_s + SETTLING_S, after.end_s), "idle after")
    net = net_power(first, loaded, last, remedy=_QUIETER)
    net_mj = 1e3 * net.net_w * load.length_s / runs
    return Energy(
        gross_mw=1e3 * net.gross_w,
        idle_mw=1e3 * net.idle_w,
        net_mw=1e3 * net.net_w,
        net_mw_uncertainty=1e3 * net.uncertainty_w,
        net_mj=net_mj,
        net_mj_uncertainty=net_mj * net.uncertainty_w / net.net_w,
        window_s=load.length_s,
        readings=loaded.readings,
        gauge_period_s=loaded.period_s,
        source="rapl",
        evidence=tuple(domain.name for domain in recording.rapl.domains),
    )


def _packages(folder: Path) -> tuple[Domain, ...]:
    """Returns the domains of the processor packages, each once."""
    domains = []
    try:
        # Parts of a package have a second number, and intel-rapl-mmio mirrors a package.
        paths = sorted(p for p in folder.iterdir() if re.fullmatch(r"intel-rapl:\d+", p.name))
    except OSError as error:
        reason = "no powercap" if isinstance(error, FileNotFoundError) else error.strerror
        raise PowerProblem(_WHAT, where=folder, got=reason, remedy=_NONE_REMEDY) from error
    for path in paths:
        if not (name := _text(path / "name")).startswith("package"):
            continue
        range_uj = _number(path / "max_energy_range_uj")
        if range_uj <= 0:
            raise PowerProblem(_WHAT, where=path, got=f"a range of {range_uj} µJ")
        domains.append(Domain(one_line(name, 40), path / "energy_uj", range_uj))
    if not domains:
        reason = "no package domain"
        raise PowerProblem(_WHAT, where=folder, got=reason, remedy=_NONE_REMEDY)
    return tuple(domains)


def _number(path: Path) -> int:
    text = _text(path)
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise PowerProblem(_WHAT, where=path, expected="microjoules", got=repr(one_line(text, 40)))
    return int(text)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(100).decode(errors="replace").strip()
    except PermissionError as error:
        raise PowerProblem(_WHAT, where=path, got="permission denied", remedy=_REMEDY) from error
    except OSError as error:
        raise PowerProblem(_WHAT, where=path, got=error.strerror, remedy=_NONE_REMEDY) from error
