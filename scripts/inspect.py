"""Shows what a .tflite file contains, where it runs and what it costs.

    zoo inspect model.tflite
    zoo inspect output/artifacts/*.tflite --require_full_delegation
    zoo inspect model.tflite --tensors
    zoo inspect model.tflite --json

Works with any .tflite file. To see which nodes XNNPACK takes, the file is run once in a child
process; everything else is read from the file. The exit code is 1 if a file can't be read or run by
LiteRT (the other files are still reported), or, with --require_full_delegation, if XNNPACK does not
take the whole graph in one partition. Needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from converters.inspection.chips import CHIPS, chip
from scripts.common import cli
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes

if TYPE_CHECKING:
    from converters.inspection.inspect import Inspection
    from zoo.runtime.sandbox import Sandbox

FLAGS = flags.FLAGS
_RUN_LIMIT_S = 60.0

flags.DEFINE_bool("json", False, "print one JSON array with an object per readable file")
flags.DEFINE_bool("tensors", False, "list all tensors: shape, type, scales, zero points")
flags.DEFINE_bool("run", True, "run the file with LiteRT to see what XNNPACK takes")
flags.DEFINE_bool(
    "require_full_delegation",
    False,
    "exit with 1 unless XNNPACK takes each graph whole, in one partition",
)
flags.DEFINE_string(
    "chip", "snapdragon_865_gpu", f"chip of the roofline estimate: {', '.join(CHIPS)}"
)


def main(argv: list[str]) -> int:
    """Inspects each file; returns 1 if one fails, after inspecting the others."""
    files = list(dict.fromkeys(argv[1:]))
    if not files:
        raise ZooError("at least one file is required", remedy="run zoo inspect FILE.tflite")
    if FLAGS.require_full_delegation and not FLAGS.run:
        raise ZooError(
            "--require_full_delegation can't be combined with --norun", remedy="remove --norun"
        )
    chip(FLAGS.chip)
    from zoo.runtime.sandbox import Sandbox

    failed = False
    inspections: list[Inspection] = []
    with Sandbox("litert", timeout_s=_RUN_LIMIT_S) as runner:
        if FLAGS.run:
            runner.start()  # it loads LiteRT while this process imports and reads
        from converters.inspection.render import text

        for file in files:
            try:
                inspection = _inspect(Path(file), runner)
            except ZooError as error:
                cli.complain(error)
                failed = True
                continue
            inspections.append(inspection)
            if not FLAGS.json:
                cli.say(text(inspection) + ("\n" if file != files[-1] else ""))
            if inspection.problem:
                cli.complain(inspection.problem)
                failed = True
            elif FLAGS.require_full_delegation and not inspection.fully_delegated:
                cli.complain(_not_full(inspection))
                failed = True
    if FLAGS.json:
        cli.say(json.dumps([inspection.as_json() for inspection in inspections], indent=1))
    return int(failed)


def _inspect(path: Path, runner: Sandbox) -> Inspection:
    from converters.inspection.inspect import inspect

    content = read_bytes(path, "the model", MAX_MODEL_BYTES, "pass an existing .tflite file")
    inspection = inspect(content, str(path), FLAGS.chip, FLAGS.tensors)
    del content  # the child process reads the file again; avoid two copies in memory
    if not FLAGS.run:
        return inspection
    try:
        return dataclasses.replace(inspection, placement=runner.placement(path))
    except ZooError as error:
        return dataclasses.replace(inspection, problem=str(error))


def _not_full(inspection: Inspection) -> ZooError:
    got = "none"
    if placement := inspection.placement:
        got = (
            f"{placement.delegated} of {placement.nodes} nodes in "
            f"{placement.partitions} partition(s)"
        )
    return ZooError(
        "not fully delegated to XNNPACK",
        where=inspection.file,
        expected="all nodes in 1 partition",
        got=got,
    )


if __name__ == "__main__":
    cli.run(main, positional=True)
