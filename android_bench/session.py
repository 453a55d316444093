"""Measuring on one phone: every task becomes exactly one result row, whatever goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from android_bench import probe, settings, sustained, watch
from android_bench.adb import Adb, Attached
from android_bench.binary import Binary
from android_bench.cases import Case
from android_bench.link import PhoneLost
from android_bench.outputs import agreements_on_phone
from android_bench.outputs_reference import References
from android_bench.phone import Phone
from android_bench.phone_rows import PhoneRows, reason_of
from android_bench.power import sampler
from android_bench.power.metered import Meter, Metering, pushed
from android_bench.power.sampler import Sampler
from android_bench.sustained import Sustaining
from android_bench.tasks import Pace, Task
from android_bench.tools import TFLITE, Tool, tool_of
from android_bench.validity import Judge, cool_enough
from zoo.errors import UnknownNameError, ZooError
from zoo.provenance import Provenance
from zoo.types import Agreement, Device, Measurement, Sustained, Timed

_COOLING_POLL_S = 5.0
_LEASE_S = 120.0  # for pushing files and waiting for a link, besides what a process takes

FindBinary = Callable[[str], Binary]


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
    fixed_performance: bool = False

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


def attached_phones(adb: Adb, wanted: str = "all") -> list[Attached]:
    """The phones meant by `all`, or by serials with commas between.

    `all` includes phones that can't be used now: measuring on them gives rows that say why.

    Raises:
        ZooError: no phone is attached, or not the one that was named.
    """
    attached = adb.devices()
    if not attached:
        raise ZooError(
            "no phone is attached",
            remedy="connect one by USB with USB debugging on, or run `adb connect HOST:PORT`",
        )
    if wanted == "all":
        return attached
    by_serial = {phone.serial: phone for phone in attached}
    names = list(dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()))
    for name in names:
        if name not in by_serial:
            raise UnknownNameError("phone", name, by_serial)
    if not names:
        raise UnknownNameError("phone", wanted, ["all", *by_serial])
    return [by_serial[name] for name in names]


def measure_on_phone(
    adb: Adb,
    serial: str,
    tasks: Sequence[Task],
    find_binary: FindBinary,
    provenance: Provenance,
    options: RunOptions,
    progress: Callable[[str], None] = lambda _: None,
    *,
    compared: Sequence[Case] = (),
    references: References | None = None,
) -> Generator[Timed | Agreement, None, None]:
    """Yields one row per task, in order; a failed one has no latency and says why.

    After them comes one row for each of the cases whose outputs are compared.

    The phone is locked meanwhile; at the end, also on Ctrl-C or when the generator is closed,
    nothing of ours is left on it (so far as it can be reached). Wrap the generator in
    `contextlib.closing`, so that an interrupt between two rows ends it at once.

    Args:
        adb: the client.
        serial: of the phone; only a hash of it reaches the rows.
        tasks: of cases with `benchmark_model` as their runtime.
        find_binary: gives the benchmark executable for a processor, such as `arm64-v8a`.
        provenance: goes into every row.
        options: lengths and patience.
        progress: gets one line of text for each step.
        compared: cases whose outputs are compared with this computer's, after all timing.
        references: what this computer says; needed where there are such cases.
    """
    rows = PhoneRows(serial, provenance, kind=Sustained if options.sustaining else Measurement)
    phone = Phone(adb, serial, tolerance_s=options.tolerance_s)
    done = 0
    try:
        attached = adb.devices()
        rows.secret_serials = [other.serial for other in attached]
        _check_state(attached, serial)
        with phone:
            session = _Session(phone, find_binary, options, rows, progress)
            binary = session.get_ready()
            for row in session.measure(tasks, binary):
                done += 1
                yield row
            if references is not None:
                for agreement in agreements_on_phone(
                    phone, rows, compared, binary, references,
                    timeout_s=options.timeout_s, recovery_s=options.recovery_s, progress=progress,
                ):  # fmt: skip
                    compared = compared[1:]
                    yield agreement
    except ZooError as error:
        progress(f"phone {phone.id}: {rows.clean(str(error))}")
        for task in tasks[done:]:
            yield rows.failed(task, reason_of(error))
        for case in compared:
            yield rows.agreement(case, valid=False, reasons=(reason_of(error),))


def tool_command(
    options: RunOptions, case: Case, tool: str, graph: str, metered: bool, line: Tool = TFLITE
) -> str:
    """What the phone's shell is given.

    Args:
        options: lengths.
        case: its delegate and threads.
        tool, graph: paths on the phone.
        metered: whether energy is measured, which takes longer.
        line: of the tool, which decides the flags.
    """
    c = case.configuration
    metering = options.metering if metered else None
    least_s, runs, warmup_secs = options.min_secs, options.num_runs, options.warmup_secs
    if metering is not None:
        least_s = max(least_s, metering.load_s)
    if options.sustaining is not None:  # one stretch of many: nothing cools down in between
        least_s, runs, warmup_secs = options.sustaining.segment_s, 1, 0.0
    flags = line.flags(
        graph,
        c.delegate,
        c.threads,
        num_runs=runs,
        min_secs=least_s,
        # Both the warm-up and the run may last this long; the rest is for loading.
        max_secs=max(2 * least_s if metering else least_s, 0.45 * options.timeout_s),
        warmup_secs=warmup_secs,
    )
    return line.command(tool, flags, c.delegate)


def _check_state(attached: Sequence[Attached], serial: str) -> None:
    """Raises PhoneLost for a phone in a state that waiting won't mend."""
    for phone in attached:
        if phone.serial == serial and not phone.usable and phone.state != "offline":
            raise PhoneLost(phone.problem)


