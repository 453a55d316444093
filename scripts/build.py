"""Builds .tflite files from public ImageNet weights, which releases do not contain.

    zoo build --weights=squeezenet_v1_0_deep_compressed
    zoo build --weights=squeezenet_v1_0_deep_compressed --precision=int8 --images=IMAGES.tar

Downloads the weights once from their public address and checks their SHA-256; --weights_file uses a
local copy instead. The files are converted into the cache, where zoo.load and `zoo classify` find
them by name, for example squeezenet_v1_0-imagenet-float16. int8 needs --images for calibration.
Labels are WordNet synsets. `zoo evaluate` measures the accuracy of the weights.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo.catalog import precisions
from zoo.hub import local
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.pretrained import initial, public

FLAGS = flags.FLAGS
# Those that need no images.
_DEFAULT = [name for name in precisions.USUAL if name not in precisions.CALIBRATED]
_CALIBRATED = [name for name in precisions.USUAL if name in precisions.CALIBRATED]
flags.DEFINE_string(
    "weights",
    "squeezenet_v1_0_deep_compressed",
    f"public weights ({', '.join(public.WEIGHTS)}) or a FILE.net",
)
flags.DEFINE_string("weights_file", None, "local copy of the public weights (default: download)")
flags.DEFINE_list("precision", _DEFAULT, f"any of {', '.join(precisions.BEFORE_QAT)}")
flags.DEFINE_string(
    "images",
    None,
    f"calibration images for {', '.join(_CALIBRATED)}: a .tar or a folder of JPEGs named by synset",
)
flags.DEFINE_string("into", None, "folder for the files (default: the cache)")


def main(_: list[str]) -> None:
    """Builds the files."""
    value = cli.required("weights")
    names = cli.choices("precision", precisions.BEFORE_QAT)
    file = Path(FLAGS.weights_file) if FLAGS.weights_file else None
    if file is None and value in public.WEIGHTS:
        public.fetch(public.public_weights(value), cli.say)
    start = initial.public(value, file)
    images = Path(FLAGS.images) if FLAGS.images else None
    folder = Path(FLAGS.into) if FLAGS.into else local.downloads()
    import_tensorflow()
    from converters.imagenet import build

    build.build(start, names, images, folder, Provenance.here(), cli.say)


if __name__ == "__main__":
    cli.run(main)
