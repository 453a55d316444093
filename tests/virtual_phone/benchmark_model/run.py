"""The common part of both tools: loading, preparation, warmup and timing."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .clock import clock
from .flags import Flags
from .graph import Graph
from .tensors import from_files, resize_inputs, save_outputs
from .text import fail, info, statistics_line


@dataclass
class Phone:
    """Settings of the stand-in from the phone's profile; see `PhoneProfile`."""

    gpu: str = "full"
    gpu_partitions: int = 3
    gpu_error: str | None = None
    nnapi: str = "full"
    external: str = "full"
    build_percentiles: bool = True
    build_output_filepath: bool = True
    crash_exit: int | None = None
    crash_after_runs: int = 3
    fail_invoke: bool = False
    slow_ms: float = 0.0
    litert: bool = True
    journal: str = ""

    @classmethod
    def load(cls) -> Phone:
        path = os.environ.get("VIRTUAL_PHONE_BENCHMARK")
        return cls(**json.loads(Path(path).read_text())) if path else cls()

    def missing_flags(self) -> set[str]:
        """Returns the flags that the phone's build of the tool does not have."""
        return set() if self.build_output_filepath else {"output_filepath"}


@dataclass(frozen=True)
class Times:
    """The measurements of a run, in microseconds and megabytes."""

    init_us: int
    warmup_us: list[int]
    regular_us: list[int]
    start_mb: float
    init_mb: float

    @property
    def first_us(self) -> int:
        return (self.warmup_us or self.regular_us or [0])[0]


