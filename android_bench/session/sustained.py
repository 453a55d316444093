"""Inference after inference for minutes: what a phone can keep up, and from when on it can't.

A ranking at minute 1 need not hold at minute 30. The tool gives no times of single inferences, so
it is run in stretches, one right after the other, by one job on the phone that needs no link. A
sampler reads temperature and clocks all the while.
"""

from __future__ import annotations

import re
import secrets
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from android_bench.power import sampler
from android_bench.power.trace import Trace
from android_bench.power.trace import parse as parse_trace
from android_bench.session import run_conditions as watch
from android_bench.session.run_conditions import RunConditions
from android_bench.tools.output import ToolResult
from zoo.errors import ZooError
from zoo.schema.measurement import SustainedPoint

SEGMENTS, SAMPLES = FILES = "segments", "samples"  # in the job's folder
SLOWER = 1.10
_FEW = 3  # stretches that the ends of the curve are the median of
_OUTPUT_BYTES = 6_000  # kept of each stretch's output; the results are at its end
_MOST_SEGMENTS = 2_000
_CLOCKS = "/sys/devices/system/cpu/cpufreq/policy"


@dataclass(frozen=True)
class Sustaining:
    """How long inferences go on.

    Attributes:
        minutes: altogether.
        segment_s: of one run of the tool.
        period_s: between two samples.
    """

    minutes: float = 10.0
    segment_s: float = 10.0
    period_s: float = 0.5

    @property
    def whole_s(self) -> float:
        """Seconds altogether, but for the last stretch's overrun."""
        return 60 * self.minutes


@dataclass(frozen=True)
class Stretch:
    """One run of the tool within the job.

    Attributes:
        at_s: when it began, in seconds since boot.
        code: the exit code; stdout, stderr: what it printed.
        watch: what the shell noted around it.
        thermal_status: after it; None where the phone does not tell.
    """

    at_s: float
    code: int
    stdout: str
    stderr: str
    watch: RunConditions
    thermal_status: int | None


@dataclass(frozen=True)
class Curve:
    """A sustained run as it went.

    Attributes:
        points: of the stretches until one failed.
        results: what the tool said in each, the failed one too.
        watches: what was noted around each.
        complete: whether all that ran is here.
    """

    points: tuple[SustainedPoint, ...]
    results: tuple[ToolResult, ...]
    watches: tuple[RunConditions, ...]
    complete: bool


def nodes(first_cores: Sequence[int]) -> dict[str, str]:
    """Name → path of what is sampled, there or not; `first_cores` are those of each cluster."""
    found = {"temp": sampler.NODES["temp"][0], "gpuclk": "/sys/class/kgsl/kgsl-3d0/gpuclk"}
    if first_cores:  # clusters come in order of their cores, the fastest one last
        found["cur_freq"] = f"{_CLOCKS}{first_cores[-1]}/scaling_cur_freq"
        found["max_freq"] = f"{_CLOCKS}{first_cores[-1]}/scaling_max_freq"
    return found


def script(tool: str, sample: str | None, sustaining: Sustaining) -> tuple[str, str]:
    """The job, and the mark that sets its stretches apart.

    Args:
        tool: command of one stretch.
        sample: command of the sampler; None for none.
        sustaining: lengths.
    """
    mark = f"stretch-{secrets.token_hex(8)}"
    sampling = f"{sample} >{SAMPLES} 2>/dev/null &\nsampler=$!\n" if sample else ""
    ending = "kill -TERM $sampler; wait $sampler\n" if sample else ""
    tail = f"tail -c {_OUTPUT_BYTES}"
    return (
        f"{sampling}read -r up rest </proc/uptime\n"
        f"end=$((${{up%.*}} + {round(sustaining.whole_s)})); n=0; code=0\n"
        f"while [ ${{up%.*}} -lt $end ] && [ $code = 0 ] && [ $n -lt {_MOST_SEGMENTS} ]; do\n"
        f"{watch.watched(tool)} >one.out 2>one.err\ncode=$?\n"
        f'{{ echo "{mark} begin $up $code"; cat {watch.FILE}; echo "{mark} out"\n'
        f'{tail} one.out; echo; echo "{mark} err"; {tail} one.err; echo\n'
        "status=$(dumpsys thermalservice 2>/dev/null | grep -m 1 'Thermal Status:')\n"
        f'echo "{mark} status $status"\n'
        f"}} >>{SEGMENTS}\nread -r up rest </proc/uptime; n=$((n+1))\ndone\n"
        f'echo "{mark} end $n" >>{SEGMENTS}\n{ending}exit $code',
        mark,
    )


