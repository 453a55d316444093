"""Fixtures with the real adb client on a private server, virtual phones, and cases to run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from android_bench.adb.client import Adb
from android_bench.phone.phone import lock_path
from android_bench.session.options import RunOptions
from android_bench.session.session import measure_on_phone
from android_bench.tasks.cases import Case
from android_bench.tasks.schedule import Task, schedule
from android_bench.tools.binary import Binary, benchmark_binary
from tests.support.clocks import PausingClock, TestClock
from tests.support.processes import HANG_S
from tests.support.tiny_tflite import tiny_model
from tests.virtual_phone import AdbServer, PhoneProfile, VirtualPhone, stand_in_binary
from zoo.io.files import sha256_of
from zoo.io.provenance import Provenance
from zoo.schema.measurement import Configuration, Measurement
from zoo.schema.processes import by_case

OURS = "/data/local/tmp"
# Short runs. Timeouts are as on real phones but use the clock of the tests.
SHORT = RunOptions(num_runs=12, min_secs=0.02, warmup_secs=0.02)
# The tool loads no runtime and only sleeps, since most tests are about what happens around it.
ASLEEP = {"litert": False, "slow_ms": 1.0}


@dataclass
class Bench:
    """An adb server with everything needed to measure on phones that are connected to it.

    Attributes:
        server: The adb server.
        adb: Client of the server.
        binary: Stand-in for benchmark_model.
        model: A tiny `.tflite` file.
        clock: Clock of the client.
    """

    server: AdbServer
    adb: Adb
    binary: Path
    model: Path
    clock: TestClock

    @contextmanager
    def phone(self, **profile: Any) -> Iterator[VirtualPhone]:
        """Connects a virtual phone; its tool only sleeps unless the profile changes that.

        Args:
            profile: Fields of `PhoneProfile`.
        """
        with self.phone_like(PhoneProfile(**{**ASLEEP, **profile})) as phone:
            yield phone

    @contextmanager
    def phone_like(self, profile: PhoneProfile) -> Iterator[VirtualPhone]:
        """Connects a virtual phone with a given profile."""
        with VirtualPhone(profile) as phone:
            self.server.run("connect", phone.serial)
            try:
                yield phone
            finally:
                self.server.run("disconnect", phone.serial)
                lock_path(phone.serial).unlink(missing_ok=True)

    def client(self, phone: VirtualPhone) -> Adb:
        """Returns the client for a phone; pauses use the phone's simulated time if it has one."""
        if not phone.profile.simulated:
            return self.adb
        clock = PausingClock(phone.time.sleep if phone.time else time.sleep)
        return Adb(self.server.adb, env=self.adb.env, clock=clock)

    def during_run(self, phone: VirtualPhone, action: Callable[[], object]) -> None:
        """Calls `action` during a run of the tool, once the harness waits for that run.

        A fast phone could otherwise be running before the harness knows that the run has begun.
        """

        def followed() -> None:
            self.clock.wait_for_next_pause()
            action()

        phone.during_run(followed)

    def find_binary(self, abi: str) -> Binary:
        """Returns the stand-in for benchmark_model, as if the user had passed it."""
        return benchmark_binary(self.binary, abi, self.binary.parent / "cache")

    def cases(self, *delegates: str) -> list[Case]:
        """Returns a case of the tiny model for each delegate."""
        return [
            Case(
                path=self.model,
                model="tiny",
                sha256=sha256_of(self.model),
                precision="float32",
                configuration=Configuration(
                    runtime="benchmark_model", runtime_version="", delegate=name, threads=1
                ),
            )
            for name in delegates
        ]

    def tasks(self, *delegates: str, processes: int = 1) -> list[Task]:
        """Returns the tasks of the tiny model, `processes` per delegate, case by case."""
        scheduled = [
            schedule([case], processes, "phone", {"place": place})
            for place, case in enumerate(self.cases(*delegates))
        ]
        return [task for tasks in scheduled for task in tasks]

    def processes(
        self, phone: VirtualPhone, tasks: Sequence[Task], **options: Any
    ) -> list[Measurement]:
        """Measures tasks with short runs and returns one row per task.

        Args:
            phone: The phone.
            tasks: Tasks to measure.
            options: `provenance` and `progress` as for `measure_on_phone`; the rest overrides
                fields of `SHORT`.
        """
        provenance = options.pop("provenance", Provenance(("test",), {"zoo": "test"}))
        log = options.pop("log", lambda _: None)
        return list(
            measure_on_phone(
                self.client(phone),
                phone.serial,
                tasks,
                self.find_binary,
                provenance,
                replace(SHORT, **options),
                log,
            )
        )

    def measure(
        self, phone: VirtualPhone, *delegates: str, processes: int = 1, **options: Any
    ) -> list[Measurement]:
        """Measures the tiny model with each delegate and returns one row per case."""
        tasks = self.tasks(*delegates, processes=processes)
        rows = self.processes(phone, tasks, **options)
        assert [(row.case, row.process) for row in rows] == [(t.key, t.number) for t in tasks]
        return [row for row in by_case(rows) if isinstance(row, Measurement)]


@pytest.fixture(scope="module")
def every_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    model = folder / "a model with spaces.tflite"
    tiny_model(model)
    with AdbServer() as server:
        yield bench_of(server, stand_in_binary(folder), model)


@pytest.fixture
def bench(every_bench: Bench) -> Bench:
    """The bench of the module, with its clock reset."""
    every_bench.clock.normal()
    return every_bench


def bench_of(server: AdbServer, binary: Path, model: Path) -> Bench:
    """Returns a bench with its own clock."""
    clock = TestClock()
    adb = Adb(server.adb, env={**os.environ, **server.env}, clock=clock)
    return Bench(server, adb, binary, model, clock)


def left_on(phone: VirtualPhone, but: Collection[str] = ()) -> list[str]:
    """Returns the files and processes that the harness has left on a phone.

    Waits for running processes, which may be about to end or to remove a file.

    Args:
        phone: The phone.
        but: Names of files that may stay.
    """
    end_s = time.monotonic() + HANG_S
    while True:
        running = [process.command for process in phone.processes()]
        files = [path.name for path in phone.path(OURS).iterdir() if path.name not in but]
        if not running or time.monotonic() > end_s:
            return files + running
        time.sleep(0.02)


def only_reason(row: Measurement) -> str:
    """Returns the reason of an invalid row, which has just one."""
    assert not row.valid and row.latency is None
    assert len(row.reasons) == 1
    return row.reasons[0]
