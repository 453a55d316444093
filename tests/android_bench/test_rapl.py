"""The processor's energy counters, on a real tree of files that a thread advances."""

import os
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from android_bench import host, rapl
from android_bench.cases import candidates
from android_bench.power.energy import Window
from android_bench.power.gauge import PowerProblem
from android_bench.power.metered import Metering
from android_bench.rapl import Domain, Rapl, Reading, Recording
from android_bench.tasks import by_case, schedule
from tests.tiny_tflite import tiny_model
from zoo.provenance import Provenance
from zoo.results import RESULT, Measurement

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
    """Advances both packages' counters by what is true, a third of it in the second one."""

    def __init__(self, folder: Path, busy: Callable[[], bool]):
        super().__init__(daemon=True)
        self.counters = [folder / f"intel-rapl:{i}" / "energy_uj" for i in (0, 1)]
        self.start_uj = [int(path.read_text()) for path in self.counters]
        self.busy = busy
        self.stopped = threading.Event()
        self.total_uj = 0.0

    def run(self) -> None:
        draw, last = random.Random(1), time.monotonic()
        while not self.stopped.wait(0.01):
            now = time.monotonic()
            watts = (LOAD_W if self.busy() else IDLE_W) * (1 + 0.05 * draw.gauss(0, 1))
            self.total_uj += 1e6 * watts * (now - last)
            last = now
            for path, start, share in zip(self.counters, self.start_uj, (2 / 3, 1 / 3),
                                          strict=True):  # fmt: skip
                put(path, int(start + share * self.total_uj) % RANGE_UJ)


@contextmanager
def running(folder: Path, busy: Callable[[], bool]) -> Iterator[Processor]:
    processor = Processor(folder, busy)
    processor.start()
    try:
        yield processor
    finally:
        processor.stopped.set()
        processor.join()


def test_packages_alone_are_counted(powercap):
    domains = Rapl(powercap).domains
    assert [d.name for d in domains] == ["package-0", "package-1"]


def test_joules_are_those_that_were_spent(powercap):
    with running(powercap, lambda: True) as processor:
        counters = Rapl(powercap)
        spent, readings = [], []
        for _ in range(8):
            spent.append(processor.total_uj / 1e6)
            readings.append(counters.read())
            time.sleep(0.25)
    found = sum(counters.joules(a, b) for a, b in pairwise(readings))
    assert readings[-1].uj[0] < RANGE_UJ - 50 == processor.start_uj[0], "it began again"
    assert found == pytest.approx(spent[-1] - spent[0], abs=0.3 * LOAD_W)


@settings(deadline=None)
@given(st.integers(1, 2**60), st.data())
def test_any_turn(range_uj, data):
    began = data.draw(st.integers(0, range_uj - 1))
    spent = data.draw(st.integers(0, range_uj - 1))
    counters = object.__new__(Rapl)
    counters.domains = (Domain("package-0", Path("energy_uj"), range_uj),)
    last = Reading(1.0, ((began + spent) % range_uj,))
    assert counters.joules(Reading(0.0, (began,)), last) == spent / 1e6


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
            recording.readings.append(Reading(at_s, tuple(int(one) % RANGE_UJ for one in uj)))
        windows.append(Window(start_s, at_s))
    return recording, windows


def test_a_load_between_rests(powercap):
    recording, windows = played(powercap, LOAD_W, 0.05)
    before, load, after = windows
    found = rapl.energy(recording, before, load, after, runs=100)
    assert found.gross_mw == pytest.approx(1e3 * LOAD_W, rel=0.03)
    assert found.idle_mw == pytest.approx(1e3 * IDLE_W, rel=0.03)
    assert abs(found.net_mw - 1e3 * (LOAD_W - IDLE_W)) < found.net_mw_doubt < 800
    assert found.net_mj == pytest.approx(found.net_mw * windows[1].length_s / 100)
    assert found.net_mj_doubt / found.net_mj == pytest.approx(found.net_mw_doubt / found.net_mw)
    assert found.gauge_period_s == pytest.approx(0.25, rel=0.1)
    assert (found.source, found.evidence) == ("rapl", ("package-0", "package-1"))
    assert (found.unit, found.charging_is, found.sampler) == (None, None, None)


@pytest.mark.parametrize(
    ("load_w", "after_w", "why"),
    [(IDLE_W, IDLE_W, "below the noise"), (IDLE_W + 4, IDLE_W + 2, "too uncertain")],
)
def test_a_load_that_can_not_be_told(powercap, load_w, after_w, why):
    recording, (before, load, after) = played(powercap, load_w, 0.05, after_w)
    with pytest.raises(PowerProblem, match=f"{why}.*nothing else run on this computer") as raised:
        rapl.energy(recording, before, load, after, runs=1)
    assert "screen" not in str(raised.value)


def recorded(powercap: Path, during: Callable[[], object] = lambda: None) -> Recording:
    with Recording(Rapl(powercap), 0.02) as recording:
        time.sleep(0.15)
        during()
        time.sleep(0.15)
    return recording


ALWAYS = Window(0.0, float("inf"))


def test_counters_that_stand_still(powercap):
    with pytest.raises(PowerProblem, match="stand still"):
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
    with pytest.raises(PowerProblem, match="no package among"):
        Rapl(tmp_path)
    domain(tmp_path, "intel-rapl:0", "psys")
    with pytest.raises(PowerProblem, match="no package among"):
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
    timing = host.Timing(num_runs=3, min_secs=0.0, warmup_secs=0.0)
    provenance = Provenance.here()
    rows = list(host.measure(tasks, timing, provenance, lambda _: None, metering, powercap))
    assert [RESULT.validate_json(row.model_dump_json()) for row in rows] == rows
    return rows


def worker_runs() -> bool:
    pid = os.getpid()
    return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text())


def test_a_row_has_the_energy(tmp_path, powercap):
    with running(powercap, worker_runs):
        rows = rows_of(tmp_path, powercap, Metering(load_s=5.0, idle_s=4.0))
    first, second = sorted(rows, key=lambda row: row.process)
    assert (second.energy, second.no_energy) == (None, None), "the first process tells it"
    net_mw = 1e3 * (LOAD_W - IDLE_W)
    if first.energy is None:  # the thread that stands for the kernel came late too often
        told = re.search(r"too uncertain .*got: (\d+) ± \d+ mW", first.no_energy)
        assert told is not None and float(told[1]) == pytest.approx(net_mw, rel=0.15)
        return
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
    began = time.monotonic()
    rows = rows_of(tmp_path, tmp_path / "none", Metering(load_s=60, idle_s=60))
    assert time.monotonic() - began < 50, "nothing was metered for a minute"
    assert {row.process: "no powercap" in (row.no_energy or "") for row in rows} == {
        1: True, 2: False
    }  # fmt: skip
    assert all(row.valid and row.energy is None for row in rows)