def stretches(text: str, mark: str) -> list[Stretch]:
    """Reads the job's file; one that was cut off is left out."""
    found = []
    pattern = re.compile(
        rf"^{mark} begin (?P<at>\d{{1,9}}\.\d\d) (?P<code>\d{{1,3}})\n(?P<watch>.*?)"
        rf"^{mark} out\n(?P<out>.*?)\n{mark} err\n(?P<err>.*?)\n"
        rf"{mark} status[ \t]*(?:Thermal Status: ([0-6]))?[ \t]*\n",
        re.M | re.S,
    )
    for each in pattern.finditer(text):
        found.append(
            Stretch(
                at_s=float(each["at"]),
                code=int(each["code"]),
                stdout=each["out"],
                stderr=each["err"],
                watch=watch.parse(each["watch"]),
                thermal_status=int(each[6]) if each[6] else None,
            )
        )
    return found


def curve(
    segments: str, mark: str, samples: str, judge: Callable[[str, str, int], ToolResult]
) -> Curve:
    """What the job's files tell.

    Args:
        segments, samples: the files; no samples where no sampler ran.
        mark: of the stretches.
        judge: reads the tool's output: (stdout, stderr, exit code).
    """
    try:
        trace = parse_trace(samples) if samples else None
    except ZooError:
        trace = None  # the times are worth telling without temperatures
    points, results, watches = [], [], []
    start_s: float | None = None
    found = stretches(segments, mark)
    for one in found:
        start_s = one.at_s if start_s is None else start_s
        result = judge(one.stdout, one.stderr, one.code)
        results.append(result)
        watches.append(one.watch)
        if result.latency is None:
            break
        latency = result.latency
        seconds = one.watch.seconds
        inferring_s = latency.runs * latency.avg_us / 1e6
        points.append(
            SustainedPoint(
                at_s=one.at_s - start_s,
                latency_us=latency.typical_us,
                busy=min(1.0, inferring_s / seconds) if seconds else 0.0,
                thermal_status=one.thermal_status,
                **_sampled(trace, one.at_s, one.at_s + (seconds or 0.0)),
            )
        )
    complete = segments.endswith(f"\n{mark} end {len(found)}\n")
    return Curve(tuple(points), tuple(results), tuple(watches), complete)


def summary(points: Sequence[SustainedPoint]) -> dict[str, float | None]:
    """The figures of a curve: see `zoo.schema.measurement.Sustained`."""
    if not points:
        return {}
    times = [point.latency_us for point in points]
    first = statistics.median(times[:_FEW])
    limits = [point.big_core_limit_khz for point in points]
    known = [limit for limit in limits if limit is not None]
    return {
        "first_us": first,
        "last_us": statistics.median(times[-_FEW:]),
        "slower_after_s": next(
            (
                points[i].at_s
                for i in range(len(points))
                if times[i] > SLOWER * first and statistics.median(times[i:]) > SLOWER * first
            ),
            None,
        ),
        "limited_after_s": next(
            (
                point.at_s
                for point in points
                if point.big_core_limit_khz is not None
                and point.big_core_limit_khz < 0.99 * known[0]
            ),
            None,
        ),
    }


def _sampled(trace: Trace | None, start_s: float, end_s: float) -> dict[str, float | None]:
    """What was sampled during a stretch."""
    if trace is None:
        return {}
    part = trace.part(start_s, end_s)

    def told(name: str, how: Callable[[np.ndarray], np.floating], unit: float = 1) -> float | None:
        column = part.columns.get(name, np.empty(0))
        known = column[~np.isnan(column)]
        return float(how(known)) * unit if len(known) else None

    celsius = told("temp", np.median, 0.1)
    return {
        "battery_c": celsius if celsius is not None and -40 <= celsius <= 150 else None,
        "big_core_khz": told("cur_freq", np.mean),
        "big_core_limit_khz": told("max_freq", np.min),
        "gpu_hz": told("gpuclk", np.mean),
    }
