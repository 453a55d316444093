"""What is practically best on one device: the front of accuracy, size, latency and energy.

A candidate is a file in one configuration (runtime, delegate, threads). It loses to a budget, for
want of a measurement, or to another candidate that is at least as good in all that both are known
for and better in something. What is left is the front; its most accurate one comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from zoo.errors import UnknownNameError, ZooError
from zoo.report.rows import Report, ReportRow
from zoo.report.wording import Setup, delegate_label, threads_label
from zoo.schema.device import device_id
from zoo.stats import wilson


@dataclass(frozen=True)
class Budget:
    """What a candidate may take; None is no limit.

    Attributes:
        max_ms: of latency.
        max_kb: of the download, 10³ bytes.
        max_mj: net energy of an inference.
        min_top1: share of test images, 0 to 1.
    """

    max_ms: float | None = None
    max_kb: float | None = None
    max_mj: float | None = None
    min_top1: float | None = None


@dataclass(frozen=True)
class Choice:
    """One file in one configuration.

    Attributes:
        name: of the file.
        how: runtime, delegate and threads in words.
        sha256: of the file.
        accuracy: share of `images`; None where it was not scored.
        size_mb: of the download; None where no manifest tells.
        latency_ms: None where it failed.
        energy_mj: net; None where it was not measured.
        failure: why there is no latency.
    """

    name: str
    how: str
    sha256: str
    accuracy: float | None
    images: int
    size_mb: float | None
    latency_ms: float | None
    energy_mj: float | None
    failure: str = ""

    @property
    def title(self) -> str:
        """File and configuration."""
        return f"{self.name} ({self.how})"


@dataclass(frozen=True)
class Rejected:
    """A candidate that is not on the front, and why."""

    candidate: Choice
    reason: str


@dataclass(frozen=True)
class Recommendation:
    """The front, most accurate first, and all others with their reasons."""

    device: str
    dataset: str
    front: tuple[Choice, ...]
    lost: tuple[Rejected, ...]


def recommend(report: Report, device: str, dataset: str, budget: Budget) -> Recommendation:
    """Judges everything that was measured on one device.

    Args:
        report: of all results.
        device: its id or name, or a phone's serial; empty for the only one.
        dataset: what the files were trained on; empty for the only one.
        budget: limits.

    Raises:
        ZooError: an unknown or ambiguous device or data set.
    """
    setups = _setups(report, device)
    rows = _rows(report, dataset)
    every = [one for row in rows for one in _candidates(row, setups)]
    within, lost = [], []
    for candidate in every:
        reason = _excluded(candidate, budget)
        if reason:
            lost.append(Rejected(candidate, reason))
        else:
            within.append(candidate)
    front = []
    for candidate in within:
        winners = [other for other in within if _beats(other, candidate)]
        if winners:
            best = max(winners, key=_rank)
            lost.append(Rejected(candidate, f"beaten by {best.title}: {_margin(best, candidate)}"))
        else:
            front.append(candidate)
    one = next(iter(setups))
    return Recommendation(
        one.device,
        rows[0].dataset if rows else dataset,
        tuple(sorted(front, key=_rank, reverse=True)),
        tuple(lost),
    )


def _setups(report: Report, wanted: str) -> list[Setup]:
    devices: dict[str, list[Setup]] = {}
    for setup in report.setups:
        key = setup.device_id if setup.kind == "phone" else setup.device
        devices.setdefault(key, []).append(setup)
    if not devices:
        raise ZooError("nothing was timed yet", remedy="run python -m scripts.benchmark first")
    found = [
        setups
        for key, setups in devices.items()
        if wanted in ("", key, setups[0].device, setups[0].kind) or device_id(wanted) == key
    ]
    if len(found) == 1:
        return found[0]
    names = [f"{key} ({setups[0].device})" for key, setups in devices.items()]
    if not found:
        raise UnknownNameError("--device", wanted, names)
    raise ZooError(
        "latencies of several devices don't compare",
        where="--device",
        expected=f"one of {', '.join(names)}",
    )


def _rows(report: Report, wanted: str) -> list[ReportRow]:
    datasets = sorted({row.dataset for row in report.rows if row.dataset})
    if wanted and wanted not in datasets:
        raise UnknownNameError("--dataset", wanted, datasets)
    if not wanted and len(datasets) > 1:
        raise ZooError(
            "accuracies on several data sets don't compare",
            where="--dataset",
            expected=f"one of {', '.join(datasets)}",
        )
    return [row for row in report.rows if row.dataset == (wanted or "".join(datasets))]


def _candidates(row: ReportRow, setups: Sequence[Setup]) -> Iterable[Choice]:
    score = row.score.top1 if row.score else None
    for (setup, delegate), outcome in row.outcomes.items():
        if setup in setups:
            energy = outcome.record.energy
            yield Choice(
                name=row.name,
                how=f"{setup.runtime}, {delegate_label(delegate)}, {threads_label(setup)}",
                sha256=row.sha256,
                accuracy=score,
                images=row.score.record.images if row.score else 0,
                size_mb=None if row.gzip_bytes is None else row.gzip_bytes / 1e6,
                latency_ms=outcome.latency_ms,
                energy_mj=energy.net_mj if energy and outcome.latency_ms is not None else None,
                failure=outcome.failure,
            )


def _excluded(candidate: Choice, budget: Budget) -> str:
    """Why a candidate can't win, whatever the others are; empty where it can."""
    if candidate.latency_ms is None:
        return f"no latency: {candidate.failure}"
    if candidate.accuracy is None:
        return "not scored on its test images"
    size_kb = None if candidate.size_mb is None else 1e3 * candidate.size_mb
    limits: Mapping[str, tuple[float | None, float | None, str]] = {
        "max_ms": (candidate.latency_ms, budget.max_ms, "ms"),
        "max_kb": (size_kb, budget.max_kb, "kB"),
        "max_mj": (candidate.energy_mj, budget.max_mj, "mJ"),
    }
    for flag, (value, limit, unit) in limits.items():
        if limit is None:
            continue
        if value is None:
            return f"--{flag}={limit:g}, but it is not known"
        if value > limit:
            return f"{value:.3g} {unit}, above --{flag}={limit:g}"
    if budget.min_top1 is not None and candidate.accuracy < budget.min_top1:
        return f"{100 * candidate.accuracy:.2f} % right, below --min_top1={100 * budget.min_top1:g}"
    return ""


