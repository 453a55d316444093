"""Builds models of public ImageNet weights, which no release stores, on this computer.

    python -m scripts.build --weights=squeezenet_v1_0_deep_compressed
    python -m scripts.build --weights=squeezenet_v1_0_deep_compressed --precision=int8 \\
        --images=../shared/data/imagenet_sample_1000.tar

Downloads the weights from their public address once and checks their SHA-256 (--weights_file names
a copy), converts them, and leaves the files where zoo.load and scripts.classify find them by name:
squeezenet_v1_0-imagenet-float16 say. int8 is calibrated with --images, a tar or folder of JPEGs
named by synset. Classes are told as WordNet synsets. scripts.evaluate scores the weights.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from converters.conversion import precisions
from scripts.common import cli
from zoo.hub import local
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.pretrained import initial, public

FLAGS = flags.FLAGS
_PRECISIONS = tuple(p for p in precisions.PRECISIONS if p != "int8_qat")
flags.DEFINE_string(
    "weights", "squeezenet_v1_0_deep_compressed", f"{', '.join(public.WEIGHTS)}, or a FILE.net"
)
flags.DEFINE_string("weights_file", None, "a copy of the named weights (default: fetched)")
flags.DEFINE_list(
    "precision", ["float32", "float16", "dynamic_int8"], f"of {', '.join(_PRECISIONS)}"
)
flags.DEFINE_string("images", None, "pictures that int8 is calibrated with")
flags.DEFINE_string("into", None, "folder for the files, instead of the cache")


def main(_: list[str]) -> None:
    """Builds the files."""
    value = cli.required("weights")
    wanted = cli.choices("precision", _PRECISIONS)
    file = Path(FLAGS.weights_file) if FLAGS.weights_file else None
    if file is None and value in public.WEIGHTS:
        public.fetch(public.public_weights(value), cli.say)
    start = initial.public(value, file)
    pictures = Path(FLAGS.images) if FLAGS.images else None
    folder = Path(FLAGS.into) if FLAGS.into else local.downloads()
    import_tensorflow()
    from converters.imagenet import build

    build.build(start, wanted, pictures, folder, Provenance.here(), cli.say)


if __name__ == "__main__":
    cli.run(main)
