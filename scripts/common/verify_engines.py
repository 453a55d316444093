"""Compares files of any maker on the engines of this computer; run as `zoo verify FILE.tflite`."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

from converters.parity import engines, tensor_inputs
from converters.parity.engines import EngineRow, Inputs
from converters.parity.show import plain
from scripts.common import cli
from zoo.errors import ZooError
from zoo.io.log import Log
from zoo.runtime.sandbox import Sandbox
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_manifest

_RANDOM = 20  # inferences on random values, of which more tell nothing more


def verify_engines(
    files: Sequence[str],
    runners: Sequence[tuple[Sandbox, str]],
    images: int,
    timeout_s: float,
    as_json: bool,
    log: Log,
) -> int:
    """Prints a row for each file and engine.

    Args:
        files: Paths of any `.tflite` files.
        runners: Sandboxes of the engines, and the delegate of each.
        images: Number of test images for files with a manifest.
        timeout_s: Limit of each call of an engine, in seconds.
        as_json: Whether to print one JSON array instead.
        log: Called with each progress message.

    Returns:
        1 if values depart, or a file or an engine failed, else 0.
    """
    rows: list[EngineRow] = []
    beyond: dict[str, dict[str, float]] = {}
    failed = False
    with contextlib.ExitStack() as stack:
        cpu = stack.enter_context(Sandbox("litert", timeout_s))
        for file in files:
            path = Path(file)
            try:
                inputs = inputs_of(path, images)
                for row in engines.compare(path, inputs, cpu, runners, log):
                    rows.append(row)
                    if not as_json:
                        cli.say(_text(row))
                beyond[file] = engines.beyond_float16(path, inputs.values, cpu)
            except ZooError as error:
                cli.complain(error)
                failed = True
                continue
            if not as_json:
                for name, value in beyond[file].items():
                    cli.say(f"  beyond float16: {value:g} in {name}")
    if as_json:
        told = plain({"rows": rows, "beyond_float16": beyond})
        cli.say(json.dumps(told, indent=1, allow_nan=False))
    return int(failed or any(row.reasons for row in rows))


def inputs_of(path: Path, count: int) -> Inputs:
    """Returns test images if a manifest names their dataset, else random values.

    Args:
        path: Any `.tflite`; its manifest lies beside it.
        count: Number of test images, of which random values are fewer.

    Raises:
        ZooError: if the file or its manifest can't be read.
    """
    manifest = path.with_suffix(".json")
    if manifest.is_file():
        artifact = read_manifest(manifest, Artifact, "pass the file without its manifest")
        with contextlib.suppress(ZooError):  # the dataset is not here
            chosen = tensor_inputs.sampled(artifact, tensor_inputs.model_bytes(path), count)
            return Inputs([chosen.images], chosen.labels)
    return Inputs(tensor_inputs.random_inputs(path, min(count, _RANDOM)))


def _text(row: EngineRow) -> str:
    head = f"{row.file}: {row.runtime} {row.version}, {row.delegate}"
    if row.sqnr_db is None:
        return f"FAIL {head}: {'; '.join(row.reasons)}"
    placed = row.placement
    where = f"{placed.delegated} of {placed.nodes} operators" if placed else "?"
    device = f" on {placed.accelerator.name}" if placed and placed.accelerator else ""
    sample = f"{row.inferences} {'test images' if row.real else 'random inputs'}"
    lines = [
        f"{'FAIL' if row.reasons else 'pass'} {head}: {where}{device}, {_db(row.sqnr_db)}, "
        f"top-1 agrees in {100 * (row.agreement or 0):.1f} % of {sample}"
    ]
    lines += [f"  {reason}" for reason in row.reasons]
    if row.first is not None:
        wrong = row.first
        lines.append(
            f"  first wrong: operator {wrong.index}, {wrong.operator} ({wrong.layer}), "
            f"{'not finite' if wrong.sqnr_db is None else _db(wrong.sqnr_db)}: {wrong.options}"
        )
    if placed is not None:
        lines += [f"  refused: {reason}" for reason in placed.refused or ()]
    return "\n".join(lines)


def _db(value: float) -> str:
    return "equal" if value == math.inf else f"{value:.1f} dB"
