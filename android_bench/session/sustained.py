"""Sustained runs: continuous inference for minutes, to find when a phone starts to throttle.

A ranking at minute 1 may not hold at minute 30. The tool does not report the times of single
inferences, so one job on the phone, which needs no link, runs the tool in back-to-back segments.
A sampler records temperature and clocks in parallel.
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

SEGMENTS, SAMPLES = FILES = "segments", "samples"  # files in the job's folder
SLOWER = 1.10
_FEW = 3  # segments in the medians at both ends of the curve
_OUTPUT_BYTES = 6_000  # tail of each segment's output that is kept; it contains the results
_MOST_SEGMENTS = 2_000
_CLOCKS = "/sys/devices/system/cpu/cpufreq/policy"


@dataclass(frozen=True)
class Sustaining:
    """Lengths of a sustained run.

    Attributes:
        minutes: Total duration in minutes.
        segment_s: Duration of one segment (one run of the tool) in s.
        period_s: Sampling period in s.
    """

    minutes: float = 10.0
    segment_s: float = 10.0
    period_s: float = 0.5

    @property
    def whole_s(self) -> float:
        """Total duration in s, without the overrun of the last segment."""
        return 60 * self.minutes


@dataclass(frozen=True)
class Stretch:
    """One segment of the job, which is one run of the tool.

    Attributes:
        at_s: Start, in seconds since boot.
        code: Exit code of the tool.
        stdout, stderr: Output of the tool, only its tail if it is long.
        watch: Conditions recorded around the run.
        thermal_status: Android's thermal status after the run, 0 to 6; None if not reported.
    """

    at_s: float
    code: int
    stdout: str
    stderr: str
    watch: RunConditions
    thermal_status: int | None


@dataclass(frozen=True)
class Curve:
    """The results of a sustained run.

    Attributes:
        points: One point per segment, up to the first that failed.
        results: Parsed output of each segment, including the failed one.
        watches: Conditions during each segment, including the failed one.
        complete: Whether the record of the job is complete.
    """

    points: tuple[SustainedPoint, ...]
    results: tuple[ToolResult, ...]
    watches: tuple[RunConditions, ...]
    complete: bool


def nodes(first_cores: Sequence[int]) -> dict[str, str]:
    """Returns name → path of the nodes to sample, whether or not they exist.

    Args:
        first_cores: First core of each cluster, in ascending order.
    """
    paths = {"temp": sampler.NODES["temp"][0], "gpuclk": "/sys/class/kgsl/kgsl-3d0/gpuclk"}
    if first_cores:  # the last cluster is the fastest
        paths["cur_freq"] = f"{_CLOCKS}{first_cores[-1]}/scaling_cur_freq"
        paths["max_freq"] = f"{_CLOCKS}{first_cores[-1]}/scaling_max_freq"
    return paths


def script(tool: str, sample: str | None, sustaining: Sustaining) -> tuple[str, str]:
    """Returns the shell script of the job and the random mark that separates its segments.

    Args:
        tool: Shell command of one segment.
        sample: Shell command of the sampler; None for none.
        sustaining: Lengths of the run.
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
    """Parses the job's `SEGMENTS` file; a truncated segment is skipped."""
    segments = []
    pattern = re.compile(
        rf"^{mark} begin (?P<at>\d{{1,9}}\.\d\d) (?P<code>\d{{1,3}})\n(?P<watch>.*?)"
        rf"^{mark} out\n(?P<out>.*?)\n{mark} err\n(?P<err>.*?)\n"
        rf"{mark} status[ \t]*(?:Thermal Status: ([0-6]))?[ \t]*\n",
        re.M | re.S,
    )
    for match in pattern.finditer(text):
        segments.append(
            Stretch(
                at_s=float(match["at"]),
                code=int(match["code"]),
                stdout=match["out"],
                stderr=match["err"],
                watch=watch.parse(match["watch"]),
                thermal_status=int(match[6]) if match[6] else None,
            )
        )
    return segments


def curve(
    segments: str, mark: str, samples: str, judge: Callable[[str, str, int], ToolResult]
) -> Curve:
    """Builds the curve of a sustained run from the files of its job.

    Args:
        segments: Content of the `SEGMENTS` file.
        mark: The mark that separates the segments, from `script`.
        samples: Content of the `SAMPLES` file; empty if no sampler ran.
        judge: Parses the tool's output from (stdout, stderr, exit code).
    """
    try:
        trace = parse_trace(samples) if samples else None
    except ZooError:
        trace = None  # the latencies are useful without temperatures
    points, results, watches = [], [], []
    start_s: float | None = None
    parsed = stretches(segments, mark)
    for segment in parsed:
        start_s = segment.at_s if start_s is None else start_s
        result = judge(segment.stdout, segment.stderr, segment.code)
        results.append(result)
        watches.append(segment.watch)
        if result.latency is None:
            break
        latency = result.latency
        seconds = segment.watch.seconds
        inferring_s = latency.runs * latency.avg_us / 1e6
        points.append(
            SustainedPoint(
                at_s=segment.at_s - start_s,
                latency_us=latency.typical_us,
                busy=min(1.0, inferring_s / seconds) if seconds else 0.0,
                thermal_status=segment.thermal_status,
                **_sampled(trace, segment.at_s, segment.at_s + (seconds or 0.0)),
            )
        )
    complete = segments.endswith(f"\n{mark} end {len(parsed)}\n")
    return Curve(tuple(points), tuple(results), tuple(watches), complete)


def summary(points: Sequence[SustainedPoint]) -> dict[str, float | None]:
    """Returns the summary fields of `zoo.schema.measurement.Sustained`; empty without points."""
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
    """Returns the sampled fields of a `SustainedPoint`; empty without a trace."""
    if trace is None:
        return {}
    part = trace.part(start_s, end_s)

    def reduced(
        name: str, reduce: Callable[[np.ndarray], np.floating], unit: float = 1
    ) -> float | None:
        column = part.columns.get(name, np.empty(0))
        known = column[~np.isnan(column)]
        return float(reduce(known)) * unit if len(known) else None

    celsius = reduced("temp", np.median, 0.1)
    return {
        "battery_c": celsius if celsius is not None and -40 <= celsius <= 150 else None,
        "big_core_khz": reduced("cur_freq", np.mean),
        "big_core_limit_khz": reduced("max_freq", np.min),
        "gpu_hz": reduced("gpuclk", np.mean),
    }
