"""What was found on a phone, and what that means for measuring on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from zoo.errors import ZooError, one_line

CheckLevel = Literal["ok", "note", "unknown", "problem"]
Goal = Literal["latency", "energy", "GPU"]
GOALS: tuple[Goal, ...] = ("latency", "energy", "GPU")
MAX_FOUND = 300


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: of it.
        level: `problem` prevents what it concerns, `unknown` may, a `note` makes it worse.
        found: in a clause.
        remedy: what to do about it, as an imperative.
        concerns: what it matters for; nothing for a mere remark.
    """

    name: str
    level: CheckLevel
    found: str
    remedy: str = ""
    concerns: tuple[Goal, ...] = ()

    @property
    def line(self) -> str:
        """What was found and what to do."""
        return self.found + (f" | to do: {self.remedy}" if self.remedy else "")


def failed(
    name: str, error: ZooError, concerns: tuple[Goal, ...], level: CheckLevel = "problem"
) -> Check:
    """A check that ended with an error, whose parts it repeats."""
    return Check(name, level, one_line(error.problem, MAX_FOUND), error.remedy or "", concerns)


@dataclass(frozen=True)
class Verdict:
    """Whether something can be measured, and the checks that speak against it."""

    goal: Goal
    answer: Literal["yes", "no", "unknown"]
    because: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """One line, as in `energy: no, charging: powered by USB`."""
        reasons = "; ".join(self.because)
        joint = {"yes": ", but ", "no": ", ", "unknown": ", "}[self.answer]
        return f"{self.goal}: {self.answer}" + (joint + reasons if reasons else "")


@dataclass(frozen=True)
class Diagnosis:
    """A phone's checks; `id` is the hash of its serial that result lines have."""

    serial: str
    id: str
    name: str
    checks: tuple[Check, ...] = field(default=())

    def verdict(self, goal: Goal) -> Verdict:
        """Whether `goal` can be measured."""
        for level, answer in (("problem", "no"), ("unknown", "unknown"), ("note", "yes")):
            found = [c for c in self.checks if goal in c.concerns and c.level == level]
            if found:
                because = tuple(f"{check.name}: {check.found}" for check in found)
                return Verdict(goal, answer, because)  # type: ignore[arg-type]
        return Verdict(goal, "yes")

    @property
    def measurable(self) -> bool:
        """Whether latency can be measured."""
        return self.verdict("latency").answer != "no"

    def lines(self) -> Iterator[str]:
        """One aligned line a check, then one a verdict."""
        width = max((len(check.name) for check in self.checks), default=0)
        for check in self.checks:
            yield f"  {check.level:<7}  {check.name:<{width}}  {check.line}"
        yield ""
        yield from (self.verdict(goal).line for goal in GOALS)

    def to_json(self) -> dict[str, Any]:
        """The same as a dictionary."""
        return {
            **asdict(self),
            "verdicts": {goal: asdict(self.verdict(goal)) for goal in GOALS},
        }


def heading(diagnosis: Diagnosis) -> str:
    """What stands above a phone's lines."""
    return f"{diagnosis.serial} ({diagnosis.id}): {diagnosis.name}"


def known(values: Sequence[str]) -> str:
    """The values that are known, in one line; `unknown` where none is."""
    return " ".join(value for value in values if value != "unknown") or "unknown"
