"""Run options for the benchmark tool on a phone, and its command line."""

from __future__ import annotations

from dataclasses import dataclass

from android_bench.phone.state import HOT_C
from android_bench.power.metered import Metering
from android_bench.session.sustained import Sustaining
from android_bench.tasks.cases import Case
from android_bench.tasks.schedule import Task
from android_bench.tools.tool import TFLITE, Tool
from zoo.schema.measurement import Measurement, OperatorProfile, Sustained, Timed


@dataclass(frozen=True)
class RunOptions:
    """How each process of the tool runs: at least `num_runs` inferences and `min_secs` seconds.

    Attributes:
        num_runs: Minimum number of timed inferences.
        min_secs: Minimum duration of the timed run in s.
        warmup_secs: Duration of the warm-up in s.
        timeout_s: Time limit of one process, including startup and warm-up.
        tolerance_s: How long the phone may be unreachable during a run without failing it.
        recovery_s: How long to wait for a lost phone before the remaining tasks are skipped.
        metering: Energy measurement in the first process of each case; None for none.
        start_c: Highest battery temperature in °C at which a process may start.
        cool_down_s: Maximum time to wait for `start_c` before each process.
        sustaining: Sustained run of each case instead of a latency; None for none.
        profiling: Whether to profile each case's operators instead of measuring a latency.
        fixed_performance: Whether to enable Android's fixed-performance mode (Android 11).
    """

    num_runs: int = 50
    min_secs: float = 1.0
    warmup_secs: float = 0.5
    timeout_s: float = 300.0
    tolerance_s: float = 20.0
    recovery_s: float = 60.0
    metering: Metering | None = None
    start_c: float = HOT_C
    cool_down_s: float = 300.0
    sustaining: Sustaining | None = None
    profiling: bool = False
    fixed_performance: bool = False

    @property
    def one_process(self) -> bool:
        """Whether each case runs in a single process (profiling and sustained runs)."""
        return self.profiling or self.sustaining is not None

    @property
    def kind(self) -> type[Timed]:
        """Class of the result rows."""
        if self.sustaining is not None:
            return Sustained
        return OperatorProfile if self.profiling else Measurement

    @property
    def longest_s(self) -> float:
        """Maximum seconds per process, including cooling down, before it is aborted."""
        metering, sustaining = self.metering, self.sustaining
        metered_s = metering.load_s + 2 * metering.idle_s if metering else 0.0
        sustained_s = sustaining.whole_s if sustaining else 0.0
        return self.cool_down_s + self.timeout_s + max(metered_s, sustained_s)

    def expected_s(self, task: Task) -> float:
        """Minimum seconds for a process, without pushing, loading and cooling down."""
        if self.sustaining is not None:
            return 2.0 + self.sustaining.whole_s + self.sustaining.segment_s
        metering = self.metering if task.number == 1 else None
        metered_s = metering.load_s + 2 * metering.idle_s if metering else 0.0
        return 2.0 + self.warmup_secs + max(self.min_secs, metered_s)


def tool_command(
    options: RunOptions,
    case: Case,
    binary: str,
    graph: str,
    metered: bool,
    tool: Tool = TFLITE,
    runtime_info: str = "",
) -> str:
    """Returns the shell command that runs the tool on the phone.

    Args:
        options: Run lengths and the kind of measurement.
        case: Supplies the delegate and the number of threads.
        binary, graph: Paths of the executable and the model on the phone.
        metered: Whether energy is measured, which takes longer.
        tool: The tool, which determines the flags.
        runtime_info: File to which the tool exports the placement; empty for none.
    """
    c = case.configuration
    metering = options.metering if metered else None
    least_s, runs, warmup_secs = options.min_secs, options.num_runs, options.warmup_secs
    if metering is not None:
        least_s = max(least_s, metering.load_s)
    if options.sustaining is not None:  # one segment of many, without a pause between them
        least_s, runs, warmup_secs = options.sustaining.segment_s, 1, 0.0
    flags = tool.flags(
        graph,
        c.delegate,
        c.threads,
        num_runs=runs,
        min_secs=least_s,
        # The limit applies to the warm-up and to the run; the rest of the timeout is for loading.
        max_secs=max(2 * least_s if metering else least_s, 0.45 * options.timeout_s),
        warmup_secs=warmup_secs,
        profile=options.profiling,
        runtime_info=runtime_info,
    )
    return tool.command(binary, flags, c.delegate)
