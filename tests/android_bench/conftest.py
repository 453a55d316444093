"""The real adb client on a private server, virtual phones, and real cases to run on them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from android_bench.adb import Adb
from android_bench.binary import Binary, benchmark_binary
from android_bench.cases import Case
from android_bench.options import RunOptions
from android_bench.phone import lock_path
from android_bench.session import measure_on_phone
from android_bench.tasks import Task, by_case, schedule
from tests.tiny_tflite import tiny_model
from tests.virtual_phone import AdbServer, PhoneProfile, VirtualPhone, stand_in_binary
from zoo.files import sha256_of
from zoo.provenance import Provenance
from zoo.results import Configuration, Measurement

OURS = "/data/local/tmp"
SHORT = RunOptions(
    num_runs=3, min_secs=0.02, warmup_secs=0.02, timeout_s=30.0, tolerance_s=5.0, recovery_s=5.0
)


@dataclass
class Bench:
    """An adb server, and what it takes to measure on phones that are connected to it."""

    server: AdbServer
    adb: Adb
    binary: Path
    model: Path

    @contextmanager
    def phone(self, **profile: Any) -> Iterator[VirtualPhone]:
        """A connected virtual phone."""
        with self.phone_like(PhoneProfile(**profile)) as phone:
            yield phone

    @contextmanager
    def phone_like(self, profile: PhoneProfile) -> Iterator[VirtualPhone]:
        """A connected virtual phone of that make."""
        with VirtualPhone(profile) as phone:
            self.server.run("connect", phone.serial)
            try:
                yield phone
            finally:
                self.server.run("disconnect", phone.serial)
                lock_path(phone.serial).unlink(missing_ok=True)

    def find_binary(self, abi: str) -> Binary:
        """The stand-in for benchmark_model, as if the user had given it."""
        return benchmark_binary(self.binary, abi, self.binary.parent / "cache")

    def cases(self, *delegates: str) -> list[Case]:
        """One case of the tiny model for each delegate."""
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
        """Every process of the tiny model with each delegate, case by case."""
        scheduled = [
            schedule([case], processes, "phone", {"place": place})
            for place, case in enumerate(self.cases(*delegates))
        ]
        return [task for tasks in scheduled for task in tasks]

    def processes(
        self, phone: VirtualPhone, tasks: Sequence[Task], **options: Any
    ) -> list[Measurement]:
        """A row for each task, with short runs."""
        provenance = options.pop("provenance", Provenance(("test",), {"zoo": "test"}))
        progress = options.pop("progress", lambda _: None)
        return list(
            measure_on_phone(
                self.adb,
                phone.serial,
                tasks,
                self.find_binary,
                provenance,
                replace(SHORT, **options),
                progress,
            )
        )

    def measure(
        self, phone: VirtualPhone, *delegates: str, processes: int = 1, **options: Any
    ) -> list[Measurement]:
        """A row for each case."""
        tasks = self.tasks(*delegates, processes=processes)
        rows = self.processes(phone, tasks, **options)
        assert [(row.case, row.process) for row in rows] == [(t.key, t.number) for t in tasks]
        return [row for row in by_case(rows) if isinstance(row, Measurement)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    model = folder / "a model with spaces.tflite"
    tiny_model(model)
    with AdbServer() as server:
        adb = Adb(server.adb, env={**os.environ, **server.env})
        yield Bench(server, adb, stand_in_binary(folder), model)


@pytest.fixture
def during_a_run() -> Iterator[Callable[[VirtualPhone, Callable[[], object]], None]]:
    """Does something to a phone as soon as benchmark_model runs on it."""
    with ExitStack() as stack:

        def arrange(phone: VirtualPhone, action: Callable[[], object]) -> None:
            def wait_and_act() -> None:
                phone.wait_for_process(
                    r"^\S*python.* --graph="
                )  # the tool, not the shell before it
                action()

            thread = threading.Thread(target=wait_and_act)
            thread.start()
            stack.callback(thread.join, 30)

        yield arrange


def left_on(phone: VirtualPhone, patience_s: float = 2.0) -> list[str]:
    """Files and processes of ours that are still on the phone, after a moment to end in."""
    end_s = time.monotonic() + patience_s
    while True:
        files = [path.name for path in phone.path(OURS).iterdir()]
        left = files + [process.command for process in phone.processes()]
        if not left or time.monotonic() > end_s:
            return left
        time.sleep(0.05)
