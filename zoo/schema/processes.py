"""Merging the processes of a case into one measurement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoo.schema.measurement import Latency, Measurement, Record


def by_case(records: Iterable[Record]) -> list[Record]:
    """Returns the records with all processes of a case merged, at the position of the last one."""
    merged: dict[object, Record | list[Measurement]] = {}
    for number, record in enumerate(records):
        if isinstance(record, Measurement) and record.case:
            group = merged.pop(record.case, [])
            assert isinstance(group, list)  # noqa: S101 - keys of other records are integers
            merged[record.case] = [*group, record]
        else:
            merged[number] = record
    return [one_of(entry) if isinstance(entry, list) else entry for entry in merged.values()]


def one_of(rows: Sequence[Measurement]) -> Measurement:
    """Merges the lines of a case's processes; later lines of a process replace earlier ones.

    The result is valid only if every process has run and is valid, and all of them had the same
    tool version and the same placement of the graph's nodes.
    """
    by_number = {row.process: row for row in rows}
    parts = [by_number[number] for number in sorted(by_number)]
    last, total = rows[-1], rows[-1].processes
    reasons = [
        f"process {part.process} of {total}: {reason}" if total > 1 else reason
        for part in parts
        for reason in (part.reasons if not part.valid else ())
    ]
    if len(parts) < total:
        reasons.append(f"only {len(parts)} of {total} processes have run so far")
    if not reasons and any(part.placement != last.placement for part in parts):
        reasons.append("node placement differed between the processes")
    if not reasons and len({part.configuration.runtime_version for part in parts}) > 1:
        reasons.append("the processes ran different versions of the tool")
    latencies = [part.latency for part in parts if part.latency is not None]
    valid = not reasons and len(latencies) == len(parts)
    metered = [part for part in parts if part.energy is not None or part.no_energy is not None]
    update: dict[str, object] = {
        "valid": valid,
        "reasons": tuple(dict.fromkeys(reasons)),
        "latency": Latency.over_processes(latencies) if valid else None,
        "state_before": parts[0].state_before,
        "state_after": parts[-1].state_after,
    }
    if metered:
        update |= {"energy": metered[-1].energy, "no_energy": metered[-1].no_energy}
    return last.model_copy(update=update)
