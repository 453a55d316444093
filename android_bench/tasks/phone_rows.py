"""Builds result rows of a phone without serial numbers."""

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

_MIN_SERIAL = 4  # characters; a shorter serial number would match unrelated text


@dataclass
class PhoneRows:
    """Builds result rows in which hashes replace serial numbers.

    Attributes:
        serial: Serial number of the measured phone.
        provenance: Added to every row.
        runtime_version: Version of the benchmark executable; `unknown` until it is selected.
        runtime: Name of the benchmark tool; the default until the executable is selected.
        secret_serials: Serial numbers of other phones, which may appear in the command line.
        kind: Class of the rows.
        device: The phone; its name and details are unknown until it is probed.
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
        """Returns the text with all serial numbers replaced by their hashes."""
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
        """Returns an invalid row without figures."""
        return self.row(
            task,
            placement=placement,
            state_before=dict(before or {}),
            valid=False,
            reasons=tuple(one_line(self.clean(reason)) for reason in reasons),
        )

    def row(self, task: Task, **result: Any) -> Timed:
        """Returns a row of class `kind`; `result` has the fields that depend on the outcome."""
        return self.kind.model_validate({**self._fields(task.case), **task.fields, **result})

    def agreement(self, case: Case, **result: Any) -> Agreement:
        """Returns a row of an output comparison; `result` has the fields of its outcome."""
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
    """Returns the reason for a row: the short clause if the phone was lost, else the full error."""
    return error.what if isinstance(error, PhoneLost) else str(error)
