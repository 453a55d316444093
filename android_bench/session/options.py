"""How processes of the tool are run on a phone, and the command that does it."""

from __future__ import annotations

from dataclasses import dataclass

from android_bench.power.metered import Metering
from android_bench.session.sustained import Sustaining
from android_bench.tasks.cases import Case
from android_bench.tasks.schedule import Task
from android_bench.tools.tool import TFLITE, Tool
from zoo.schema.measurement import Measurement, OperatorProfile, Sustained, Timed


@dataclass(frozen=True)
class RunOptions:
    """How a process of the tool is run: at least `num_runs` inferences and `min_secs` seconds.

    Attributes:
        num_runs: inferences.
        min_secs: seconds of the regular run.
        warmup_secs: seconds of running before it.
        timeout_s: limit of one process of the tool, start and warm-up included.
        tolerance_s: how long the phone may be out of reach during a run without failing it.
        recovery_s: how long a lost phone is waited for, once per loss, before the rest is given up.
        metering: of energy, in the first process of each case; None for none.
        start_c: battery temperature (°C) at which a process starts, at most.
        cool_down_s: how long is waited for that, before each process.
        sustaining: of each case in place of a latency; None for none.
        profiling: of each case's operators in place of a latency, in one process of it.
        fixed_performance: whether clocks are held at what the phone can keep up (Android 11).
    """

    num_runs: int = 50
    min_secs: float = 1.0
    warmup_secs: float = 0.5
    timeout_s: float = 300.0
    tolerance_s: float = 20.0
    recovery_s: float = 60.0
    metering: Metering | None = None
    start_c: float = 38.0
    cool_down_s: float = 300.0
    sustaining: Sustaining | None = None
    profiling: bool = False
    fixed_performance: bool = False

    @property
    def one_process(self) -> bool:
        """Whether what is asked for takes a single process of each case."""
        return self.profiling or self.sustaining is not None

    @property
    def kind(self) -> type[Timed]:
        """Of the rows."""
        if self.sustaining is not None:
            return Sustained
        return OperatorProfile if self.profiling else Measurement

    @property
    def longest_s(self) -> float:
        """Seconds that a process may take before it is given up, at most."""
        metering, sustaining = self.metering, self.sustaining
        metered_s = metering.load_s + 2 * metering.idle_s if metering else 0.0
        sustained_s = sustaining.whole_s if sustaining else 0.0
        return self.cool_down_s + self.timeout_s + max(metered_s, sustained_s)

    def expected_s(self, task: Task) -> float:
        """Seconds that a process takes at least; pushing, loading and cooling down aside."""
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
    """What the phone's shell is given.

    Args:
        options: lengths.
        case: its delegate and threads.
        binary, graph: paths on the phone.
        metered: whether energy is measured, which takes longer.
        tool: whose flags it takes.
        runtime_info: file that the tool is to export the placement to; empty for none.
    """
    c = case.configuration
    metering = options.metering if metered else None
    least_s, runs, warmup_secs = options.min_secs, options.num_runs, options.warmup_secs
    if metering is not None:
        least_s = max(least_s, metering.load_s)
    if options.sustaining is not None:  # one stretch of many: nothing cools down in between
        least_s, runs, warmup_secs = options.sustaining.segment_s, 1, 0.0
    flags = tool.flags(
        graph,
        c.delegate,
        c.threads,
        num_runs=runs,
        min_secs=least_s,
        # Both the warm-up and the run may last this long; the rest is for loading.
        max_secs=max(2 * least_s if metering else least_s, 0.45 * options.timeout_s),
        warmup_secs=warmup_secs,
        profile=options.profiling,
        runtime_info=runtime_info,
    )
    return tool.command(binary, flags, c.delegate)
