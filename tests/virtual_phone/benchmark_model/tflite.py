"""The tool of TFLite: its output about placement, and its results."""

from __future__ import annotations

from pathlib import Path

from .graph import XNNPACK, tell_replacing, write_runtime_info
from .operators import profile, write_profile
from .run import Benchmark, Times, resident_mb
from .text import fail, info, mean_us, warn

_RUNTIME_NAMES = {
    "GPU": "TfLiteGpuDelegateV2",
    "NNAPI": "TfLiteNnapiDelegate",
    "EXTERNAL": "TfLiteQnnDelegate",
}
_API = {"": "OpenCL", "cl": "OpenCL", "gl": "OpenGL"}


class TfliteBenchmark(Benchmark):
    accelerator = ""  # name of the accelerator that took nodes
    level = ""

    def plain(self) -> bool:
        return "use_xnnpack" in self.flags.given and not self.flags["use_xnnpack"]

    def announce(self) -> None:
        pass

    def place(self) -> None:
        info(f"Loaded model {self.flags['graph']}")
        flags, phone = self.flags, self.phone
        if flags["use_gpu"]:
            self._apply("GPU", phone.gpu)
        elif flags["use_nnapi"]:
            info("NNAPI accelerators available: [qti-default,qti-dsp,qti-gpu,nnapi-reference]")
            self._apply("NNAPI", phone.nnapi)
        elif Path(flags["external_delegate_path"]).is_file():
            # In a release build, a library that cannot be loaded silently gives no delegate.
            self._apply("EXTERNAL", phone.external)

    def placed(self) -> None:
        graph = self.graph
        delegate, kernels = XNNPACK, graph.xnnpack
        if self.accelerator:
            delegate, kernels = (
                _RUNTIME_NAMES[self.accelerator],
                graph.share(self.level, self.phone.gpu_partitions),
            )
            tell_replacing(graph, delegate, kernels)
            if self.accelerator == "GPU":
                info(f"Initialized {_API[self.flags['gpu_backend']]}-based API.")
            self._tell(self.accelerator, self.level == "full", len(kernels))
        else:
            tell_replacing(graph, delegate, kernels)
        if "use_xnnpack" in self.flags.given and self.flags["use_xnnpack"]:
            info("XNNPACK delegate created.")
            taken = sum(map(len, graph.xnnpack))
            whole = taken == len(graph.nodes) and len(graph.xnnpack) == 1
            self._tell("XNNPACK", whole, len(graph.xnnpack))
        self.delegate, self.kernels = delegate, kernels
        # The export needs LiteRT's schema; without LiteRT it is skipped, as by older builds.
        if self.flags["export_model_runtime_info"] and self.phone.litert:
            path = self.flags["model_runtime_info_output_file"]
            write_runtime_info(path, graph, delegate, kernels)

    def report(self, times: Times) -> None:
        info(
            f"Inference timings in us: Init: {times.init_us}, First inference: {times.first_us}, "
            f"Warmup (avg): {mean_us(times.warmup_us):g}, "
            f"Inference (avg): {mean_us(times.regular_us):g}"
        )
        info(
            "Note: as the benchmark tool itself affects memory footprint, the following is only "
            "APPROXIMATE to the actual memory footprint of the model at runtime. Take the "
            "information at your discretion."
        )
        init, overall = times.init_mb - times.start_mb, resident_mb() - times.start_mb
        info(
            f"Memory footprint delta from the start of the tool (MB): "
            f"init={init:g} overall={overall:g}"
        )
        if self.flags["report_peak_memory_footprint"]:
            info(f"Overall peak memory footprint (MB) via periodic monitoring: {resident_mb():g}")
            info("Memory status at the end of exeution:")
        if self.flags["enable_op_profiling"]:
            csv = self.flags["op_profiling_output_mode"] == "csv"
            lines = profile(self.graph, self.delegate, self.kernels, times.regular_us, csv)
            write_profile(lines, self.flags["op_profiling_output_file"])

    def _apply(self, name: str, behavior: str) -> None:
        """Prints the lines of an accelerator that behaves as in the phone's profile."""
        if behavior == "silent_cpu":
            if name != "EXTERNAL":
                warn(f"{name} acceleration is unsupported on this platform.")
            return
        info(f"{name} delegate created.")
        if behavior == "refused":
            fail(f"Failed to apply {name} delegate.", "Benchmarking failed.")
        if behavior == "nothing":
            self._tell(name, False, 0)
            return
        self.accelerator, self.level = name, behavior

    def _tell(self, delegate: str, whole: bool, parts: int) -> None:
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
