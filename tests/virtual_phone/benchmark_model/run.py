"""One benchmark: load, place, prepare, warm up, time."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .flags import Flags
from .tensors import from_files, resize_inputs, save_outputs
from .text import fail, info, mean_us, statistics_line, warn


@dataclass
class Phone:
    """How the phone's profile wants this tool to behave."""

    gpu: str = "full"
    gpu_partitions: int = 3
    gpu_error: str | None = None
    build_percentiles: bool = True
    build_output_filepath: bool = True
    crash_exit: int | None = None
    crash_after_runs: int = 3
    fail_invoke: bool = False
    slow_ms: float = 0.0
    journal: str = ""

    @classmethod
    def load(cls) -> Phone:
        path = os.environ.get("VIRTUAL_PHONE_BENCHMARK")
        return cls(**json.loads(Path(path).read_text())) if path else cls()

    def missing_flags(self) -> set[str]:
        """Those that the phone's build of the tool does not know yet."""
        return set() if self.build_output_filepath else {"output_filepath"}


def resident_mb() -> float:
    """The largest resident memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Benchmark:
    def __init__(self, flags: Flags, phone: Phone):
        self.flags, self.phone = flags, phone
        self.result: dict[str, Any] = {}

    def run(self) -> None:
        flags = self.flags
        graph = flags["graph"]
        for name in sorted(flags.given):
            info(f"{name}: [{_shown(flags[name])}]")
        if not graph:
            fail("Please specify the name of your TF Lite input file with --graph")
        # Imported late: a wrong flag is told at once, as by the native tool.
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        start_mb = resident_mb()
        started_ns = time.perf_counter_ns()
        plain = "use_xnnpack" in flags.given and not flags["use_xnnpack"]
        without = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            content = Path(graph).read_bytes()
            self.interpreter = Interpreter(
                model_content=content,
                num_threads=flags["num_threads"] if flags["num_threads"] > 0 else None,
                experimental_op_resolver_type=without if plain else OpResolverType.AUTO,
            )
        except (OSError, ValueError):
            fail(f"Failed to load model {graph}", "Benchmarking failed.")
        info(f"Loaded model {graph}")
        self._place_on_gpu()
        try:
            self._prepare()
        except (RuntimeError, ValueError):
            fail("Failed to allocate tensors!", "Benchmarking failed.")
        if "use_xnnpack" in flags.given and flags["use_xnnpack"]:
            info("XNNPACK delegate created.")
            self._tell_placement("XNNPACK", *self._xnnpack_placement())
        init_us = (time.perf_counter_ns() - started_ns) // 1000
        init_mb = resident_mb()
        info(f"The input model file size (MB): {len(content) / 1e6:g}")
        info(f"Initialized session in {init_us / 1000:g}ms.")
        warmup = self._loop(flags["warmup_runs"], flags["warmup_min_secs"], timed=False)
        regular = self._loop(flags["num_runs"], flags["min_secs"], timed=True)
        first = warmup[0] if warmup else regular[0] if regular else 0
        info(
            f"Inference timings in us: Init: {init_us}, First inference: {first}, "
            f"Warmup (avg): {mean_us(warmup):g}, Inference (avg): {mean_us(regular):g}"
        )
        info(
            "Note: as the benchmark tool itself affects memory footprint, the following is only "
            "APPROXIMATE to the actual memory footprint of the model at runtime. Take the "
            "information at your discretion."
        )
        init, overall = init_mb - start_mb, resident_mb() - start_mb
        info(
            f"Memory footprint delta from the start of the tool (MB): "
            f"init={init:g} overall={overall:g}"
        )
        if flags["report_peak_memory_footprint"]:
            info(f"Overall peak memory footprint (MB) via periodic monitoring: {resident_mb():g}")
        save_outputs(self.interpreter, flags, self.phone.gpu_error)
        self.result = {"times_us": regular, "warmup_us": warmup, "init_us": init_us}
        if self.phone.fail_invoke:
            fail("Benchmarking failed.")

    def _place_on_gpu(self) -> None:
        """Tells what the phone's GPU takes of the graph, as its profile has it."""
        if not self.flags["use_gpu"]:
            return
        gpu = self.phone.gpu
        if gpu == "silent_cpu":
            warn("GPU acceleration is unsupported on this platform.")
            return
        info("GPU delegate created.")
        if gpu == "refused":
            fail("Failed to apply GPU delegate.", "Benchmarking failed.")
        info(f"Initialized Open{'GL' if self.flags['gpu_backend'] == 'gl' else 'CL'}-based API.")
        self._tell_placement("GPU", gpu == "full", self.phone.gpu_partitions)

    def _xnnpack_placement(self) -> tuple[bool, int]:
        """Whether XNNPACK really has the whole graph, and in how many parts it has it."""
        delegated = [
            one for one in self.interpreter._get_ops_details() if one["op_name"] == "DELEGATE"
        ]
        if len(delegated) != 1:
            return False, len(delegated)
        # One part that reaches from every input to every output is the whole graph.
        ends = [one["index"] for one in self.interpreter.get_input_details()]
        outputs = [one["index"] for one in self.interpreter.get_output_details()]
        whole = set(ends) <= set(delegated[0]["inputs"].tolist())
        return whole and set(outputs) <= set(delegated[0]["outputs"].tolist()), 1

    def _tell_placement(self, delegate: str, whole: bool, parts: int) -> None:
        applied = f"Explicitly applied {delegate} delegate, and the model graph will be"
        if whole:
            info(f"{applied} completely executed by the delegate.")
        elif parts:
            info(f"{applied} partially executed by the delegate w/ {parts} delegate kernels.")
        else:
            info(
                f"Though {delegate} delegate is explicitly applied, the model graph will not be "
                "executed by the delegate."
            )
        if not whole and self.flags["require_full_delegation"]:
            fail("Disallowed CPU fallback detected.", "Benchmarking failed.")

    def _prepare(self) -> None:
        import numpy as np

        resize_inputs(self.interpreter, self.flags)
        self.interpreter.allocate_tensors()
        ranges = {}
        for part in filter(None, self.flags["input_layer_value_range"].split(":")):
            name, low, high = part.rsplit(",", 2)
            ranges[name] = (float(low), float(high))
        spans = {"int8": (-127.0, 127.0), "uint8": (0.0, 254.0)}
        random = np.random.default_rng()
        for one in self.interpreter.get_input_details():
            kind = np.dtype(one["dtype"])
            span = (-0.5, 0.5) if kind.kind == "f" else spans.get(kind.name, (0.0, 99.0))
            values = random.uniform(*ranges.get(one["name"], span), size=one["shape"])
            self.interpreter.set_tensor(one["index"], values.astype(kind))
        for index, values in from_files(self.interpreter, self.flags).items():
            self.interpreter.set_tensor(index, values)

    def _loop(self, least_runs: int, least_s: float, timed: bool) -> list[int]:
        most_s = self.flags["max_secs"]
        info(
            f"Running benchmark for at least {least_runs} iterations and at least {least_s:g} "
            f"seconds but terminate if exceeding {most_s:g} seconds."
        )
        times_us: list[int] = []
        busy = Path(self.phone.journal or "/nonexistent/journal").with_name("busy")
        if busy.parent.is_dir():
            busy.touch()
        started_s = time.perf_counter()
        now_s = 0.0
        while (len(times_us) < least_runs or now_s < least_s) and now_s <= most_s:
            if timed and self.phone.crash_exit and len(times_us) >= self.phone.crash_after_runs:
                crash(self.phone.crash_exit)
            began_ns = time.perf_counter_ns()
            self.interpreter.invoke()
            if self.phone.slow_ms > 0:
                time.sleep(self.phone.slow_ms / 1000)
            times_us.append((time.perf_counter_ns() - began_ns) // 1000)
            if self.flags["run_delay"] > 0:
                time.sleep(self.flags["run_delay"])
            now_s = time.perf_counter() - started_s
        busy.unlink(missing_ok=True)
        info(statistics_line(times_us, self.phone.build_percentiles) + "\n")
        return times_us


def crash(status: int) -> NoReturn:
    """Dies as the shell reports with `status`: 128 and the number of a signal."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), status - 128)
    signal.pause()
    raise SystemExit(status)


def _shown(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
