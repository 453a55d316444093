"""Check results of a phone and the verdicts on what can be measured on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from zoo.errors import ZooError, one_line

CheckLevel = Literal["ok", "note", "unknown", "missing", "problem"]
Goal = Literal["latency", "energy", "GPU"]
GOALS: tuple[Goal, ...] = ("latency", "energy", "GPU")
MAX_FOUND = 300


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: Name of the check.
        level: `problem` prevents the goals in `concerns`, `unknown` may prevent them, `note` makes
            their results worse; `missing` is for what this computer may do without.
        found: Finding, as a short clause.
        remedy: What to do about it, as an imperative; empty if nothing.
        concerns: Goals that the check affects; empty if it is only informative.
    """

    name: str
    level: CheckLevel
    found: str
    remedy: str = ""
    concerns: tuple[Goal, ...] = ()

    @property
    def line(self) -> str:
        """The finding and its remedy in one line."""
        return self.found + (f" | to do: {self.remedy}" if self.remedy else "")

    def row(self, width: int) -> str:
        """The check as a row of a table whose names have `width` characters at most."""
        return f"  {self.level:<7}  {self.name:<{width}}  {self.line}"


def failed(
    name: str, error: ZooError, concerns: tuple[Goal, ...], level: CheckLevel = "problem"
) -> Check:
    """Returns a check with the problem and the remedy of an error."""
    return Check(name, level, one_line(error.problem, MAX_FOUND), error.remedy or "", concerns)


@dataclass(frozen=True)
class Verdict:
    """Whether a goal can be measured, and the findings that limit or prevent it."""

    goal: Goal
    answer: Literal["yes", "no", "unknown"]
    because: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """One line such as `energy: no, charging: the phone is powered by USB`."""
        reasons = "; ".join(self.because)
        separator = {"yes": ", but ", "no": ", ", "unknown": ", "}[self.answer]
        return f"{self.goal}: {self.answer}" + (separator + reasons if reasons else "")


@dataclass(frozen=True)
class Diagnosis:
    """All checks of one phone.

    Attributes:
        serial: Serial number, as adb reports it.
        id: Hash of the serial number, as in result rows.
        name: Manufacturer and model.
        checks: Checks in the order in which they ran.
    """

    serial: str
    id: str
    name: str
    checks: tuple[Check, ...] = field(default=())

    def verdict(self, goal: Goal) -> Verdict:
        """Returns the verdict for `goal` from the most severe checks that concern it."""
        for level, answer in (("problem", "no"), ("unknown", "unknown"), ("note", "yes")):
            matches = [c for c in self.checks if goal in c.concerns and c.level == level]
            if matches:
                because = tuple(f"{check.name}: {check.found}" for check in matches)
                return Verdict(goal, answer, because)  # type: ignore[arg-type]
        return Verdict(goal, "yes")

    @property
    def measurable(self) -> bool:
        """Whether latency can be measured."""
        return self.verdict("latency").answer != "no"

    def lines(self) -> Iterator[str]:
        """Yields one aligned line per check, an empty line, then one line per verdict."""
        width = max((len(check.name) for check in self.checks), default=0)
        for check in self.checks:
            yield check.row(width)
        yield ""
        yield from (self.verdict(goal).line for goal in GOALS)

    def to_json(self) -> dict[str, Any]:
        """Returns the checks and all verdicts as a JSON-serializable dictionary."""
        return {
            **asdict(self),
            "verdicts": {goal: asdict(self.verdict(goal)) for goal in GOALS},
        }


def heading(diagnosis: Diagnosis) -> str:
    """Returns the heading above a phone's lines: serial number, id and name."""
    return f"{diagnosis.serial} ({diagnosis.id}): {diagnosis.name}"


def known(values: Sequence[str]) -> str:
    """Joins all values except `unknown` with spaces; returns `unknown` if none is left."""
    return " ".join(value for value in values if value != "unknown") or "unknown"
