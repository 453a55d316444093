"""Runs one process of a case on a phone that is ready, validates it and builds its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from android_bench.adb.link import PhoneLost
from android_bench.phone import hexdump, probe
from android_bench.phone.phone import Phone
from android_bench.power import sampler
from android_bench.power.metered import Meter, pushed
from android_bench.power.sampler import Sampler
from android_bench.session import run_conditions, sustained
from android_bench.session.options import RunOptions, tool_command
from android_bench.session.sustained import Sustaining
from android_bench.session.validity import ValidityChecker, cool_enough
from android_bench.tasks.phone_rows import PhoneRows
from android_bench.tasks.schedule import Task
from android_bench.tools.binary import Binary
from android_bench.tools.delegates import parse_delegate
from android_bench.tools.op_profile import OperatorTable, parse_profile
from android_bench.tools.output import PROFILED
from android_bench.tools.runtime_info import placement_of
from android_bench.tools.tool import Tool
from zoo.errors import ZooError
from zoo.io.log import Log
from zoo.schema.measurement import OperatorTime, Placement, Timed

_COOLING_POLL_S = 5.0
_INFO, _INFO_TEXT = "info", "info.txt"  # files in the job's folder


@dataclass(frozen=True)
class PhoneRunner:
    """Runs tasks on a phone.

    Attributes:
        phone: A claimed and booted phone.
        binary: The benchmark executable for this phone.
        tool: Which tool the executable is (TFLite's or LiteRT's benchmark_model).
        exports: Whether the executable can export the placement of the nodes to a file.
        options: Run lengths, timeouts and the kind of measurement.
        rows: Builds the result rows.
        judge: Validity checks of the phone's session.
        log: Called with each progress message.
    """

    phone: Phone
    binary: Binary
    tool: Tool
    exports: bool
    options: RunOptions
    rows: PhoneRows
    judge: ValidityChecker
    log: Log

    def run(self, task: Task) -> Timed:
        """Runs a task and returns its row, which may be invalid.

        Raises:
            PhoneLost: if the phone is unreachable for longer than its link tolerates.
            ZooError: if the task can't be run.
        """
        phone, case, binary = self.phone, task.case, self.binary
        program = phone.push(binary.path, binary.sha256, executable=True)
        graph = phone.push(case.path, case.sha256)
        before = self._cooled_down()
        if reasons := self.judge.before(before):
            return self.rows.failed(task, *reasons, before=before)
        if self.options.sustaining is not None:
            command = self._command(task, program, graph, metered=False)
            return self._sustain(task, command, self.options.sustaining, before)
        if self.options.profiling:
            return self._profile(task, self._command(task, program, graph, metered=False), before)
        losses, started = phone.link.losses, phone.adb.clock.now()
        meter, no_energy = self._meter(task, before)
        command = run_conditions.watched(self._command(task, program, graph, meter is not None))
        command += f"\ncode=$?; {hexdump.dump(_INFO)} >{_INFO_TEXT} 2>/dev/null; ( exit $code )"
        run = phone.run if meter is None else meter.run
        least_s = self.options.warmup_secs + self.options.min_secs
        done = run(command, self.options.timeout_s, (run_conditions.FILE, _INFO_TEXT), least_s)
        delegate = case.configuration.delegate
        info = _exported(done.files[_INFO_TEXT], delegate)
        result = self.tool.parse(done.stdout, done.stderr, done.exit_code, delegate, info)
        if result.latency is None:
            placement = result.placement
            return self.rows.failed(task, *result.problems, placement=placement, before=before)
        watched = run_conditions.parse(done.files[run_conditions.FILE])
        after = phone.link.patiently(phone.state)
        reasons = self.judge.run(before, after, watched, result.latency, delegate)
        after |= {**result.notes, **watched.notes, **self._losses_since(losses)}
        after["seconds"] = f"{phone.adb.clock.now() - started:.1f}"
        energy = None
        if meter is not None:
            try:
                energy = meter.judge(done, result.latency, before, after)
            except ZooError as error:
                no_energy = self.rows.clean(str(error))
        return self.rows.row(
            task,
            placement=result.placement,
            latency=result.latency,
            energy=energy,
            no_energy=no_energy,
            state_before=before,
            state_after=after,
            valid=not reasons,
            reasons=tuple(reasons),
        )

    def _command(self, task: Task, program: str, graph: str, metered: bool) -> str:
        info = _INFO if self.exports and not self.options.one_process else ""
        command = tool_command(self.options, task.case, program, graph, metered, self.tool, info)
        if cores := task.case.configuration.cores:
            clusters = self.phone.link.patiently(self.phone.clusters)
            return f"taskset {probe.mask(clusters, cores)} {command}"
        return command

    def _losses_since(self, before: int) -> dict[str, str]:
        losses = self.phone.link.losses - before
        return {"link_losses": str(losses)} if losses else {}

    def _profile(self, task: Task, command: str, before: Mapping[str, str]) -> Timed:
        """Runs with operator profiling, which slows inference, so the row has no latency."""
        done = self.phone.run(command, self.options.timeout_s)
        delegate = task.case.configuration.delegate
        result = self.tool.parse(done.stdout, done.stderr, done.exit_code, delegate)
        profile = parse_profile(done.stdout) or parse_profile(done.stderr)
        problems = [problem for problem in result.problems if problem != PROFILED]
        if profile is None and not problems:
            problems = ["benchmark_model printed no complete profile"]
        if problems or profile is None:
            placement = result.placement
            return self.rows.failed(task, *problems, placement=placement, before=before)
        delegate_profile = profile.delegate
        return self.rows.row(
            task,
            placement=result.placement,
            state_before=dict(before),
            valid=True,
            types=_types(profile.graph),
            slowest=_slowest(profile.graph),
            delegate_types=_types(delegate_profile) if delegate_profile else (),
            delegate_slowest=_slowest(delegate_profile) if delegate_profile else (),
        )

    def _sustain(
        self, task: Task, command: str, sustaining: Sustaining, before: Mapping[str, str]
    ) -> Timed:
        phone, delegate = self.phone, task.case.configuration.delegate
        losses = phone.link.losses
        sample = None
        try:
            which, remote = pushed(phone, self._native_sampler())
            nodes = sustained.nodes([cluster.first for cluster in phone.clusters()])
            limit_s = sustaining.whole_s + self.options.timeout_s
            sample = which.command(remote, sustaining.period_s, limit_s, nodes)
        except PhoneLost:
            raise
        except ZooError as error:
            self.log(f"phone {phone.id}: no temperature log: {self.rows.clean(str(error))}")
        job, mark = sustained.script(command, sample, sustaining)
        done = phone.run(job, sustaining.whole_s + self.options.timeout_s, sustained.FILES)
        curve = sustained.curve(
            done.files[sustained.SEGMENTS],
            mark,
            done.files[sustained.SAMPLES],
            lambda stdout, stderr, code: self.tool.parse(stdout, stderr, code, delegate),
        )
        problems = self.judge.curve(curve, delegate)
        after = phone.link.patiently(phone.state)
        after |= self._losses_since(losses)
        return self.rows.row(
            task,
            placement=curve.results[-1].placement if curve.results else None,
            state_before=dict(before),
            state_after=after,
            points=curve.points,
            valid=not problems,
            reasons=tuple(problems),
            **sustained.summary(curve.points),
        )

    def _cooled_down(self) -> dict[str, str]:
        """Waits up to `cool_down_s` for the start temperature; returns the phone's state."""
        clock = self.phone.adb.clock
        until = clock.now() + self.options.cool_down_s
        logged = False
        while True:
            state = self.phone.link.patiently(self.phone.state)
            left_s = until - clock.now()
            if left_s <= 0 or cool_enough(state, self.options.start_c):
                return state
            if not logged:
                celsius, status = state["battery_c"], state["thermal_status"]
                self.log(
                    f"phone {self.phone.id}: cooling down ({celsius} °C, thermal status {status})"
                )
                logged = True
            clock.sleep(min(_COOLING_POLL_S, left_s))

    def _meter(self, task: Task, state: Mapping[str, str]) -> tuple[Meter | None, str | None]:
        """Returns (meter, None), (None, reason), or (None, None) if no energy was requested."""
        metering = self.options.metering
        if metering is None or task.number != 1:
            return None, None
        if refusal := Meter.refusal(state):
            return None, str(refusal)
        try:
            return Meter(self.phone, metering, self._native_sampler()), None
        except PhoneLost:
            raise
        except ZooError as error:
            return None, self.rows.clean(str(error))

    def _native_sampler(self) -> Sampler | None:
        arm64 = self.rows.device.details.get("abi") == "arm64-v8a"
        return sampler.native() if arm64 else None


def _exported(text: str, delegate: str) -> Placement | None:
    """Parses the exported placement; None if it is missing or malformed (older builds)."""
    try:
        return placement_of(hexdump.read(text), parse_delegate(delegate)) if text.strip() else None
    except ZooError:
        return None


def _types(table: OperatorTable) -> tuple[OperatorTime, ...]:
    return tuple(
        OperatorTime(type=row.type, count=row.count, avg_ms=row.avg_ms, percent=row.percent)
        for row in table.types
    )


def _slowest(table: OperatorTable) -> tuple[OperatorTime, ...]:
    return tuple(
        OperatorTime(
            type=row.type, name=row.name, count=row.calls, avg_ms=row.avg_ms * row.calls,
            percent=row.percent,
        )
        for row in table.slowest
    )  # fmt: skip
