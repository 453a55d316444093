"""Shows what a .tflite file contains, where it runs and what it costs.

    zoo inspect model.tflite
    zoo inspect output/artifacts/*.tflite --require_full_delegation
    zoo inspect model.tflite --tensors
    zoo inspect model.tflite --json
    zoo inspect model.tflite --run=litert,litert_gpu,litert_npu --soc=SM8750
    zoo inspect model.tflite --norun

Works with any .tflite file. Each engine of --run loads the file in a child process, and tells which
operators it takes and why it refuses others; everything else is read from the file. litert is
XNNPACK on this processor, litert_gpu LiteRT's GPU engine, on SwiftShader where there is no GPU, and
litert_npu Qualcomm's compiler for a Snapdragon's NPU, which gives up after a minute. The row GPU
tells what the GPU delegate's rules say, without running anything.

The exit code is 1 if a file can't be read or an engine fails with it (the other files are still
reported), or, with --require_full_delegation, if an engine of --run does not take the whole graph,
in one partition where it tells their number. Needs no TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from converters.inspection.chips import CHIPS, chip
from scripts.common import cli, help
from zoo import runtime
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.runtime.npu_compiler import DEFAULT_SOC, SOCS

if TYPE_CHECKING:
    from converters.inspection.inspect import EngineRow, Inspection
    from zoo.runtime.sandbox import Sandbox

FLAGS = flags.FLAGS
_NONE = "none"

flags.DEFINE_bool("json", False, "print one JSON array with an object per readable file")
flags.DEFINE_bool("tensors", False, "list all tensors: shape, type, scales, zero points")
flags.DEFINE_list(
    "run",
    ["litert"],
    f"engines that load the file, any of {', '.join(runtime.RUNTIMES)}; {_NONE} or --norun: only"
    " read the file",
)
flags.DEFINE_bool("norun", False, "as --run=none")
help.hide("norun")
flags.DEFINE_string("soc", DEFAULT_SOC, f"of --run=litert_npu: {', '.join(SOCS)}")
flags.DEFINE_float(
    "timeout_secs", 120, "limit of each engine for each file, in seconds; then its child ends", 1
)
flags.DEFINE_bool(
    "require_full_delegation",
    False,
    "exit with 1 unless every engine of --run, by default XNNPACK, takes each graph whole",
)
flags.DEFINE_string(
    "chip", "snapdragon_865_gpu", f"chip of the roofline estimate: {', '.join(CHIPS)}"
)


def main(argv: list[str]) -> int:
    """Inspects each file; returns 1 if one fails, after inspecting the others."""
    files = list(dict.fromkeys(argv[1:]))
    if not files:
        raise ZooError("at least one file is required", remedy="run zoo inspect FILE.tflite")
    names = _names()
    if FLAGS.require_full_delegation and not names:
        raise ZooError(
            "--require_full_delegation can't be combined with --norun", remedy="remove --norun"
        )
    chip(FLAGS.chip)
    failed = False
    inspections: list[Inspection] = []
    with contextlib.ExitStack() as stack:
        engines = _started(names, stack)  # they load while this process imports and reads
        from converters.inspection.render import text

        for file in files:
            try:
                inspection = _inspect(Path(file), engines)
            except ZooError as error:
                cli.complain(error)
                failed = True
                continue
            inspections.append(inspection)
            if not FLAGS.json:
                cli.say(text(inspection) + ("\n" if file != files[-1] else ""))
            for complaint in _complaints(inspection):
                cli.complain(complaint)
                failed = True
    if FLAGS.json:
        cli.say(json.dumps([inspection.as_json() for inspection in inspections], indent=1))
    return int(failed)


def _names() -> list[str]:
    names = cli.choices("run", (*runtime.RUNTIMES, _NONE))
    if _NONE in names and len(names) > 1:
        raise ZooError("none can't be combined with engines", where="--run", got=",".join(names))
    return [] if FLAGS.norun or _NONE in names else names


def _started(names: Sequence[str], stack: contextlib.ExitStack) -> list[tuple[Sandbox, str]]:
    """Starts an engine each; returns them with their delegates."""
    from zoo.runtime.sandbox import Sandbox

    engines = []
    for name in names:
        (delegate,) = runtime.delegates(name, ["xnnpack"], FLAGS.soc)
        engine = stack.enter_context(Sandbox(name, FLAGS.timeout_secs))
        engine.start()
        engines.append((engine, delegate))
    for engine, _ in engines:
        engine.check()
    return engines


def _inspect(path: Path, engines: Sequence[tuple[Sandbox, str]]) -> Inspection:
    from converters.inspection.inspect import inspect

    content = read_bytes(path, "the model", MAX_MODEL_BYTES, "pass an existing .tflite file")
    inspection = inspect(content, str(path), FLAGS.chip, FLAGS.tensors)
    del content  # the child processes read the file again; avoid more copies in memory
    rows = tuple(_loaded(path, engine, delegate) for engine, delegate in engines)
    return dataclasses.replace(inspection, engines=rows)


def _loaded(path: Path, engine: Sandbox, delegate: str) -> EngineRow:
    from converters.inspection.inspect import EngineRow

    row = EngineRow(engine.runtime, engine.version, delegate)
    try:
        return dataclasses.replace(row, placement=engine.placement(path, delegate))
    except ZooError as error:
        return dataclasses.replace(row, problem=str(error))


def _complaints(inspection: Inspection) -> Iterator[object]:
    for row in inspection.engines:
        if row.problem:
            yield row.problem
        elif FLAGS.require_full_delegation and not row.takes_all:
            yield _not_full(inspection.file, row)


def _not_full(file: str, row: EngineRow) -> ZooError:
    placed = row.placement
    got = "none"
    if placed is not None:
        got = f"{placed.delegated} of {placed.nodes} nodes"
        if placed.partitions is not None:
            got += f" in {placed.partitions} partition(s)"
    return ZooError(
        f"not fully delegated to {'XNNPACK' if row.delegate == 'xnnpack' else row.engine}",
        where=file,
        expected="all nodes in 1 partition",
        got=got,
    )


if __name__ == "__main__":
    cli.run(main, positional=True)