class _Session:
    """The phone's side of `measure_on_phone`, with the lock held."""

    def __init__(
        self,
        phone: Phone,
        find_binary: FindBinary,
        options: RunOptions,
        rows: PhoneRows,
        progress: Callable[[str], None],
    ):
        self.phone = phone
        self.find_binary = find_binary
        self.options = options
        self.rows = rows
        self.progress = progress
        self.line = TFLITE

    def measure(self, tasks: Sequence[Task], binary: Binary) -> Iterator[Timed]:
        """One row per task, or fewer and then PhoneLost, if the phone is gone for good."""
        pace = Pace([self.options.expected_s(task) for task in tasks])
        for number, task in enumerate(tasks, start=1):
            case, c = task.case, task.case.configuration
            what = f"{case.model} {case.precision}, {c.delegate}, {c.threads} threads"
            left = pace.left(number - 1)
            self.progress(f"phone {self.phone.id}: {number}/{len(tasks)} {what}{left}")
            try:
                row = self._measure(task, binary)
            except PhoneLost as lost:
                self.progress(
                    f"phone {self.phone.id}: {self.rows.clean(str(lost))}; waiting for it"
                )
                reason = reason_of(lost)
                back = self.phone.wait_ready(self.options.recovery_s)
                if back:
                    reason = self._after_recovery(reason)
                yield self.rows.failed(task, reason)
                if not back:
                    raise PhoneLost(f"not measured, the phone is gone: {reason}") from lost
                continue
            except ZooError as error:
                row = self.rows.failed(task, reason_of(error))
            yield row

    def get_ready(self) -> Binary:
        try:
            self.phone.shell("true", 5.0)
        except PhoneLost:  # its reason is better than that of a failed reconnection
            if not self.phone.wait_ready(min(self.options.recovery_s, 20.0)):
                raise
        if not self.phone.wait_ready(self.options.recovery_s):
            raise PhoneLost("the phone has not finished booting")
        self.phone.claim(_LEASE_S)
        settings.restore(self.phone.shell)  # of a session that was killed
        if self.options.fixed_performance:
            settings.change(self.phone.shell, settings.FIXED_PERFORMANCE)
        details = self.phone.probe()
        name = " ".join(details[key] for key in ("manufacturer", "model"))
        self.rows.device = Device(kind="phone", id=self.phone.id, name=name, details=details)
        self.phone.link.boot = self.phone.link.boot_id()
        self.judge = Judge(self.options.start_c, details["battery_saver"])
        binary = self.find_binary(details["abi"])
        self.line = tool_of(binary.path)
        self.rows.runtime = self.line.name
        self.rows.runtime_version = f"sha256:{binary.sha256[:12]}"
        return binary

    def _after_recovery(self, reason: str) -> str:
        """Ends what the lost case left running; the reason, if it was a reboot after all."""
        link = self.phone.link
        try:
            self.phone.jobs.kill_all()
            before, link.boot = link.boot, link.boot_id()
        except PhoneLost:
            return reason  # gone again: the next case will say so
        rebooted = link.boot and before and link.boot != before
        if rebooted and "rebooted" not in reason:
            return f"the phone rebooted in mid-run ({reason})"
        return reason

    def _measure(self, task: Task, binary: Binary) -> Timed:
        phone, case = self.phone, task.case
        phone.claim(_LEASE_S + self.options.longest_s)
        tool = phone.push(binary.path, binary.sha256, executable=True)
        graph = phone.push(case.path, case.sha256)
        before = self._cooled_down()
        if reasons := self.judge.before(before):
            return self.rows.failed(task, *reasons, before=before)
        losses, started = phone.link.losses, time.monotonic()
        meter, no_energy = self._meter(task, before)
        command = tool_command(self.options, case, tool, graph, meter is not None, self.line)
        if cores := case.configuration.cores:
            command = f"taskset {probe.mask(phone.clusters(), cores)} {command}"
        if self.options.sustaining is not None:
            return self._sustain(task, command, self.options.sustaining, before)
        if meter is None:
            done = phone.run(watch.watched(command), self.options.timeout_s, (watch.FILE,))
        else:
            done = meter.run(watch.watched(command), self.options.timeout_s, (watch.FILE,))
        delegate = case.configuration.delegate
        result = self.line.parse(done.stdout, done.stderr, done.exit_code, delegate)
        if result.latency is None:
            placement = result.placement
            return self.rows.failed(task, *result.problems, placement=placement, before=before)
        watched = watch.parse(done.files[watch.FILE])
        after = phone.link.patiently(phone.state)
        reasons = self.judge.run(
            before, after, watched, result.latency, case.configuration.delegate
        )
        after |= {**result.notes, **watched.notes}
        if phone.link.losses > losses:
            after["link_losses"] = str(phone.link.losses - losses)
        after["seconds"] = f"{time.monotonic() - started:.1f}"
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

    def _sustain(
        self, task: Task, command: str, how: Sustaining, before: Mapping[str, str]
    ) -> Timed:
        phone, delegate = self.phone, task.case.configuration.delegate
        losses = phone.link.losses
        sample = None
        try:
            which, remote = pushed(phone, self._native_sampler())
            nodes = sustained.nodes([cluster.first for cluster in phone.clusters()])
            limit_s = how.whole_s + self.options.timeout_s
            sample = which.command(remote, how.period_s, limit_s, nodes)
        except PhoneLost:
            raise
        except ZooError as error:
            self.progress(f"phone {phone.id}: no temperatures: {self.rows.clean(str(error))}")
        job, mark = sustained.script(command, sample, how)
        done = phone.run(job, how.whole_s + self.options.timeout_s, sustained.FILES)
        found = sustained.curve(
            done.files[sustained.SEGMENTS],
            mark,
            done.files[sustained.SAMPLES],
            lambda stdout, stderr, code: self.line.parse(stdout, stderr, code, delegate),
        )
        problems = self.judge.curve(found, delegate)
        after = phone.link.patiently(phone.state)
        if phone.link.losses > losses:
            after["link_losses"] = str(phone.link.losses - losses)
        return self.rows.row(
            task,
            placement=found.results[-1].placement if found.results else None,
            state_before=dict(before),
            state_after=after,
            points=found.points,
            valid=not problems,
            reasons=tuple(problems),
            **sustained.summary(found.points),
        )

    def _cooled_down(self) -> dict[str, str]:
        """The phone's state, after waiting for a start temperature so far as is allowed."""
        until = time.monotonic() + self.options.cool_down_s
        told = False
        while True:
            state = self.phone.link.patiently(self.phone.state)
            left_s = until - time.monotonic()
            if left_s <= 0 or cool_enough(state, self.options.start_c):
                return state
            if not told:
                celsius, status = state["battery_c"], state["thermal_status"]
                self.progress(
                    f"phone {self.phone.id}: cooling down ({celsius} °C, thermal status {status})"
                )
                told = True
            time.sleep(min(_COOLING_POLL_S, left_s))

    def _meter(self, task: Task, state: Mapping[str, str]) -> tuple[Meter | None, str | None]:
        """What meters the task's run, or why nothing does; neither where it was not asked for."""
        metering = self.options.metering
        if metering is None or task.number != 1:
            return None, None
        if reason := Meter.refusal(state):
            return None, reason
        try:
            return Meter(self.phone, metering, self._native_sampler()), None
        except PhoneLost:
            raise
        except ZooError as error:
            return None, self.rows.clean(str(error))

    def _native_sampler(self) -> Sampler | None:
        arm64 = self.rows.device.details.get("abi") == "arm64-v8a"
        return sampler.native() if arm64 else None
