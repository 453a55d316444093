"""Measuring on one phone: every task becomes exactly one result row, whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

from android_bench.adb.client import Adb, Attached
from android_bench.adb.link import PhoneLost
from android_bench.outputs.reference import References
from android_bench.outputs.verify import agreements_on_phone
from android_bench.phone import settings
from android_bench.phone.phone import Phone
from android_bench.session.options import RunOptions
from android_bench.session.runner import PhoneRunner
from android_bench.session.validity import ValidityChecker
from android_bench.tasks.cases import Case
from android_bench.tasks.phone_rows import PhoneRows, reason_of
from android_bench.tasks.schedule import Eta, Task
from android_bench.tools.binary import Binary
from android_bench.tools.tool import INFO_FLAG, has_flag, tool_of
from zoo.errors import UnknownNameError, ZooError
from zoo.io.log import Log
from zoo.io.provenance import Provenance
from zoo.schema.measurement import Agreement, Device, Timed

_LEASE_S = 120.0  # for pushing files and waiting for a link, besides what a process takes

FindBinary = Callable[[str], Binary]


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
    log: Log = lambda _: None,
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
        log: gets one line of text for each step.
        compared: cases whose outputs are compared with this computer's, after all timing.
        references: what this computer says; needed where there are such cases.
    """
    rows = PhoneRows(serial, provenance, kind=options.kind)
    phone = Phone(adb, serial, tolerance_s=options.tolerance_s)
    done = 0
    try:
        attached = adb.devices()
        rows.secret_serials = [other.serial for other in attached]
        _check_state(attached, serial)
        with phone:
            session = _Session(phone, find_binary, options, rows, log)
            runner = session.get_ready()
            for row in session.measure(tasks, runner):
                done += 1
                yield row
            if references is not None:
                for agreement in agreements_on_phone(
                    phone, rows, compared, runner.binary, references,
                    timeout_s=options.timeout_s, recovery_s=options.recovery_s, log=log,
                ):  # fmt: skip
                    compared = compared[1:]
                    yield agreement
    except ZooError as error:
        log(f"phone {phone.id}: {rows.clean(str(error))}")
        for task in tasks[done:]:
            yield rows.failed(task, reason_of(error))
        for case in compared:
            yield rows.agreement(case, valid=False, reasons=(reason_of(error),))


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
        log: Log,
    ):
        self.phone = phone
        self.find_binary = find_binary
        self.options = options
        self.rows = rows
        self.log = log

    def measure(self, tasks: Sequence[Task], runner: PhoneRunner) -> Iterator[Timed]:
        """One row per task, or fewer and then PhoneLost, if the phone is gone for good."""
        pace = Eta([self.options.expected_s(task) for task in tasks])
        for number, task in enumerate(tasks, start=1):
            case, c = task.case, task.case.configuration
            what = f"{case.model} {case.precision}, {c.delegate}, {c.threads} threads"
            left = pace.left(number - 1)
            self.log(f"phone {self.phone.id}: {number}/{len(tasks)} {what}{left}")
            try:
                self.phone.claim(_LEASE_S + self.options.longest_s)
                row = runner.run(task)
            except PhoneLost as lost:
                self.log(f"phone {self.phone.id}: {self.rows.clean(str(lost))}; waiting for it")
                reason = reason_of(lost)
                back = self.phone.wait_ready(self.options.recovery_s)
                if back:
                    reason = self._after_recovery(reason)
                yield self.rows.failed(task, reason)
                if not back:
                    raise PhoneLost(
                        f"not measured, the phone is gone: {reason}", lost.call
                    ) from lost
                continue
            except ZooError as error:
                row = self.rows.failed(task, reason_of(error))
            yield row

    def get_ready(self) -> PhoneRunner:
        """Waits for the phone, claims it, and learns what it is."""
        try:
            self.phone.shell("true", 5.0)
        except PhoneLost:  # its reason is better than that of a failed reconnection
            if not self.phone.wait_ready(min(self.options.recovery_s, 20.0)):
                raise
        if not self.phone.wait_ready(self.options.recovery_s):
            raise PhoneLost("the phone has not finished booting")
        patiently = self.phone.link.patiently
        patiently(self.phone.identify)
        self.phone.claim(_LEASE_S)
        patiently(lambda: settings.restore(self.phone.shell))  # of a session that was killed
        if self.options.fixed_performance:
            settings.change(self.phone.shell, settings.FIXED_PERFORMANCE)
        details = patiently(self.phone.probe)
        name = " ".join(details[key] for key in ("manufacturer", "model"))
        self.rows.device = Device(kind="phone", id=self.phone.id, name=name, details=details)
        self.phone.link.boot = patiently(self.phone.link.boot_id)
        binary = self.find_binary(details["abi"])
        tool = tool_of(binary.path)
        self.rows.runtime = tool.name
        self.rows.runtime_version = f"sha256:{binary.sha256[:12]}"
        judge = ValidityChecker(self.options.start_c, details["battery_saver"])
        exports = has_flag(binary.path, INFO_FLAG)
        return PhoneRunner(
            self.phone, binary, tool, exports, self.options, self.rows, judge, self.log
        )

    def _after_recovery(self, reason: str) -> str:
        """Ends what the lost case left running; the reason, if it was a reboot after all."""
        link = self.phone.link
        # A link that has just come back may break once more, which is no further reboot.
        before, link.boot = link.boot, ""
        try:
            link.patiently(self.phone.jobs.kill_all)
            link.boot = link.patiently(link.boot_id)
        except PhoneLost:
            link.boot = before
            return reason  # gone again: the next case will say so
        rebooted = link.boot and before and link.boot != before
        if rebooted and "rebooted" not in reason:
            return f"the phone rebooted in mid-run ({reason})"
        return reason
