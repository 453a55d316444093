"""Runs a tool while sampling the battery, as a single job on the phone that needs no link.

The phone idles, runs the tool and idles again, while the sampler records and the shell logs a
timestamp for each phase. The inferences end when the tool ends; their start is computed from their
total duration, which excludes loading and warm-up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from android_bench.adb.link import PhoneProblem
from android_bench.phone.jobs import JobResult
from android_bench.phone.phone import Phone
from android_bench.power import sampler
from android_bench.power.energy import Battery, Window, energy
from android_bench.power.gauge import PowerProblem
from android_bench.power.sampler import Sampler
from android_bench.power.trace import parse
from zoo.errors import one_line
from zoo.schema.measurement import Energy, Latency

_TEARDOWN_S = 1.0  # allowance for the tool to exit after its last inference
_GRACE_S = 30  # how much longer than planned the sampler may run
SAMPLES, MARKS = "samples", "marks"  # files in the job folder
_MARK = re.compile(r"(idle|load|end|done) ([0-9]{1,9}\.[0-9]{2})")


@dataclass(frozen=True)
class Metering:
    """Durations of an energy measurement, in seconds.

    Attributes:
        load_s: Duration of the inferences.
        idle_s: Idle time before and after them.
        period_s: Sampling period.
        limit_s: Timeout of the sampler, added to the planned duration.
    """

    load_s: float = 60.0
    idle_s: float = 20.0
    period_s: float = 0.1
    limit_s: float = 900.0


def script(tool: str, sample: str, metering: Metering) -> str:
    """Returns the job's shell script, which exits with the exit code of the tool.

    Args:
        tool: Shell command of the tool.
        sample: Shell command of the sampler.
        metering: Durations.
    """
    return (
        'mark() { read -r up rest </proc/uptime; echo "$1 $up" >>marks; }\n'
        f"{sample} >{SAMPLES} 2>/dev/null &\n"
        f"sampler=$!\nmark idle\nsleep {metering.idle_s:g}\nmark load\n"
        f"{tool}\ncode=$?\n"
        f"mark end\nsleep {metering.idle_s:g}\nmark done\n"
        "kill -TERM $sampler; wait $sampler\nexit $code"
    )


def windows(marks: str, inferences_s: float) -> tuple[Window, Window, Window]:
    """Returns the windows of the idle phase before, the load, and the idle phase after it.

    Args:
        marks: Timestamps logged by the job.
        inferences_s: Total duration of all timed inferences in seconds.

    Raises:
        PowerProblem: if timestamps are missing or out of order, or the inferences do not fit
            between them.
    """
    matches = [_MARK.fullmatch(line) for line in marks.strip().split("\n")]
    times = {match[1]: float(match[2]) for match in matches if match}
    names = [match[1] for match in matches if match]
    if names != ["idle", "load", "end", "done"] or sorted(times.values()) != list(times.values()):
        raise PowerProblem(
            "the timestamps of the run are incomplete or out of order",
            got=one_line(marks, 80) or "nothing",
        )
    start = times["end"] - inferences_s
    if start < times["load"]:
        raise PowerProblem(
            "the inferences took longer than the tool ran, so a clock is wrong",
            expected=f"{times['end'] - times['load']:.2f} s at most",
            got=f"{inferences_s:.2f} s",
        )
    return (
        Window(times["idle"], times["load"]),
        Window(start, max(start, times["end"] - _TEARDOWN_S)),
        Window(times["end"], times["done"]),
    )


def node_paths(phone: Phone) -> dict[str, str]:
    """Finds the battery's nodes: name → path, or `denied`; missing nodes are omitted."""
    tries = "".join(
        f'if cat {quote(path)} >/dev/null 2>&1; then echo "{name} {path}"\n'
        f'elif [ -e {quote(path)} ]; then echo "{name} denied"; fi\n'
        for name, paths in sampler.NODES.items()
        for path in paths
    )
    nodes: dict[str, str] = {}
    for line in phone.shell(tries).stdout.splitlines():
        name, _, path = line.partition(" ")
        known = name in sampler.NODES and path in (*sampler.NODES[name], "denied")
        if known and nodes.get(name, "denied") == "denied":
            nodes[name] = path
    return nodes


