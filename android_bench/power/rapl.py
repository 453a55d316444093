"""Energy of the computer's processor by its own counters (RAPL), as Linux's powercap shows them.

    /sys/class/powercap/intel-rapl:0/name                 package-0
    /sys/class/powercap/intel-rapl:0/energy_uj            microjoules, from an arbitrary start
    /sys/class/powercap/intel-rapl:0/max_energy_range_uj  where it begins again at 0

Intel's and AMD's processors have them. Only the packages are counted: cores and memory controllers
(`intel-rapl:0:0`) are parts of one, and `psys` counts the board besides. Since 2020 only root may
read them, and virtual machines have none: the usual case is a reason, not a figure.
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
PERIOD_S = 0.25  # the counters advance every millisecond
SETTLING_S = 1.0  # after a load, when caches are written back and fans slow down
_PARTS = 8  # of a window, from whose differences its uncertainty follows
_MAX_DIGITS = 20
_WHAT = "the processor's energy counters can't be read"
_REMEDY = (
    "run as root, or until the next boot: sudo chmod a+r "
    "/sys/class/powercap/intel-rapl:*/energy_uj (other users could then spy on its load)"
)
_NONE_REMEDY = "sudo modprobe intel_rapl_msr; virtual machines and ARM computers have none"
_QUIETER = "measure longer, let nothing else run on this computer"


@dataclass(frozen=True)
class Domain:
    """A processor package; its counter begins again at 0 after `range_uj` microjoules."""

    name: str
    counter: Path
    range_uj: int

    def read_uj(self) -> int:
        """The counter now.

        Raises:
            PowerProblem: it can't be read, or is no number.
        """
        return _number(self.counter)


@dataclass(frozen=True)
class CounterReading:
    """Every package's counter, read at the `time.monotonic()` instant `at_s`."""

    at_s: float
    uj: tuple[int, ...]


class Rapl:
    """The packages' counters.

    Args:
        folder: powercap's.

    Raises:
        PowerProblem: there are none, or they can't be read.
    """

    def __init__(self, folder: Path = POWERCAP):
        self.domains = _packages(folder)
        self.read()

    def read(self) -> CounterReading:
        """All counters now.

        Raises:
            PowerProblem: one can't be read.
        """
        began_s = time.monotonic()
        uj = tuple(domain.read_uj() for domain in self.domains)
        return CounterReading((began_s + time.monotonic()) / 2, uj)

    def joules(self, first: CounterReading, last: CounterReading) -> float:
        """What all packages took between two readings, less than one turn of a counter apart."""
        spent_uj = 0
        for domain, began, ended in zip(self.domains, first.uj, last.uj, strict=True):
            spent_uj += ended - began + (domain.range_uj if ended < began else 0)
        return spent_uj / 1e6


class Recording:
    """Reads the counters again and again while a `with` block lasts."""

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
        """The mean power in a window of `time.monotonic()`.

        Raises:
            PowerProblem: too few readings, or counters that stood still or could not be read.
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
        # By parts, since a reading that came late makes the next one look the smaller for it.
        edges = np.linspace(0, len(inside) - 1, _PARTS + 1).astype(int)
        spent = np.cumsum([0.0, *(self.rapl.joules(a, b) for a, b in pairwise(inside))])
        joules = np.diff(spent[edges])
        seconds = np.diff([inside[i].at_s for i in edges])
        if not joules.any():
            raise PowerProblem(
                "the processor's energy counters stand still",
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
    """What one inference takes of the processor, above its idle power around the load.

    Args:
        recording: of all three windows.
        before, after: without a load; the beginning of `after` is left out.
        load: while nothing but inferences ran.
        runs: inferences in it.

    Raises:
        PowerProblem: no energy can be told, or none that could be trusted.
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
    """The package domains, each once."""
    found = []
    try:
        # Parts of a package have a second number, and a mirror of it is called intel-rapl-mmio.
        paths = sorted(p for p in folder.iterdir() if re.fullmatch(r"intel-rapl:\d+", p.name))
    except OSError as error:
        told = "no powercap" if isinstance(error, FileNotFoundError) else error.strerror
        raise PowerProblem(_WHAT, where=folder, got=told, remedy=_NONE_REMEDY) from error
    for path in paths:
        if not (name := _text(path / "name")).startswith("package"):
            continue
        range_uj = _number(path / "max_energy_range_uj")
        if range_uj <= 0:
            raise PowerProblem(_WHAT, where=path, got=f"a range of {range_uj} µJ")
        found.append(Domain(one_line(name, 40), path / "energy_uj", range_uj))
    if not found:
        told = "no package among its domains"
        raise PowerProblem(_WHAT, where=folder, got=told, remedy=_NONE_REMEDY)
    return tuple(found)


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
