"""Decides whether a latency is valid from the phone's state before, during and after the run.

Any reason makes a row invalid, but its figures stay in the row for inspection. Charging alone is
not a reason: it prevents energy measurements, and its heat is covered by the temperature limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from android_bench.phone.state import LOW_PERCENT, THERMAL
from android_bench.session.run_conditions import RunConditions
from android_bench.session.sustained import Curve
from zoo.schema.measurement import Latency

LEAST_RUNS = 10
_MOST_OTHER_CORES = 0.5
_LEAST_LOAD_RUN_S = 0.25  # CPU time is counted in ticks of 10 ms; shorter runs are too coarse
_LEAST_SEGMENTS = 4
_MOST_REASONS = 8
_LIMIT_SLACK = 0.99
# These delegates run inference in another process, so its CPU time counts as other load.
_IN_SERVICES = ("nnapi", "external")


@dataclass
class ValidityChecker:
    """Checks the validity of all runs in one phone's session.

    Attributes:
        start_c: Highest battery temperature in °C at which a run may start.
        battery_saver: Battery saver at the start of the session: `on`, `off` or `unknown`.
        highest: Cluster → highest clock limit in kHz seen so far. Some phones never allow a
            cluster its maximum clock, so only a drop indicates throttling.
    """

    start_c: float
    battery_saver: str = "unknown"
    highest: dict[str, int] = field(default_factory=dict)

    def before(self, state: Mapping[str, str]) -> list[str]:
        """Returns the reasons why a run that starts in this state is invalid."""
        reasons = []
        celsius = _number(state.get("battery_c"))
        if celsius is not None and celsius > self.start_c:
            reasons.append(f"hot at start: {celsius:g} °C, limit {self.start_c:g} °C")
        if (level := _thermal(state)) is not None and level > 0:
            reasons.append(f"hot at start: thermal status {state['thermal_status']}")
        if (level := _gpu_level(state)) is not None and level > 0:
            reasons.append(f"hot at start: GPU limited to power level {level}")
        percent = _number(state.get("battery_percent"))
        if percent is not None and percent < LOW_PERCENT and state.get("powered") == "none":
            reasons.append(f"low battery: {percent:g} %, minimum {LOW_PERCENT} %")
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
        """Returns the reasons why a run with a latency is invalid.

        Args:
            before, after: State of the phone before and after the run.
            watch: Conditions recorded during the run.
            latency: Measured latency.
            delegate: Name of the requested delegate.
        """
        reasons = [*self.before(before), *self._throttled(before, after, watch)]
        reasons += _disturbed(watch, delegate)
        if latency.runs < LEAST_RUNS:
            reasons.append(f"too few runs: {latency.runs}, minimum {LEAST_RUNS}")
        return reasons

    @staticmethod
    def curve(curve: Curve, delegate: str) -> list[str]:
        """Returns the reasons why a sustained run is invalid; slowing down is not one of them."""
        reasons = [] if curve.complete else ["the record of the run is incomplete"]
        reasons += [problem for result in curve.results for problem in result.problems]
        for part in curve.watches:
            reasons += _disturbed(part, delegate)
        if not reasons and len(curve.points) < _LEAST_SEGMENTS:
            reasons.append(f"too few segments: {len(curve.points)}, minimum {_LEAST_SEGMENTS}")
        return list(dict.fromkeys(reasons))[:_MOST_REASONS]

    def _throttled(
        self, before: Mapping[str, str], after: Mapping[str, str], watch: RunConditions
    ) -> list[str]:
        reasons = []
        for cluster, (first, last) in sorted(watch.limits.items(), key=lambda item: int(item[0])):
            was = self.highest.get(cluster, 0)
            if last < _LIMIT_SLACK * first:
                reasons.append(f"throttled: clock limit of core {cluster} dropped to {last} kHz")
            elif last > first / _LIMIT_SLACK:
                reasons.append(
                    f"frequency changed: clock limit of core {cluster} rose from {first} "
                    f"to {last} kHz"
                )
            elif first < _LIMIT_SLACK * was:
                reasons.append(
                    f"throttled: clock limit of core {cluster} is {first} kHz, was {was} kHz"
                )
            self.highest[cluster] = max(was, first, last)
        was_level, level = _thermal(before), _thermal(after)
        if level is not None and level > (was_level or 0):
            reasons.append(f"throttled: thermal status {after['thermal_status']}")
        was_gpu, gpu = _gpu_level(before), _gpu_level(after)
        if gpu is not None and was_gpu is not None and gpu > was_gpu:
            reasons.append(f"throttled: GPU limited to power level {gpu}")
        return reasons


def _disturbed(watch: RunConditions, delegate: str) -> list[str]:
    """Returns the reasons caused by other processes or a wall clock that was set."""
    reasons = []
    jump_s = watch.clock_jump_s
    if jump_s is not None and abs(jump_s) > watch.clock_step_s:
        reasons.append(f"clock jumped by {jump_s:+.2f} s during the run")
    other = None if delegate.startswith(_IN_SERVICES) else watch.other_cores
    long_enough = watch.seconds is not None and watch.seconds >= _LEAST_LOAD_RUN_S
    if long_enough and other is not None and other > _MOST_OTHER_CORES:
        reasons.append(f"other load: {other:.1f} cores busy, limit {_MOST_OTHER_CORES:g}")
    return reasons


def cool_enough(state: Mapping[str, str], start_c: float) -> bool:
    """Whether the phone is cool enough to start a run; True if it reports no temperature."""
    return not [
        reason for reason in ValidityChecker(start_c).before(state) if reason.startswith("hot")
    ]


def _thermal(state: Mapping[str, str]) -> int | None:
    match = re.fullmatch(r"([0-6]) \((\w+)\)", state.get("thermal_status", ""))
    return int(match[1]) if match and match[2] in THERMAL else None


def _gpu_level(state: Mapping[str, str]) -> int | None:
    text = state.get("gpu_thermal_level", "")
    return int(text) if text.isdecimal() else None


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"-?\d{1,4}(\.\d)?", text) else None
