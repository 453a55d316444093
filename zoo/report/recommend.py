"""Recommends models for one device: the Pareto front of accuracy, size, latency and energy.

A candidate is a file in one configuration (runtime, delegate, threads). It is rejected if it
exceeds the budget, lacks a measurement, or is dominated: another candidate is at least as good in
every value that is known for it, and better in at least one. The others form the front, most
accurate first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from zoo.errors import UnknownNameError, ZooError
from zoo.report.rows import Report, ReportRow
from zoo.report.summary import stated
from zoo.report.wording import Setup, delegate_label, threads_label
from zoo.schema.device import device_id
from zoo.stats import wilson


@dataclass(frozen=True)
class Budget:
    """Limits for a candidate; None means no limit.

    Attributes:
        max_ms: Latency in milliseconds.
        max_kb: Size with gzip, in units of 1000 bytes.
        max_mj: Net energy per inference in millijoules.
        min_top1: Test accuracy, 0 to 1.
    """

    max_ms: float | None = None
    max_kb: float | None = None
    max_mj: float | None = None
    min_top1: float | None = None


@dataclass(frozen=True)
class Choice:
    """One file in one configuration.

    Attributes:
        name: Name of the file.
        how: Runtime, delegate and threads as text.
        sha256: SHA-256 of the file.
        accuracy: Top-1 accuracy on `images` test images, 0 to 1; None if it was not scored.
        images: Number of test images; 0 if it was not scored.
        stated: Whether the accuracy is from the manifest of the file, not measured here.
        size_kb: Size with gzip, in units of 1000 bytes; None without a manifest.
        latency_ms: None if timing failed.
        energy_mj: Net energy per inference; None if it was not measured.
        failure: Why there is no latency.
    """

    name: str
    how: str
    sha256: str
    accuracy: float | None
    images: int
    stated: bool
    size_kb: float | None
    latency_ms: float | None
    energy_mj: float | None
    failure: str = ""

    @property
    def title(self) -> str:
        """Name and configuration, for example `quick (litert, XNNPACK, 1 thread)`."""
        return f"{self.name} ({self.how})"


@dataclass(frozen=True)
class Rejected:
    """A candidate that is not on the front, with the reason."""

    candidate: Choice
    reason: str


@dataclass(frozen=True)
class Recommendation:
    """The front, most accurate first, and the rejected candidates with their reasons."""

    device: str
    dataset: str
    front: tuple[Choice, ...]
    lost: tuple[Rejected, ...]


def recommend(report: Report, device: str, dataset: str, budget: Budget) -> Recommendation:
    """Finds the front of everything that was measured on one device.

    Args:
        report: Current results.
        device: Id, name or kind of the device, or a phone's serial; empty if there is only one.
        dataset: Dataset the files were trained on; empty if there is only one.
        budget: Limits for each candidate.

    Raises:
        ZooError: if the device or the dataset is unknown or ambiguous.
    """
    setups = _setups(report, device)
    rows = _rows(report, dataset)
    candidates = [candidate for row in rows for candidate in _candidates(row, setups)]
    within, lost = [], []
    for candidate in candidates:
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
            lost.append(
                Rejected(candidate, f"dominated by {best.title}: {_margin(best, candidate)}")
            )
        else:
            front.append(candidate)
    return Recommendation(
        setups[0].device,
        rows[0].dataset if rows else dataset,
        tuple(sorted(front, key=_rank, reverse=True)),
        tuple(lost),
    )


def _setups(report: Report, requested: str) -> list[Setup]:
    devices: dict[str, list[Setup]] = {}
    for setup in report.setups:
        key = setup.device_id if setup.kind == "phone" else setup.device
        devices.setdefault(key, []).append(setup)
    if not devices:
        raise ZooError("no latency results yet", remedy="run zoo benchmark first")
    matches = [
        setups
        for key, setups in devices.items()
        if requested in ("", key, setups[0].device, setups[0].kind) or device_id(requested) == key
    ]
    if len(matches) == 1:
        return matches[0]
    names = [f"{key} ({setups[0].device})" for key, setups in devices.items()]
    if not matches:
        raise UnknownNameError("--device", requested, names)
    raise ZooError(
        "latencies of several devices are not comparable",
        where="--device",
        expected=f"one of {', '.join(names)}",
    )


def _rows(report: Report, requested: str) -> list[ReportRow]:
    datasets = sorted({row.dataset for row in report.rows if row.dataset})
    if requested and requested not in datasets:
        raise UnknownNameError("--dataset", requested, datasets)
    if not requested and len(datasets) > 1:
        raise ZooError(
            "accuracies on several datasets are not comparable",
            where="--dataset",
            expected=f"one of {', '.join(datasets)}",
        )
    return [row for row in report.rows if row.dataset == (requested or "".join(datasets))]


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
                images=row.score.images if row.score else 0,
                stated=stated(row),
                size_kb=None if row.gzip_bytes is None else row.gzip_bytes / 1e3,
                latency_ms=outcome.latency_ms,
                energy_mj=energy.net_mj if energy and outcome.latency_ms is not None else None,
                failure=outcome.failure,
            )


def _excluded(candidate: Choice, budget: Budget) -> str:
    """Returns why the budget or a missing value rules the candidate out; empty if neither does."""
    if candidate.latency_ms is None:
        return f"no latency: {candidate.failure}"
    if candidate.accuracy is None:
        return "no test accuracy"
    limits: Mapping[str, tuple[float | None, float | None, str]] = {
        "max_ms": (candidate.latency_ms, budget.max_ms, "ms"),
        "max_kb": (candidate.size_kb, budget.max_kb, "kB with gzip"),
        "max_mj": (candidate.energy_mj, budget.max_mj, "mJ"),
    }
    for flag, (value, limit, unit) in limits.items():
        if limit is None:
            continue
        if value is None:
            return f"--{flag}={limit:g} cannot be checked: no value recorded"
        if value > limit:
            return f"{value:.3g} {unit}, above --{flag}={limit:g}"
    if budget.min_top1 is not None and candidate.accuracy < budget.min_top1:
        return (
            f"accuracy {100 * candidate.accuracy:.2f} %, below --min_top1={100 * budget.min_top1:g}"
        )
    return ""


def _beats(winner: Choice, other: Choice) -> bool:
    """Whether `winner` is as good in every value known for `other`, and better in at least one."""
    better = False
    for mine, theirs in zip(_costs(winner), _costs(other), strict=True):
        if theirs is None:
            continue
        if mine is None or mine > theirs:
            return False
        better = better or mine < theirs
    return better


def _costs(candidate: Choice) -> tuple[float | None, ...]:
    accuracy = None if candidate.accuracy is None else -candidate.accuracy
    return accuracy, candidate.size_kb, candidate.latency_ms, candidate.energy_mj


def _rank(candidate: Choice) -> tuple[float, float]:
    return candidate.accuracy or 0.0, -(candidate.latency_ms or 0.0)


def _margin(winner: Choice, other: Choice) -> str:
    parts = []
    if winner.accuracy is not None and other.accuracy is not None:
        gain = 100 * (winner.accuracy - other.accuracy)
        low, high = wilson(other.accuracy, max(1, other.images))
        within = " (within the 95 % confidence interval)" if low <= winner.accuracy <= high else ""
        parts.append(f"+{gain:.2f} points{within}" if gain else "same accuracy")
    for mine, theirs, word in (
        (winner.size_kb, other.size_kb, "the size"),
        (winner.latency_ms, other.latency_ms, "the latency"),
        (winner.energy_mj, other.energy_mj, "the energy"),
    ):
        if mine is not None and theirs:
            parts.append(f"{mine / theirs:.2f}× {word}")
    return ", ".join(parts)
