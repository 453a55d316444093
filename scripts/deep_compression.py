"""Writes a run's weights in the Deep Compression layout, which --init_from=FILE.net reads again.

    python -m scripts.deep_compression --run=squeezenet_v1_0-imagenet-clustered --output_file=w.net
    python -m scripts.deep_compression --weights=squeezenet_v1_0_deep_compressed --output_file=w.net

For networks of SqueezeNet 1.0's structure at full width, 1,000 classes, whose kernels have at most
255 values besides zero each: prune and cluster them first. Exact: what is read is what was written.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo.errors import ZooError
from zoo.io.files import write_bytes
from zoo.pretrained import deep_compression, initial

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("run", None, "a finished run under OUTPUT/runs, or a run's folder")
flags.DEFINE_string("weights", None, "public weights, or a .net file, instead of a run")
flags.DEFINE_string("output_file", None, "the file to write, FILE.net")


def main(_: list[str]) -> None:
    """Writes the file."""
    if bool(FLAGS.run) == bool(FLAGS.weights):
        raise ZooError("name what to write", expected="either --run or --weights")
    target = Path(cli.required("output_file"))
    if target.suffix != initial.SUFFIX:
        raise ZooError("another ending", where="--output_file", expected="FILE.net", got=target)
    if FLAGS.weights:
        found = initial.public(FLAGS.weights)
    else:
        found = initial.load(FLAGS.run, cli.output())
    coded = deep_compression.from_weights(found.weights)
    data = deep_compression.encode(coded)
    write_bytes(target, data)
    stored = sum(len(each.codes) for each in coded)
    entries = sum(each.layer.entries for each in coded)
    cli.say(f"{found.source} → {target}: {len(data):,} bytes, {stored:,} of {entries:,} entries")


if __name__ == "__main__":
    cli.run(main)
