"""The networks whose blocks the others stand on."""

from __future__ import annotations

from zoo.specs import ModelSpec

ROWS: tuple[ModelSpec, ...] = ()
