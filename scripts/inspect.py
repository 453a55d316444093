"""Tells what a .tflite holds, where it runs and what it costs. Needs no TensorFlow.

    python -m scripts.inspect model.tflite
    python -m scripts.inspect output/artifacts/*.tflite --require_full_delegation
    python -m scripts.inspect model.tflite --tensors
    python -m scripts.inspect model.tflite --json

Any file does, ours or not. It is run once, in a child process, to see which nodes XNNPACK takes;
everything else is read from the file. Exit code 1 where a file can't be read or LiteRT can't run
it (the others are still reported), or, with --require_full_delegation, where XNNPACK does not take
a whole graph in one partition.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from absl import flags

from converters.inspection.inspect import Inspection, inspect
from converters.inspection.render import text
from converters.inspection.roofline import CHIPS, chip
from scripts.common import cli
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.runtime.sandbox import Sandbox

FLAGS = flags.FLAGS
_RUN_LIMIT_S = 60.0

flags.DEFINE_bool("json", False, "print one JSON array, one object a file that could be read")
flags.DEFINE_bool("tensors", False, "list every tensor: shape, type, scales, zero points")
flags.DEFINE_bool("run", True, "load the file with LiteRT to see what XNNPACK takes")
flags.DEFINE_bool(
    "require_full_delegation",
    False,
    "exit with 1 unless XNNPACK takes every file whole, in one partition",
)
flags.DEFINE_string("chip", "snapdragon_865_gpu", f"for the roofline estimate: {', '.join(CHIPS)}")


def main(argv: list[str]) -> int:
    """Inspects each file; a bad one costs an error line, not the others."""
    files = list(dict.fromkeys(argv[1:]))
    if not files:
        raise ZooError("no file is named", remedy="python -m scripts.inspect FILE.tflite")
    if FLAGS.require_full_delegation and not FLAGS.run:
        raise ZooError("--require_full_delegation with --norun", remedy="leave --norun out")
    chip(FLAGS.chip)
    failed = False
    found: list[Inspection] = []
    with Sandbox("litert", timeout_s=_RUN_LIMIT_S) as runner:
        for file in files:
            try:
                one = _inspect(Path(file), runner)
            except ZooError as error:
                cli.complain(error)
                failed = True
                continue
            found.append(one)
            if not FLAGS.json:
                cli.say(text(one) + ("\n" if file != files[-1] else ""))
            if one.problem:
                cli.complain(one.problem)
                failed = True
            elif FLAGS.require_full_delegation and not one.fully_delegated:
                cli.complain(_not_full(one))
                failed = True
    if FLAGS.json:
        cli.say(json.dumps([one.as_json() for one in found], indent=1))
    return int(failed)


def _inspect(path: Path, runner: Sandbox) -> Inspection:
    content = read_bytes(path, "the model", MAX_MODEL_BYTES, "name an existing .tflite file")
    one = inspect(content, str(path), FLAGS.chip, FLAGS.tensors)
    del content  # the child reads the file itself: don't hold gigabytes twice
    if not FLAGS.run:
        return one
    try:
        return dataclasses.replace(one, placement=runner.placement(path))
    except ZooError as error:
        return dataclasses.replace(one, problem=str(error))


def _not_full(one: Inspection) -> ZooError:
    where = one.placement
    got = f"{where.delegated} of {where.nodes} nodes in {where.partitions}" if where else "none"
    return ZooError(
        "not fully delegated to XNNPACK",
        where=one.file,
        expected="all nodes in 1 partition",
        got=got,
    )


if __name__ == "__main__":
    cli.run(main, positional=True)
