"""The processor's energy counters, on a real tree of files that a thread advances."""

import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from android_bench.host import bench
from android_bench.power import rapl
from android_bench.power.energy import Window
from android_bench.power.gauge import PowerProblem
from android_bench.power.metered import Metering
from android_bench.power.rapl import CounterReading, Domain, Rapl, Recording
from android_bench.tasks.cases import candidates
from android_bench.tasks.schedule import schedule
from tests.support.tiny_tflite import tiny_model
from zoo.io.provenance import Provenance
from zoo.schema.measurement import Measurement
from zoo.schema.processes import by_case
from zoo.schema.result import RESULT

IDLE_W, LOAD_W = 6.0, 21.0  # of both packages together
RANGE_UJ = 60_000_000  # so that a counter begins again every few seconds


def put(path: Path, text: object) -> None:
    """At once, as the kernel's files are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(f"{text}\n")
    temporary.replace(path)


def domain(folder: Path, place: str, name: str, uj: int = 0) -> Path:
    put(folder / place / "name", name)
    put(folder / place / "max_energy_range_uj", RANGE_UJ)
    put(folder / place / "energy_uj", uj)
    return folder / place / "energy_uj"


@pytest.fixture
def powercap(tmp_path) -> Path:
    """Two packages, and what must not be counted."""
    domain(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 50)
    domain(tmp_path, "intel-rapl:0:0", "core", 7)
    domain(tmp_path, "intel-rapl:1", "package-1", 123)
    domain(tmp_path, "intel-rapl:2", "psys", 9)
    domain(tmp_path, "intel-rapl-mmio:0", "package-0", 5)
    (tmp_path / "intel-rapl").mkdir()
    return tmp_path


class Processor(threading.Thread):
    """Advances both packages' counters by what is true, a third of it in the second one.

    A counter is a pipe, for which its value is computed at the moment that it is read, so that no
    reading is the wrong one because a thread came late.
    """

    def __init__(self, folder: Path, busy: Callable[[], bool]):
        super().__init__(daemon=True)
        self.counters = [folder / f"intel-rapl:{i}" / "energy_uj" for i in (0, 1)]
        self.start_uj = [int(path.read_text()) for path in self.counters]
        self.busy = busy
        self.stopped = threading.Event()
        self.total_uj, self._watts, self._last = 0.0, IDLE_W, time.monotonic()
        self._draw = random.Random(1)
        self._lock = threading.Lock()
        self._serving = []
        for number, path in enumerate(self.counters):
            renew(path)
            self._serving.append(threading.Thread(target=self._serve, args=(number,), daemon=True))

    def run(self) -> None:
        for thread in self._serving:
            thread.start()
        while not self.stopped.wait(0.01):
            watts = (LOAD_W if self.busy() else IDLE_W) * (1 + 0.05 * self._draw.gauss(0, 1))
            self._advance(watts)

    def stop(self) -> None:
        self.stopped.set()
        self.join()
        for path, thread in zip(self.counters, self._serving, strict=True):
            last = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            thread.join()
            os.close(last)

    def _advance(self, watts: float | None = None) -> float:
        """The total now; from now on so many are taken."""
        with self._lock:
            now = time.monotonic()
            self.total_uj += 1e6 * self._watts * (now - self._last)
            self._last = now
            self._watts = self._watts if watts is None else watts
            return self.total_uj

    def _serve(self, number: int) -> None:
        path, share = self.counters[number], (2 / 3, 1 / 3)[number]
        while not self.stopped.is_set():
            with path.open("w") as reader:  # as soon as there is one
                renew(path)  # or the next one would get this one's value
                uj = int(self.start_uj[number] + share * self._advance()) % RANGE_UJ
                reader.write(f"{uj}\n")


def renew(path: Path) -> None:
    """A pipe in the place of a file, or of a pipe that is in use."""
    new = path.with_name(".new")
    os.mkfifo(new)
    new.replace(path)


@contextmanager
def running(folder: Path, busy: Callable[[], bool]) -> Iterator[Processor]:
    processor = Processor(folder, busy)
    processor.start()
    try:
        yield processor
    finally:
        processor.stop()


def test_packages_alone_are_counted(powercap):
    domains = Rapl(powercap).domains
    assert [d.name for d in domains] == ["package-0", "package-1"]


def test_joules_are_those_that_were_spent(powercap):
    with running(powercap, lambda: True) as processor:
        counters = Rapl(powercap)
        readings: list[CounterReading] = []
        least: list[float] = []
        most: list[float] = []
        while len(readings) < 8:
            least.append(processor.total_uj / 1e6)
            readings.append(counters.read())
            most.append(processor.total_uj / 1e6)
            time.sleep(0.02)
    found = sum(counters.joules(a, b) for a, b in pairwise(readings))
    assert readings[-1].uj[0] < RANGE_UJ - 50 == processor.start_uj[0], "it began again"
    assert least[-1] - most[0] - 1e-5 <= found <= most[-1] - least[0] + 1e-5


@settings(deadline=None)
@given(st.integers(1, 2**60), st.data())
def test_any_turn(range_uj, data):
    began = data.draw(st.integers(0, range_uj - 1))
    spent = data.draw(st.integers(0, range_uj - 1))
    counters = object.__new__(Rapl)
    counters.domains = (Domain("package-0", Path("energy_uj"), range_uj),)
    last = CounterReading(1.0, ((began + spent) % range_uj,))
    assert counters.joules(CounterReading(0.0, (began,)), last) == spent / 1e6


def played(powercap: Path, load_w: float, noise: float, idle_after_w: float = IDLE_W):
    """A recording of 20 s of rest, load and rest, whose counters were read at uneven moments."""
    draw = random.Random(2)
    recording = Recording(Rapl(powercap))
    uj, at_s = [float(RANGE_UJ - 50), 123.0], 1000.0
    windows = []
    for watts in (IDLE_W, load_w, idle_after_w):
        start_s = at_s
        while at_s < start_s + 20:
            step_s = draw.uniform(0.2, 0.3)
            spent_uj = 1e6 * watts * (1 + noise * draw.gauss(0, 1)) * step_s
            uj = [uj[0] + spent_uj * 2 / 3, uj[1] + spent_uj / 3]
            at_s += step_s
            recording.readings.append(
                CounterReading(at_s, tuple(int(one) % RANGE_UJ for one in uj))
            )
        windows.append(Window(start_s, at_s))
    return recording, windows


def test_a_load_between_rests(powercap):
    recording, windows = played(powercap, LOAD_W, 0.05)
    before, load, after = windows
    found = rapl.energy(recording, before, load, after, runs=100)
    assert found.gross_mw == pytest.approx(1e3 * LOAD_W, rel=0.03)
    assert found.idle_mw == pytest.approx(1e3 * IDLE_W, rel=0.03)
    assert abs(found.net_mw - 1e3 * (LOAD_W - IDLE_W)) < found.net_mw_uncertainty < 800
    assert found.net_mj == pytest.approx(found.net_mw * windows[1].length_s / 100)
    assert found.net_mj_uncertainty / found.net_mj == pytest.approx(
        found.net_mw_uncertainty / found.net_mw
    )
    assert found.gauge_period_s == pytest.approx(0.25, rel=0.1)
    assert (found.source, found.evidence) == ("rapl", ("package-0", "package-1"))
    assert (found.unit, found.charging_is, found.sampler) == (None, None, None)


@pytest.mark.parametrize(
    ("load_w", "after_w", "why"),
    [(IDLE_W, IDLE_W, "below the noise"), (IDLE_W + 4, IDLE_W + 2, "too uncertain")],
)
def test_a_load_that_can_not_be_told(powercap, load_w, after_w, why):
    recording, (before, load, after) = played(powercap, load_w, 0.05, after_w)
    why = f"{why}.*nothing else running on this computer"
    with pytest.raises(PowerProblem, match=why) as raised:
        rapl.energy(recording, before, load, after, runs=1)
    assert "screen" not in str(raised.value)


def recorded(powercap: Path, during: Callable[[], object] = lambda: None) -> Recording:
    with Recording(Rapl(powercap), 0.02) as recording:
        read(recording, 6)
        during()
        read(recording, 6)
    return recording


def read(recording: Recording, times: int) -> None:
    """Returns when that has been done so often, or is done no more."""
    before = len(recording.readings)
    while len(recording.readings) < before + times and recording._thread.is_alive():
        time.sleep(0.005)


ALWAYS = Window(0.0, float("inf"))


def test_counters_that_stand_still(powercap):
    with pytest.raises(PowerProblem, match="do not change"):
        recorded(powercap).power(ALWAYS, "load")


def test_too_few_readings(powercap):
    with pytest.raises(PowerProblem, match=r"too few readings.*where: load.*got: 0 in 0.0 s"):
        recorded(powercap).power(Window(1.0, 1.0), "load")


@pytest.mark.parametrize("text", ["", "x", "-5", "1e9", "9" * 30, "٣"])
def test_counters_that_become_nonsense(powercap, text):
    counter = powercap / "intel-rapl:1" / "energy_uj"
    with pytest.raises(PowerProblem, match=r"can't be read.*expected: microjoules"):
        recorded(powercap, lambda: put(counter, text)).power(ALWAYS, "load")


def test_counters_that_go_away(powercap):
    counter = powercap / "intel-rapl:0" / "energy_uj"
    with pytest.raises(PowerProblem, match=r"can't be read.*No such file"):
        recorded(powercap, counter.unlink).power(ALWAYS, "load")


def test_no_powercap(tmp_path):
    with pytest.raises(PowerProblem, match=r"got: no powercap.*to do: sudo modprobe"):
        Rapl(tmp_path / "powercap")
    with pytest.raises(PowerProblem, match="no package domain"):
        Rapl(tmp_path)
    domain(tmp_path, "intel-rapl:0", "psys")
    with pytest.raises(PowerProblem, match="no package domain"):
        Rapl(tmp_path)


@contextmanager
def nobody() -> Iterator[None]:
    """As another user, where the tests run as root, who may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_denied():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        domain(folder, "intel-rapl:0", "package-0").chmod(0o400 if os.geteuid() == 0 else 0)
        how = r"permission denied \| to do: run as root, or .*chmod"
        with nobody(), pytest.raises(PowerProblem, match=how):
            Rapl(folder)


