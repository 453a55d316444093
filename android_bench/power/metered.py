"""A run of the tool with the battery sampled around it: one job on the phone, needing no link.

The phone idles, works and idles again, while the sampler writes and the shell notes when what
began. The end of the inferences is that of the tool, and their beginning follows from how long
they took, so that neither loading nor warming up counts.
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

_TEARDOWN_S = 1.0  # what the tool may take after its last inference
_GRACE_S = 30  # that the sampler may outlive the job's plan
SAMPLES, MARKS = "samples", "marks"  # files in the job's folder
_MARK = re.compile(r"(idle|load|end|done) ([0-9]{1,9}\.[0-9]{2})")


@dataclass(frozen=True)
class Metering:
    """How long is sampled.

    Attributes:
        load_s: of inferences.
        idle_s: before and after them.
        period_s: between two samples.
        limit_s: after which the sampler ends by itself.
    """

    load_s: float = 60.0
    idle_s: float = 20.0
    period_s: float = 0.1
    limit_s: float = 900.0


def script(tool: str, sample: str, metering: Metering) -> str:
    """The job: `tool` and `sample` are shell commands; its exit code is the tool's."""
    return (
        'mark() { read -r up rest </proc/uptime; echo "$1 $up" >>marks; }\n'
        f"{sample} >{SAMPLES} 2>/dev/null &\n"
        f"sampler=$!\nmark idle\nsleep {metering.idle_s:g}\nmark load\n"
        f"{tool}\ncode=$?\n"
        f"mark end\nsleep {metering.idle_s:g}\nmark done\n"
        "kill -TERM $sampler; wait $sampler\nexit $code"
    )


def windows(marks: str, inferences_s: float) -> tuple[Window, Window, Window]:
    """Idle before, load and idle after.

    Args:
        marks: what the job noted.
        inferences_s: that all timed inferences took together.

    Raises:
        PowerProblem: the job did not note all, or the inferences don't fit between its notes.
    """
    found = [_MARK.fullmatch(line) for line in marks.strip().split("\n")]
    times = {each[1]: float(each[2]) for each in found if each}
    names = [each[1] for each in found if each]
    if names != ["idle", "load", "end", "done"] or sorted(times.values()) != list(times.values()):
        raise PowerProblem("the run was not noted to its end", got=one_line(marks, 80) or "nothing")
    start = times["end"] - inferences_s
    if start < times["load"]:
        raise PowerProblem(
            "the inferences took longer than the tool ran: a clock is wrong",
            expected=f"{times['end'] - times['load']:.2f} s at most",
            got=f"{inferences_s:.2f} s",
        )
    return (
        Window(times["idle"], times["load"]),
        Window(start, max(start, times["end"] - _TEARDOWN_S)),
        Window(times["end"], times["done"]),
    )


def node_paths(phone: Phone) -> dict[str, str]:
    """Name → path of the battery's nodes, or `denied`; one that the phone lacks is left out."""
    tries = "".join(
        f'if cat {quote(path)} >/dev/null 2>&1; then echo "{name} {path}"\n'
        f'elif [ -e {quote(path)} ]; then echo "{name} denied"; fi\n'
        for name, paths in sampler.NODES.items()
        for path in paths
    )
    found: dict[str, str] = {}
    for line in phone.shell(tries).stdout.splitlines():
        name, _, path = line.partition(" ")
        known = name in sampler.NODES and path in (*sampler.NODES[name], "denied")
        if known and found.get(name, "denied") == "denied":
            found[name] = path
    return found


def readable_nodes(phone: Phone) -> dict[str, str]:
    """Name → path of the battery's nodes that can be read.

    Raises:
        PowerProblem: current or voltage can't; says how that was refused.
    """
    found = node_paths(phone)
    for name in ("current_now", "voltage_now"):
        if found.get(name, "denied") == "denied":
            how = "the phone denies it to adb's shell" if name in found else "there is no such node"
            raise PowerProblem(f"{name} can't be read", got=how)
    return {name: path for name, path in found.items() if path != "denied"}


def pushed(phone: Phone, native: Sampler | None) -> tuple[Sampler, str]:
    """A sampler that runs on the phone, and where it is there.

    Args:
        phone: the phone.
        native: the program for its processor; None where there is none.
    """
    for one in filter(None, (native, sampler.loop())):
        remote = phone.push(one.path, one.sha256, executable=True)
        done = phone.shell(one.command(remote, 0.1, 1, {"uptime": "/proc/uptime"}), 10.0)
        if done.code == 0 and done.stdout.startswith(f"mmz-sampler 1 {one.kind}\n"):
            return one, remote
    raise PhoneProblem("neither sampler runs on the phone", got=one_line(done.stderr, 80))


class Meter:
    """Meters runs on one phone; what can't be metered there is told before the first one.

    Args:
        phone: in use.
        metering: lengths.
        native: the sampler for its processor; None where there is none.

    Raises:
        PowerProblem: the battery's nodes can't be read.
        PhoneProblem: no sampler runs.
    """

    def __init__(self, phone: Phone, metering: Metering, native: Sampler | None):
        self._phone, self._metering = phone, metering
        nodes = readable_nodes(phone)
        which, remote = pushed(phone, native)
        limit_s = metering.limit_s + metering.load_s + 2 * metering.idle_s
        self._sample = which.command(remote, metering.period_s, limit_s, nodes)

    @staticmethod
    def refusal(state: Mapping[str, str]) -> PowerProblem | None:
        """Why nothing is metered in this state of the phone; None where it can be."""
        if state.get("battery_readings") == "frozen":
            remedy = "adb shell dumpsys battery reset"
            return PowerProblem("the battery's readings are frozen", remedy=remedy)
        powered = state.get("powered", "unknown")
        if powered == "none":
            return None
        what = "it is not known whether the phone is charging"
        if powered != "unknown":
            what = f"the phone is powered by {powered}"
        return PowerProblem(what, remedy="connect by Wi-Fi and unplug it")

    def run(
        self, tool: str, timeout_s: float, files: Sequence[str] = (), least_s: float = 0.0
    ) -> JobResult:
        """Runs a tool's command with the battery sampled around it; see `Jobs.run`."""
        metering = self._metering
        whole_s = timeout_s + metering.load_s + 2 * metering.idle_s
        least_s = max(least_s, metering.load_s) + 2 * metering.idle_s
        job = script(tool, self._sample, metering)
        return self._phone.run(job, whole_s, (SAMPLES, MARKS, *files), least_s)

    def judge(
        self, done: JobResult, latency: Latency, before: Mapping[str, str], after: Mapping[str, str]
    ) -> Energy:
        """The energy of a run that went well.

        Raises:
            ZooError: there is none that could be trusted.
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
