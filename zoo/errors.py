"""Errors that a user can act on: one line with what, where, expected, got and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

_MOST_NAMES = 12  # listed in an UnknownNameError


class ZooError(Exception):
    """A problem that the user can fix; command-line tools print it as one line and exit with 1.

    Attributes:
        what: What went wrong, as a short clause.
        where: File, flag or device concerned.
        expected: What would have been valid.
        got: Actual value or state.
        remedy: What to do about it, as an imperative.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        remedy: str | None = None,
    ):
        self.what, self.remedy = what, remedy
        self.where, self.expected, self.got = (
            None if value is None else str(value) for value in (where, expected, got)
        )
        super().__init__(what)

    @property
    def problem(self) -> str:
        """The message on one line, without the remedy."""
        named = (("where: ", self.where), ("expected: ", self.expected), ("got: ", self.got))
        parts = [self.what, *(name + value for name, value in named if value is not None)]
        return " | ".join(one_line(part) for part in parts)

    def __str__(self) -> str:
        remedy = None if self.remedy is None else one_line(f"to do: {self.remedy}")
        return self.problem if remedy is None else f"{self.problem} | {remedy}"

    def __reduce__(self) -> tuple[Callable[..., ZooError], tuple[str | None, ...]]:
        # Constructors of subclasses take other arguments, so errors from worker processes are
        # unpickled as plain ZooErrors.
        return _rebuilt, (self.what, self.where, self.expected, self.got, self.remedy)


def _rebuilt(
    what: str, where: str | None, expected: str | None, got: str | None, remedy: str | None
) -> ZooError:
    return ZooError(what, where=where, expected=expected, got=got, remedy=remedy)


class UnknownNameError(ZooError):
    """A name that is not in a closed list; the message has allowed names.

    Args:
        kind: What the name stands for, for example "model".
        name: The unknown name.
        allowed: All valid names. Of many, the closest ones are shown first.
    """

    def __init__(self, kind: str, name: str, allowed: Iterable[str]):
        allowed = sorted(allowed)
        matches = difflib.get_close_matches(name, allowed, n=3, cutoff=0.5)
        more = len(allowed) - _MOST_NAMES
        if more > 0:
            allowed = list(dict.fromkeys([*matches, *allowed]))
        super().__init__(
            f"unknown {kind} {name!r}",
            expected=f"one of {', '.join(allowed[:_MOST_NAMES])}"
            + (f" and {more} more" if more > 0 else ""),
            remedy=f"did you mean {' or '.join(matches)}?" if matches else None,
        )


def one_line(text: object, limit: int = 600) -> str:
    """Returns `text` without line breaks and control characters, cut to `limit` characters."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
