"""Compares XNNPACK's kernels for ARM, emulated by QEMU, with those of this computer.

    python -m scripts.studies.arm_kernels release/artifacts/resnet20-*.tflite
    python -m scripts.studies.arm_kernels FILE.tflite --cpu=max --images=10

A row for each file: for how many of the test images the classes agree, the largest difference of a
logit, and the share of logits that are equal. The folder named by MODEL_ZOO_ARM64 has the emulator;
docs/arm_kernels.md tells how it is made. The exit code is 1 if a file could not be compared.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from absl import flags

from converters.parity.difference import compare
from scripts.common import cli
from scripts.common.verify_engines import inputs_of
from zoo.errors import ZooError
from zoo.runtime import arm64
from zoo.runtime.interpreter import DELEGATES
from zoo.runtime.sandbox import Sandbox

FLAGS = flags.FLAGS
flags.DEFINE_integer("images", 50, "number of test images", lower_bound=1)
flags.DEFINE_enum("delegate", "xnnpack", DELEGATES, "on both sides; none: LiteRT's own kernels")
flags.DEFINE_string("cpu", arm64.DEFAULT_CPU, "emulated processor, of qemu-aarch64 -cpu help")
flags.DEFINE_float("timeout_secs", 3600, "limit for each file, in seconds", 1)


def main(argv: list[str]) -> int:
    """Prints a row for each file; returns 1 if one could not be compared."""
    if not argv[1:]:
        raise ZooError("at least one file is required", remedy="give .tflite files")
    emulated = arm64.python(FLAGS.cpu)
    failed = False
    with (
        Sandbox("litert", FLAGS.timeout_secs) as here,
        Sandbox("litert", FLAGS.timeout_secs, emulated=emulated) as arm,
    ):
        arm.check()
        cli.say("| file | images | same class, % | largest difference | equal logits, % |")
        cli.say("|---|---:|---:|---:|---:|")
        for file in argv[1:]:
            try:
                cli.say(_row(Path(file), here, arm))
            except ZooError as error:
                cli.complain(error)
                failed = True
    return int(failed)


def _row(path: Path, here: Sandbox, arm: Sandbox) -> str:
    inputs = inputs_of(path, FLAGS.images).values
    ours = here.run_tensors(path, inputs, FLAGS.delegate)[0].reshape(len(inputs[0]), -1)
    began_s = time.monotonic()
    theirs = arm.run_tensors(path, inputs, FLAGS.delegate)[0].reshape(ours.shape)
    each_s = (time.monotonic() - began_s) / len(ours)
    print(f"{path.stem}: {each_s:.2f} s an inference, emulated", file=sys.stderr, flush=True)
    found = compare(ours, theirs)
    return (
        f"| {path.stem} | {found.images} | {100 * found.agreement:.0f} | {found.largest:.2g} "
        f"| {100 * np.mean(ours == theirs):.1f} |"
    )


if __name__ == "__main__":
    cli.run(main, positional=True)
