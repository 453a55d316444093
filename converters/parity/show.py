"""Output of `scripts.verify`: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any, TextIO

from converters.parity.layers import Layers
from converters.parity.localize import LayerError
from converters.parity.verify import ParityRow


def wrong(results: Sequence[ParityRow | Layers]) -> bool:
    """Returns whether any limit is violated or any case failed."""
    return any(isinstance(item, ParityRow) and item.reasons for item in results)


def as_json(results: Sequence[ParityRow | Layers]) -> str:
    """Returns one JSON object with `rows` and `layers`; infinite and NaN values become null."""
    rows = [plain(row) for row in results if isinstance(row, ParityRow)]
    layers = [plain(item) for item in results if isinstance(item, Layers)]
    return json.dumps({"rows": rows, "layers": layers}, indent=1, allow_nan=False)


def plain(value: Any) -> Any:
    """Returns a result as JSON-serializable values; infinite and NaN values become null."""
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def tables(results: Sequence[ParityRow | Layers], file: TextIO, every_layer: bool) -> None:
    """Prints all rows, the reasons of failing ones, and where the error begins.

    Args:
        results: Results of `verify`.
        file: Output stream.
        every_layer: Whether to also print the error of each layer.
    """
    from rich.console import Console

    rows = [row for row in results if isinstance(row, ParityRow)]
    # Piped output has no width; without an explicit one, rich would truncate the table.
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, width=220)
    _rows(console, rows)
    for row in rows:
        for reason in row.reasons:
            text = f"FAIL {row.artifact}, {row.runtime}, {row.delegate}: {reason}"
            console.print(text, markup=False, soft_wrap=True)
    for layers in results:
        if isinstance(layers, Layers):
            _layers(console, layers, every_layer)


def _rows(console: Any, rows: Sequence[ParityRow]) -> None:
    from rich.table import Table

    table = Table(
        caption="logit differences from Keras; relative: RMS of the difference divided by RMS of "
        "the logits around each image's mean; accuracies: on the same images"
    )
    table.add_column("artifact", overflow="fold")
    for name in ("runtime", "delegate"):
        table.add_column(name, no_wrap=True)
    for name in ("largest", "mean", "relative", "dB", "agreement", "Keras top-1", "TFLite top-1"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("delegated", justify="right", no_wrap=True)
    table.add_column("verdict")
    for row in rows:
        d, placement = row.difference, row.placement
        table.add_row(
            row.artifact,
            f"{row.runtime} {row.runtime_version}",
            row.delegate,
            *(
                ("–",) * 5
                if d is None
                else (
                    f"{d.largest:.2g}",
                    f"{d.mean:.2g}",
                    f"{d.relative:.2g}",
                    _db(d.sqnr_db),
                    _percent(d.agreement),
                )
            ),
            _percent(row.keras_accuracy),
            _percent(row.accuracy),
            f"{placement.delegated}/{placement.nodes}" if placement else "–",
            "fail" if row.reasons and d else "error" if row.reasons else "pass",
        )
    console.print(table)


def _layers(console: Any, layers: Layers, every_layer: bool) -> None:
    from rich.table import Table

    table = Table(title=_heading(layers))
    table.add_column("layer", overflow="fold")
    table.add_column("operator", no_wrap=True)
    table.add_column("SQNR dB", justify="right")
    table.add_column("worst input dB", justify="right")
    table.add_column("")
    for error in layers.errors:
        mark = "first jump" if error is layers.first else "jump" if error.jump else ""
        table.add_row(error.layer, error.operator, _db(error.sqnr_db), _db(error.before_db), mark)
    if every_layer and layers.errors:
        console.print(table)
    text = f"{layers.artifact}: {verdict(layers)} ({_heading(layers)})"
    console.print(text, markup=False, soft_wrap=True)


def _heading(layers: Layers) -> str:
    return (
        f"against {layers.against}, plain {layers.runtime} kernels, {len(layers.errors)} of "
        f"{layers.computed} tensors compared"
    )


def verdict(layers: Layers) -> str:
    """Returns a sentence that says where the error begins."""
    if layers.reason:
        return f"the layers could not be compared: {layers.reason}"
    if layers.first is not None:
        return f"the error begins at layer {_words(layers.first)}"
    steepest = max(layers.errors, key=_drop)
    return f"the error does not jump at any layer; the steepest drop is at {_words(steepest)}"


def _drop(error: LayerError) -> float:
    drop = error.before_db - error.sqnr_db
    return drop if math.isfinite(drop) else -math.inf


def _words(error: LayerError) -> str:
    return (
        f"{error.layer} ({error.operator}): SQNR {_db(error.sqnr_db)} dB, worst input "
        f"{_db(error.before_db)} dB"
    )


def _db(value: float) -> str:
    if math.isnan(value):
        return "not finite"
    return f"{value:.1f}" if math.isfinite(value) else "∞" if value > 0 else "-∞"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
