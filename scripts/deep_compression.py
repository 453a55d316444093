"""Writes weights as a Deep Compression .net file.

    zoo deep_compression --run=squeezenet_v1_0-imagenet-clustered --output_file=w.net
    zoo deep_compression --weights=squeezenet_v1_0_deep_compressed --output_file=w.net

The network must have the structure of SqueezeNet 1.0 at full width with 1,000 classes, and at most
255 distinct nonzero values per kernel, so prune and cluster it first. The file is lossless;
--init_from=FILE.net of `zoo train` reads it.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo.errors import ZooError
from zoo.io.files import write_bytes

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("run", None, "finished run: its name in OUTPUT/runs, or its folder")
flags.DEFINE_string("weights", None, "public weights or a .net file, instead of a run")
flags.DEFINE_string("output_file", None, "file to write, FILE.net")


def main(_: list[str]) -> None:
    """Writes the file."""
    if bool(FLAGS.run) == bool(FLAGS.weights):
        raise ZooError("exactly one of --run and --weights is required")
    target = Path(cli.required("output_file"))
    from zoo.pretrained import deep_compression, initial

    if target.suffix != initial.SUFFIX:
        raise ZooError("wrong extension", where="--output_file", expected="FILE.net", got=target)
    if FLAGS.weights:
        start = initial.public(FLAGS.weights)
    else:
        start = initial.load(FLAGS.run, cli.output())
    coded = deep_compression.from_weights(start.weights)
    data = deep_compression.encode(coded)
    write_bytes(target, data)
    stored = sum(len(layer.codes) for layer in coded)
    entries = sum(layer.layer.entries for layer in coded)
    cli.say(f"{start.source} → {target}: {len(data):,} bytes, {stored:,} of {entries:,} entries")


if __name__ == "__main__":
    cli.run(main)
