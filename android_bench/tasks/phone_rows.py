"""Result rows of a phone, free of serial numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from android_bench.adb.link import PhoneLost
from android_bench.tasks.cases import Case
from android_bench.tasks.schedule import Task
from zoo.errors import ZooError, one_line
from zoo.io.provenance import Provenance
from zoo.schema.device import device_id
from zoo.schema.measurement import Agreement, Configuration, Device, Measurement, Placement, Timed

_MIN_SERIAL = 4  # a shorter one would be found in innocent text


@dataclass
class PhoneRows:
    """Makes result rows, free of serial numbers.

    Attributes:
        serial: of the phone that is measured.
        provenance: goes into every row.
        runtime_version: of the benchmark executable, as soon as it is known.
        runtime: which tool that is, likewise.
        secret_serials: of other phones, which may stand on the command line.
        kind: of the rows.
        device: the phone, so far as it is known by now.
    """

    serial: str
    provenance: Provenance
    runtime_version: str = "unknown"
    runtime: str = "benchmark_model"
    secret_serials: Sequence[str] = ()
    kind: type[Timed] = Measurement
    device: Device = field(init=False)

    def __post_init__(self) -> None:
        self.device = Device(kind="phone", id=device_id(self.serial), name="unknown")

    def clean(self, text: str) -> str:
        """The text with hashes in place of serial numbers."""
        for serial in sorted({self.serial, *self.secret_serials}, key=len, reverse=True):
            if len(serial) >= _MIN_SERIAL:
                text = text.replace(serial, device_id(serial))
        return text

    def failed(
        self,
        task: Task,
        *reasons: str,
        placement: Placement | None = None,
        before: Mapping[str, str] | None = None,
    ) -> Timed:
        """A row without figures."""
        return self.row(
            task,
            placement=placement,
            state_before=dict(before or {}),
            valid=False,
            reasons=tuple(one_line(self.clean(reason)) for reason in reasons),
        )

    def row(self, task: Task, **result: Any) -> Timed:
        """A row; `result` has the fields of its kind that depend on how it went."""
        return self.kind.model_validate({**self._fields(task.case), **task.fields, **result})

    def agreement(self, case: Case, **result: Any) -> Agreement:
        """A row about outputs; `result` has the fields that depend on how it went."""
        reasons = tuple(one_line(self.clean(reason)) for reason in result.pop("reasons", ()))
        fields = {**self._fields(case), **result, "reasons": reasons}
        return Agreement.model_validate(fields)

    def _fields(self, case: Case) -> dict[str, object]:
        return {
            **self.provenance.fields(),
            "command": tuple(self.clean(word) for word in self.provenance.command),
            "model": case.model,
            "model_sha256": case.sha256,
            "precision": case.precision,
            "device": self.device,
            "configuration": Configuration(
                runtime=self.runtime,
                runtime_version=self.runtime_version,
                delegate=case.configuration.delegate,
                threads=case.configuration.threads,
                cores=case.configuration.cores,
            ),
        }


def reason_of(error: ZooError) -> str:
    """What a row says: the clause for a lost phone, everything for what the user can mend."""
    return error.what if isinstance(error, PhoneLost) else str(error)
