"""The tool of LiteRT 2; this module is packed only into a stand-in for that tool.

Flags, output and streams follow litert/tools/benchmark_litert_model.{h,cc}. The line numbers are
those of one version.
"""

from __future__ import annotations

import os
import signal
import sys

from .graph import XNNPACK, tell_replacing, write_runtime_info
from .operators import profile
from .run import Benchmark, Times, resident_mb
from .text import fail, mean_us

FLAGS: dict[str, bool | int | float | str] = {
    "num_runs": 50, "min_secs": 1.0, "max_secs": 150.0, "run_delay": -1.0, "run_frequency": -1.0,
    "num_threads": -1, "use_caching": False, "benchmark_name": "", "output_prefix": "",
    "warmup_runs": 1, "warmup_min_secs": 0.5, "verbose": False, "dry_run": False,
    "report_peak_memory_footprint": False, "memory_footprint_check_interval_ms": 50,
    "gpu_invoke_loop_times": 1, "graph": "", "signature_to_run_for": "",
    "use_cpu": True, "use_gpu": False, "use_npu": False, "dispatch_library_path": "",
    "compiler_plugin_library_path": "", "compiler_cache_path": "",
    "require_full_delegation": False, "use_profiler": False, "enable_perfetto": False,
    "gpu_backend": "", "allow_fp16": True, "gpu_low_priority": False,
    "enable_weight_sharing": False, "result_file_path": "",
    "model_runtime_info_output_file": "", "mediatek_nerun_pilot_version": "version8",
}  # fmt: skip
_HEADER = "benchmark_litert_model.h"


def log(text: str, where: str, level: str = "INFO") -> None:
    """Prints a line of LiteRT's log."""
    print(f"{level}: [{where}] {text}", file=sys.stderr, flush=True)


class LiteRtBenchmark(Benchmark):
    not_loaded = "[benchmark_litert_model.cc:164] Failed to load model."

    def plain(self) -> bool:
        return False

    def announce(self) -> None:
        log(f"Loading model from: {self.flags['graph']}", "benchmark_litert_model.cc:163")
        log("Creating LiteRT environment with options", "environment.cc:30")
        log(
            "NPU accelerator could not be loaded and registered: "
            "kLiteRtStatusErrorInvalidArgument.",
            "npu_registry.cc:34",
            "WARNING",
        )
        library = "libLiteRtGpuAccelerator.so"
        log(f"Attempting to load GPU accelerator({library}).", "gpu_registry.cc:101")
        if self.phone.gpu == "silent_cpu":
            text = "GPU accelerator could not be loaded and registered."
            log(text, "gpu_registry.cc:131", "WARNING")
        else:
            text = f"Dynamically loaded GPU accelerator({library}) registered."
            log(text, "gpu_registry.cc:109")
        log("XNNPACK CPU accelerator registered.", "cpu_registry.cc:42")

    def place(self) -> None:
        flags = self.flags
        if flags["use_cpu"] and flags["require_full_delegation"]:
            text = "Requesting full delegation and CPU acceleration are incompatible."
            log(text, "benchmark_litert_model.cc:67", "ERROR")
            os.kill(os.getpid(), signal.SIGABRT)
        log(
            "Flatbuffer model initialized directly from incoming litert model.",
            "compiled_model.cc:415",
        )
        if flags["use_gpu"] and self.phone.gpu == "refused":
            fail("[benchmark_litert_model.cc:181] Failed to compile model.", "Benchmarking failed.")

    def placed(self) -> None:
        graph, gpu = self.graph, self.phone.gpu
        self.delegate, self.kernels = XNNPACK, graph.xnnpack
        if self.flags["use_gpu"] and gpu in ("full", "partial"):
            self.delegate, self.kernels = "LITERT_CL", graph.share(gpu)
            log("Created LiteRT GpuEnvironment.", "gpu_environment.h:155")
        tell_replacing(graph, self.delegate, self.kernels)
        if self.delegate == "LITERT_CL":
            log("Initializing OpenCL-based API from graph.", "delegate_opencl.cc:420")
        if path := self.flags["model_runtime_info_output_file"]:
            write_runtime_info(path, graph, self.delegate, self.kernels)
            log(f"Generated model runtime info: {path}", f"{_HEADER}:210")

    def report(self, times: Times) -> None:
        regular = times.regular_us
        log("\n========== BENCHMARK RESULTS ==========", f"{_HEADER}:82")
        self._say(84, f"Model initialization: {times.init_us / 1000:.2f} ms")
        self._say(86, f"Warmup (first):       {times.first_us / 1000:.2f} ms")
        self._say(88, f"Warmup (avg):         {_ms(times.warmup_us)}")
        self._say(90, f"Inference (avg):      {_ms(regular)}")
        self._say(94, f"Inference (min):      {min(regular) / 1000:.2f} ms")
        self._say(96, f"Inference (max):      {max(regular) / 1000:.2f} ms")
        self._say(112, "\nMemory Usage:")
        self._say(114, f"Init footprint:       {times.init_mb - times.start_mb:.2f} MB")
        if self.flags["report_peak_memory_footprint"]:
            self._say(121, f"Peak memory:          {resident_mb():.2f} MB")
        else:
            self._say(123, "Peak memory usage not available. (peak_mem_mb <= 0)")
        self._say(126, "======================================\n")
        if self.flags["use_profiler"]:
            lines = profile(self.graph, self.delegate, self.kernels, regular, csv=False)
            self._say(179, "\n" + "\n".join(lines))

    def _say(self, line: int, text: str) -> None:
        log(text, f"{_HEADER}:{line}")


def _ms(times_us: list[int]) -> str:
    return f"{mean_us(times_us) / 1000:.2f} ms ({len(times_us)} runs)"