def _beats(one: Choice, other: Choice) -> bool:
    """At least as good in all that `other` is known for, and better in something."""
    better = False
    for mine, theirs in zip(_costs(one), _costs(other), strict=True):
        if theirs is None:
            continue
        if mine is None or mine > theirs:
            return False
        better = better or mine < theirs
    return better


def _costs(one: Choice) -> tuple[float | None, ...]:
    accuracy = None if one.accuracy is None else -one.accuracy
    return accuracy, one.size_mb, one.latency_ms, one.energy_mj


def _rank(one: Choice) -> tuple[float, float]:
    return one.accuracy or 0.0, -(one.latency_ms or 0.0)


def _margin(one: Choice, other: Choice) -> str:
    said = []
    if one.accuracy is not None and other.accuracy is not None:
        gain = 100 * (one.accuracy - other.accuracy)
        low, high = wilson(other.accuracy, max(1, other.images))
        within = " (within the error of the test images)" if low <= one.accuracy <= high else ""
        said.append(f"+{gain:.2f} points{within}" if gain else "as accurate")
    for mine, theirs, word in (
        (one.size_mb, other.size_mb, "the size"),
        (one.latency_ms, other.latency_ms, "the time"),
        (one.energy_mj, other.energy_mj, "the energy"),
    ):
        if mine is not None and theirs:
            said.append(f"{mine / theirs:.2f}× {word}")
    return ", ".join(said)
