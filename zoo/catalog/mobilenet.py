"""MobileNetV2 and its channel-wise squeeze-and-excitation variants."""

from __future__ import annotations

from zoo.specs import ModelSpec

ROWS: tuple[ModelSpec, ...] = ()
