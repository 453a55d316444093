"""Shift, active shift and sparse shift networks."""

from __future__ import annotations

from zoo.specs import ModelSpec

ROWS: tuple[ModelSpec, ...] = ()