def readable_nodes(phone: Phone) -> dict[str, str]:
    """Finds the readable nodes of the battery: name → path.

    Raises:
        PowerProblem: if current or voltage cannot be read.
    """
    nodes = node_paths(phone)
    for name in ("current_now", "voltage_now"):
        if nodes.get(name, "denied") == "denied":
            denied = "the phone denies it to adb's shell"
            reason = denied if name in nodes else "there is no such node"
            raise PowerProblem(f"{name} can't be read", got=reason)
    return {name: path for name, path in nodes.items() if path != "denied"}


def pushed(phone: Phone, native: Sampler | None) -> tuple[Sampler, str]:
    """Pushes a sampler that runs on the phone; returns it and its path on the phone.

    Args:
        phone: The phone.
        native: Compiled sampler for the phone's processor; None if there is none.

    Raises:
        PhoneProblem: if no sampler runs on the phone.
    """
    for program in filter(None, (native, sampler.loop())):
        remote = phone.push(program.path, program.sha256, executable=True)
        done = phone.shell(program.command(remote, 0.1, 1, {"uptime": "/proc/uptime"}), 10.0)
        if done.code == 0 and done.stdout.startswith(f"mmz-sampler 1 {program.kind}\n"):
            return program, remote
    raise PhoneProblem("neither sampler runs on the phone", got=one_line(done.stderr, 80))


class Meter:
    """Measures the energy of runs on one phone.

    Args:
        phone: The phone, in use by this process.
        metering: Durations.
        native: Compiled sampler for the phone's processor; None if there is none.

    Raises:
        PowerProblem: if the battery's nodes cannot be read.
        PhoneProblem: if no sampler runs on the phone.
    """

    def __init__(self, phone: Phone, metering: Metering, native: Sampler | None):
        self._phone, self._metering = phone, metering
        nodes = readable_nodes(phone)
        program, remote = pushed(phone, native)
        limit_s = metering.limit_s + metering.load_s + 2 * metering.idle_s
        self._sample = program.command(remote, metering.period_s, limit_s, nodes)

    @staticmethod
    def refusal(state: Mapping[str, str]) -> PowerProblem | None:
        """Returns why energy cannot be measured in this phone state; None if it can."""
        if state.get("battery_readings") == "frozen":
            remedy = "adb shell dumpsys battery reset"
            return PowerProblem("the battery's readings are frozen", remedy=remedy)
        powered = state.get("powered", "unknown")
        if powered == "none":
            return None
        what = "it is not known whether the phone is charging"
        if powered != "unknown":
            what = f"the phone is powered by {powered}"
        return PowerProblem(what, remedy="connect over Wi-Fi and unplug it")

    def run(
        self, tool: str, timeout_s: float, files: Sequence[str] = (), least_s: float = 0.0
    ) -> JobResult:
        """Runs a tool's command while sampling the battery; see `Jobs.run`."""
        metering = self._metering
        total_s = timeout_s + metering.load_s + 2 * metering.idle_s
        least_s = max(least_s, metering.load_s) + 2 * metering.idle_s
        job = script(tool, self._sample, metering)
        return self._phone.run(job, total_s, (SAMPLES, MARKS, *files), least_s)

    def judge(
        self, done: JobResult, latency: Latency, before: Mapping[str, str], after: Mapping[str, str]
    ) -> Energy:
        """Computes the energy of a successful run.

        Args:
            done: Result of the job.
            latency: Latency of the run.
            before: State of the phone before the run.
            after: State of the phone after the run.

        Raises:
            ZooError: if the energy cannot be determined or is too uncertain.
        """
        for state in (before, after):
            if refusal := self.refusal(state):
                raise refusal
        inference_s = latency.avg_us / 1e6
        idle, load, idle_after = windows(done.files[MARKS], latency.runs * inference_s)
        level = before.get("battery_percent", "")
        battery = Battery(percent=float(level) if level.isdigit() else None)
        trace = parse(done.files[SAMPLES])
        return energy(trace, idle, load, idle_after, inference_s, battery)
