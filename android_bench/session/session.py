"""Measures on one phone: every task yields exactly one result row, even if it fails."""

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

_LEASE_S = 120.0  # added to the time limit of a process, for pushing files and link losses

FindBinary = Callable[[str], Binary]


def attached_phones(adb: Adb, selection: str = "all") -> list[Attached]:
    """Returns the phones selected by `all` or by comma-separated serial numbers.

    `all` includes phones that are not usable; measuring on them yields rows with the reason.

    Raises:
        ZooError: if no phone is attached, or a named phone is not attached.
    """
    attached = adb.devices()
    if not attached:
        raise ZooError(
            "no phone is attached",
            remedy="connect one over USB with USB debugging on, or run zoo phone connect HOST:PORT",
        )
    if selection == "all":
        return attached
    by_serial = {phone.serial: phone for phone in attached}
    names = list(dict.fromkeys(name.strip() for name in selection.split(",") if name.strip()))
    for name in names:
        if name not in by_serial:
            raise UnknownNameError("phone", name, by_serial)
    if not names:
        raise UnknownNameError("phone", selection, ["all", *by_serial])
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
    """Yields one row per task, in order; a failed row has a reason instead of a latency.

    One row per case in `compared` follows.

    The phone is locked until the generator ends. Then, also after Ctrl-C or `close()`, all files
    and processes of the benchmark are removed from the phone if it is reachable. Wrap the generator
    in `contextlib.closing` so an interrupt between two rows cleans up immediately.

    Args:
        adb: The adb client.
        serial: Serial number of the phone; rows contain only a hash of it.
        tasks: Tasks of cases with the runtime `benchmark_model`.
        find_binary: Returns the benchmark executable for an ABI such as `arm64-v8a`.
        provenance: Added to every row.
        options: Run lengths, timeouts and the kind of measurement.
        log: Called with each progress message.
        compared: Cases whose outputs are compared with the host's, after all timing.
        references: Outputs of the host; required if `compared` is not empty.
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
    """Raises PhoneLost if the phone is in a state that waiting does not fix."""
    for phone in attached:
        if phone.serial == serial and not phone.usable and phone.state != "offline":
            raise PhoneLost(phone.problem)


class _Session:
    """The part of `measure_on_phone` that runs while the phone is locked."""

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
        """Yields one row per task; raises PhoneLost if the phone does not come back."""
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
                        f"not measured because the phone is gone: {reason}", lost.call
                    ) from lost
                continue
            except ZooError as error:
                row = self.rows.failed(task, reason_of(error))
            yield row

    def get_ready(self) -> PhoneRunner:
        """Waits for the phone, claims it, probes it and selects its executable."""
        try:
            self.phone.shell("true", 5.0)
        except PhoneLost:  # its message is more specific than that of a failed reconnection
            if not self.phone.wait_ready(min(self.options.recovery_s, 20.0)):
                raise
        if not self.phone.wait_ready(self.options.recovery_s):
            raise PhoneLost("the phone has not finished booting")
        patiently = self.phone.link.patiently
        patiently(self.phone.identify)
        self.phone.claim(_LEASE_S)
        patiently(lambda: settings.restore(self.phone.shell))  # changed by a killed session
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
        """Kills leftover jobs; returns the failure reason, corrected if the phone rebooted."""
        link = self.phone.link
        # The link may break again right after it came back; that must not count as a reboot.
        before, link.boot = link.boot, ""
        try:
            link.patiently(self.phone.jobs.kill_all)
            link.boot = link.patiently(link.boot_id)
        except PhoneLost:
            link.boot = before
            return reason  # lost again; the next case reports it
        rebooted = link.boot and before and link.boot != before
        if rebooted and "rebooted" not in reason:
            return f"the phone rebooted during the run ({reason})"
        return reason
