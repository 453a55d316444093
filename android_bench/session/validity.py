"""Whether a latency can be trusted: what was odd about the phone before, during and after a run.

Each reason makes a row invalid; its numbers stay in the line, for whoever wants to look. Charging
is no such reason: it keeps the energy from being told, and warms the phone, which is judged by its
temperature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from android_bench.phone.state import THERMAL
from android_bench.session.run_conditions import RunConditions
from android_bench.session.sustained import Curve
from zoo.schema.measurement import Latency

LEAST_RUNS = 10
_MOST_OTHER_CORES = 0.5
_LEAST_LOOK_S = 0.25  # to tell the load of others, in steps of 10 ms
_LEAST_STRETCHES = 4
_MOST_REASONS = 8
_LOW_PERCENT = 15  # where Android's battery saver steps in by itself
_LIMIT_SLACK = 0.99
# Their inferences are other processes' work, as the phone counts it.
_IN_SERVICES = ("nnapi", "external")


@dataclass
class ValidityChecker:
    """Judges the runs of one phone's session.

    Attributes:
        start_c: battery temperature (°C) at which a run may start, at most.
        battery_saver: as the phone said at the beginning: `on`, `off`, `unknown`.
        highest: cluster → the highest limit (kHz) seen so far: some phones never allow a cluster
            its whole clock, so that only a change tells.
    """

    start_c: float
    battery_saver: str = "unknown"
    highest: dict[str, int] = field(default_factory=dict)

    def before(self, state: Mapping[str, str]) -> list[str]:
        """Why a run that starts in this state can't be trusted."""
        reasons = []
        celsius = _number(state.get("battery_c"))
        if celsius is not None and celsius > self.start_c:
            reasons.append(f"hot at start: {celsius:g} °C, {self.start_c:g} °C at most")
        if (level := _thermal(state)) is not None and level > 0:
            reasons.append(f"hot at start: thermal status {state['thermal_status']}")
        if (level := _gpu_level(state)) is not None and level > 0:
            reasons.append(f"hot at start: the GPU is limited to its level {level}")
        percent = _number(state.get("battery_percent"))
        if percent is not None and percent < _LOW_PERCENT and state.get("powered") == "none":
            reasons.append(f"low battery: {percent:g} %, {_LOW_PERCENT} % at least")
        if self.battery_saver == "on":
            reasons.append("the battery saver is on")
        return reasons

    def run(
        self,
        before: Mapping[str, str],
        after: Mapping[str, str],
        watch: RunConditions,
        latency: Latency,
        delegate: str,
    ) -> list[str]:
        """Why a run that gave a latency can't be trusted.

        Args:
            before, after: the phone's state.
            watch: what was noted during it.
            latency: of it.
            delegate: that was asked for.
        """
        reasons = [*self.before(before), *self._throttled(before, after, watch)]
        reasons += _disturbed(watch, delegate)
        if latency.runs < LEAST_RUNS:
            reasons.append(f"too few runs: {latency.runs}, {LEAST_RUNS} at least")
        return reasons

    @staticmethod
    def curve(found: Curve, delegate: str) -> list[str]:
        """Why a sustained run can't be trusted; that it slows down is what it is for."""
        reasons = [] if found.complete else ["the run was not noted to its end"]
        reasons += [problem for result in found.results for problem in result.problems]
        for part in found.watches:
            reasons += _disturbed(part, delegate)
        if not reasons and len(found.points) < _LEAST_STRETCHES:
            reasons.append(f"too few stretches: {len(found.points)}, {_LEAST_STRETCHES} at least")
        return list(dict.fromkeys(reasons))[:_MOST_REASONS]

    def _throttled(
        self, before: Mapping[str, str], after: Mapping[str, str], watch: RunConditions
    ) -> list[str]:
        reasons = []
        for cluster, (first, last) in sorted(watch.limits.items(), key=lambda item: int(item[0])):
            was = self.highest.get(cluster, 0)
            if last < _LIMIT_SLACK * first:
                reasons.append(f"throttled: the clock of core {cluster} was cut to {last} kHz")
            elif last > first / _LIMIT_SLACK:
                reasons.append(
                    f"frequency changed: core {cluster} was allowed {first}, then {last} kHz"
                )
            elif first < _LIMIT_SLACK * was:
                reasons.append(
                    f"throttled: core {cluster} is allowed {first} kHz, and was {was} kHz"
                )
            self.highest[cluster] = max(was, first, last)
        was_level, level = _thermal(before), _thermal(after)
        if level is not None and level > (was_level or 0):
            reasons.append(f"throttled: thermal status {after['thermal_status']}")
        was_gpu, gpu = _gpu_level(before), _gpu_level(after)
        if gpu is not None and was_gpu is not None and gpu > was_gpu:
            reasons.append(f"throttled: the GPU was cut to its level {gpu}")
        return reasons


def _disturbed(watch: RunConditions, delegate: str) -> list[str]:
    """What others did to a run."""
    reasons = []
    jump_s = watch.clock_jump_s
    if jump_s is not None and abs(jump_s) > watch.clock_step_s:
        reasons.append(f"clock jumped: by {jump_s:+.2f} s during the run")
    other = None if delegate.startswith(_IN_SERVICES) else watch.other_cores
    looked = watch.seconds is not None and watch.seconds >= _LEAST_LOOK_S
    if looked and other is not None and other > _MOST_OTHER_CORES:
        reasons.append(f"other load: {other:.1f} cores, {_MOST_OTHER_CORES:g} at most")
    return reasons


def cool_enough(state: Mapping[str, str], start_c: float) -> bool:
    """Whether waiting can't make the start any better; true for a phone that does not tell."""
    return not [
        reason for reason in ValidityChecker(start_c).before(state) if reason.startswith("hot")
    ]


def _thermal(state: Mapping[str, str]) -> int | None:
    found = re.fullmatch(r"([0-6]) \((\w+)\)", state.get("thermal_status", ""))
    return int(found[1]) if found and found[2] in THERMAL else None


def _gpu_level(state: Mapping[str, str]) -> int | None:
    text = state.get("gpu_thermal_level", "")
    return int(text) if text.isdecimal() else None


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"-?\d{1,4}(\.\d)?", text) else None
