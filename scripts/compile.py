"""Compiles .tflite files ahead of time for the NPU of a Snapdragon.

    zoo compile release/artifacts/resnet20-fashion_mnist-int8.tflite --soc=SM8650
    zoo compile *.tflite --soc=SM8450,SM8750 --into=FOLDER
    zoo compile any.tflite --soc=all --json

For each file and SoC, writes NAME-SOC.tflite and its manifest NAME-SOC.json. Prints how many
operators run on the NPU, in how many partitions, the bytes that an inference moves between the NPU
and the phone's memory, those of activations that do not fit into the NPU (spilled and filled), the
size, and the seconds; then each operator that is left to the CPU, with the compiler's reason. The
exit code is 1 if a file can't be compiled, after the others.

Needs the extra npu (make setup-npu), Qualcomm's compiler, which is under Qualcomm's own license and
works on Linux on x86-64. The outputs are checked by `zoo verify --runtime=litert_npu`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from scripts.common import cli
from zoo.errors import UnknownNameError, ZooError
from zoo.io.provenance import Provenance
from zoo.runtime.npu_compiler import DEFAULT_SOC, SOCS

if TYPE_CHECKING:
    from zoo.schema.compiled import CompiledModel

FLAGS = flags.FLAGS
flags.DEFINE_list("soc", [DEFAULT_SOC], f"all, or any of {', '.join(SOCS)}")
flags.DEFINE_string("into", None, "folder to write to (default: that of each file)")
flags.DEFINE_float("timeout_secs", 300, "limit of the compiler per file and SoC, in seconds", 1)
flags.DEFINE_bool("json", False, "print one JSON array of manifests instead of a table")


def main(argv: list[str]) -> int:
    """Compiles each file for each SoC; returns 1 if one fails, after the others."""
    files = list(dict.fromkeys(argv[1:]))
    if not files:
        raise ZooError("at least one file is required", remedy="run zoo compile FILE.tflite")
    socs = _socs()
    from converters.compilation import compile_file
    from zoo.runtime.npu_compiler import libraries

    libraries()
    provenance = Provenance.here()
    made: list[CompiledModel] = []
    failed = False
    for file in map(Path, files):
        for soc in socs:
            folder = Path(FLAGS.into) if FLAGS.into else file.parent
            try:
                made.append(compile_file(file, soc, folder, provenance, FLAGS.timeout_secs))
            except ZooError as error:
                cli.complain(error)
                failed = True
                continue
            if not FLAGS.json:
                cli.say(_text(made[-1]))
    if FLAGS.json:
        cli.say(json.dumps([each.model_dump(mode="json") for each in made], indent=1))
    return int(failed)


def _socs() -> list[str]:
    chosen = list(dict.fromkeys(FLAGS.soc))
    if chosen == ["all"]:
        return list(SOCS)
    for name in chosen:
        if name not in SOCS:
            raise UnknownNameError("--soc", name, [*SOCS, "all"])
    if not chosen:
        raise ZooError("--soc is empty", expected=", ".join([*SOCS, "all"]))
    return chosen


def _text(made: CompiledModel) -> str:
    where = f"{made.on_npu} of {made.operators} operators on the NPU"
    parts = f"{made.partitions} partition{'s' if made.partitions != 1 else ''}"
    lines = [
        f"{made.name}: {where} in {parts}, {made.bytes / 1000:,.0f} kB, {made.seconds:.1f} s, "
        f"{SOCS[made.soc].name}"
    ]
    if made.read_bytes is not None:
        lines.append(
            f"  memory per inference: {_kb(made.read_bytes)} read, {_kb(made.written_bytes)} "
            f"written; of these {_kb(made.spilled_bytes)} spilled, {_kb(made.filled_bytes)} filled"
        )
    kinds = Counter((left.operator, left.reason) for left in made.left)
    for (operator, reason), count in kinds.most_common():
        lines.append(f"  left to the CPU: {count} {operator}: {reason or 'no reason given'}")
    return "\n".join(lines)


def _kb(count: int | None) -> str:
    return f"{(count or 0) / 1000:,.1f} kB"


if __name__ == "__main__":
    cli.run(main, positional=True)