def resident_mb() -> float:
    """Returns the peak resident memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Benchmark:
    """A run. Subclasses print a tool's output in `announce`, `place`, `placed` and `report`."""

    not_loaded = "Failed to load model {graph}"

    def __init__(self, flags: Flags, phone: Phone):
        self.flags, self.phone = flags, phone
        self.result: dict[str, Any] = {}
        self.clock = clock(Path(phone.journal).parent)

    def plain(self) -> bool:
        """Returns whether XNNPACK is turned off."""
        raise NotImplementedError

    def announce(self) -> None:
        """Prints the lines before the model is loaded."""
        raise NotImplementedError

    def place(self) -> None:
        """Prints lines about accelerators before tensors are allocated; may end the run."""
        raise NotImplementedError

    def placed(self) -> None:
        """Prints lines about delegates once the graph is ready to run."""
        raise NotImplementedError

    def report(self, times: Times) -> None:
        """Prints the results."""
        raise NotImplementedError

    def run(self) -> None:
        flags = self.flags
        for name in sorted(flags.given):
            info(f"{name}: [{_shown(flags[name])}]")
        if not flags["graph"]:
            fail("Please specify the name of your TF Lite input file with --graph")
        # Imported late, so a wrong flag is reported at once, as by the native tool.
        if self.phone.litert:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        else:
            from .asleep import Interpreter, OpResolverType

        self.announce()
        start_mb = resident_mb()
        started_ns = self.clock.now_ns()
        without = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            content = Path(flags["graph"]).read_bytes()
            self.interpreter = Interpreter(
                model_content=content,
                num_threads=flags["num_threads"] if flags["num_threads"] > 0 else None,
                experimental_op_resolver_type=without if self.plain() else OpResolverType.AUTO,
            )
        except (OSError, ValueError):
            fail(self.not_loaded.format(graph=flags["graph"]), "Benchmarking failed.")
        self.place()
        try:
            self._prepare()
        except (RuntimeError, ValueError):
            fail("Failed to allocate tensors!", "Benchmarking failed.")
        self.graph = Graph.of(self.interpreter)
        self.placed()
        init_us = (self.clock.now_ns() - started_ns) // 1000
        init_mb = resident_mb()
        info(f"The input model file size (MB): {len(content) / 1e6:g}")
        info(f"Initialized session in {init_us / 1000:g}ms.")
        warmup = self._loop(flags["warmup_runs"], flags["warmup_min_secs"], timed=False)
        regular = self._loop(flags["num_runs"], flags["min_secs"], timed=True)
        self.report(Times(init_us, warmup, regular, start_mb, init_mb))
        save_outputs(self.interpreter, flags, self.phone.gpu_error)
        self.result = {"times_us": regular, "warmup_us": warmup, "init_us": init_us}
        if self.phone.fail_invoke:
            fail("Benchmarking failed.")

    def _prepare(self) -> None:
        resize_inputs(self.interpreter, self.flags)
        self.interpreter.allocate_tensors()
        if not self.interpreter.get_input_details():
            return
        import numpy as np

        ranges = {}
        for part in filter(None, self.flags.get("input_layer_value_range").split(":")):
            name, low, high = part.rsplit(",", 2)
            ranges[name] = (float(low), float(high))
        spans = {"int8": (-127.0, 127.0), "uint8": (0.0, 254.0)}
        random = np.random.default_rng()
        for tensor in self.interpreter.get_input_details():
            kind = np.dtype(tensor["dtype"])
            span = (-0.5, 0.5) if kind.kind == "f" else spans.get(kind.name, (0.0, 99.0))
            values = random.uniform(*ranges.get(tensor["name"], span), size=tensor["shape"])
            self.interpreter.set_tensor(tensor["index"], values.astype(kind))
        for index, values in from_files(self.interpreter, self.flags).items():
            self.interpreter.set_tensor(index, values)

    def _loop(self, least_runs: int, least_s: float, timed: bool) -> list[int]:
        most_s = self.flags["max_secs"]
        info(
            f"Running benchmark for at least {least_runs} iterations and at least {least_s:g} "
            f"seconds but terminate if exceeding {most_s:g} seconds."
        )
        times_us: list[int] = []
        with self._busy():
            started_ns = self.clock.now_ns()
            now_s = 0.0
            while (len(times_us) < least_runs or now_s < least_s) and now_s <= most_s:
                if timed and len(times_us) == 2:
                    self._stop_at_gate()
                if timed and self.phone.crash_exit and len(times_us) >= self.phone.crash_after_runs:
                    crash(self.phone.crash_exit)
                times_us.append(self._inference_us())
                if self.flags["run_delay"] > 0:
                    self.clock.sleep(self.flags["run_delay"])
                now_s = (self.clock.now_ns() - started_ns) / 1e9
        info(statistics_line(times_us, self.phone.build_percentiles) + "\n")
        return times_us

    def _stop_at_gate(self) -> None:
        """Pauses for an action of the test if there is one; see tests/virtual_phone/gate.py."""
        if self.clock.gate():
            return
        with contextlib.suppress(FileNotFoundError), self._beside("gate.told").open("w"):
            pass
        with contextlib.suppress(FileNotFoundError), self._beside("gate").open() as gate:
            fcntl.flock(gate, fcntl.LOCK_SH)

    def _inference_us(self) -> int:
        began_ns = self.clock.now_ns()
        self.interpreter.invoke()
        if self.phone.slow_ms > 0:
            self.clock.sleep(self.phone.slow_ms / 1000 * self.clock.unevenness())
        with contextlib.suppress(OSError, ValueError):  # no such file: the phone is not throttled
            ratio = float(self._beside("speed").read_text())
            self.clock.sleep((self.clock.now_ns() - began_ns) / 1e9 * (1 / ratio - 1))
        return (self.clock.now_ns() - began_ns) // 1000

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        """Locks the file `busy` while inferences run; the lock also ends with this process."""
        file = self._beside("busy")
        if not file.parent.is_dir():
            yield
            return
        with file.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            yield

    def _beside(self, name: str) -> Path:
        return Path(self.phone.journal or "/nonexistent/journal").with_name(name)


def crash(status: int) -> NoReturn:
    """Ends this process with the signal `status` - 128, which the shell reports as `status`."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), status - 128)
    signal.pause()
    raise SystemExit(status)


def _shown(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