# A row of this computer


def rows_of(tmp_path, powercap, metering):
    tiny_model(tmp_path / "tiny.tflite")
    name = os.path.relpath(tmp_path / "tiny.tflite")  # the worker runs elsewhere
    case = candidates([name], tmp_path)[0].case("litert", "none", 1)
    tasks = schedule([case], 2, "host", {})
    timing = bench.HostTiming(num_runs=3, min_secs=0.0, warmup_secs=0.0)
    provenance = Provenance.here()
    rows = list(bench.measure(tasks, timing, provenance, lambda _: None, metering, powercap))
    assert [RESULT.validate_json(row.model_dump_json()) for row in rows] == rows
    return rows


def worker_runs() -> bool:
    pid = os.getpid()
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):  # it has just ended
            if b"android_bench.host.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                return True
    return False


def test_a_row_has_the_energy(tmp_path, powercap):
    with running(powercap, worker_runs):
        rows = rows_of(tmp_path, powercap, Metering(load_s=5.0, idle_s=4.0))
    first, second = sorted(rows, key=lambda row: row.process)
    assert (second.energy, second.no_energy) == (None, None), "the first process tells it"
    net_mw = 1e3 * (LOAD_W - IDLE_W)
    assert first.no_energy is None
    assert first.energy.net_mw == pytest.approx(net_mw, rel=0.15)
    inference_s = first.energy.net_mj / first.energy.net_mw
    assert inference_s == pytest.approx(first.energy.window_s / first.latency.runs)
    assert inference_s >= first.latency.avg_us / 1e6
    merged = by_case(rows)[0]
    assert isinstance(merged, Measurement) and merged.valid
    assert merged.energy == first.energy


def test_a_row_has_the_reason(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Nothing is metered: that would take the idles of a day.
    rows = rows_of(tmp_path, tmp_path / "none", Metering(load_s=86400, idle_s=86400))
    assert {row.process: "no powercap" in (row.no_energy or "") for row in rows} == {
        1: True, 2: False
    }  # fmt: skip
    assert all(row.valid and row.energy is None for row in rows)
