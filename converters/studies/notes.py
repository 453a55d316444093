"""Numbered reasons below a table, each written once."""

from __future__ import annotations

import re


class Notes:
    """Gives each different reason a number, in the order in which they are first used."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, reason: str, model: str = "") -> str:
        """Returns the mark of a reason, for example `[3]`.

        Args:
            reason: Why something is not possible. What to do about it is left out.
            model: Network whose name is replaced, so that many networks share one reason.
        """
        reason = reason.partition(" | to do: ")[0]
        if model:
            reason = re.sub(rf"\b{re.escape(model)}(-\w+\.tflite)?\b", "the network", reason)
        reason = re.sub(r"Layer [^ :]+:<", "Layer <", reason)
        return f"[{self._numbers.setdefault(reason, len(self._numbers) + 1)}]"

    def section(self) -> list[str]:
        """Returns the lines of a section with the numbered reasons; none without reasons."""
        if not self._numbers:
            return []
        listed = (f"{number}. {reason}" for reason, number in self._numbers.items())
        return ["## Reasons", "", *listed]
