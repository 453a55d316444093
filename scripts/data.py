"""Downloads and checks a dataset or public weights.

    zoo data --dataset=fashion_mnist
    zoo data --dataset=cifar10_jpeg --archive=cifar10_jpeg.tar.xz
    zoo data --dataset=imagenette --data_dir=FOLDER
    zoo data --dataset=image_folder --data_dir=FOLDER
    zoo data --weights=squeezenet_v1_0_deep_compressed

The images of your own image_folder are decoded, and broken ones are listed; nothing is copied. With
--weights alone, no dataset is downloaded. Weights are stored in $MODEL_ZOO_CACHE/weights (default:
~/.cache/mobile-model-zoo/weights), and their SHA-256 is checked whenever they are used.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo import data
from zoo.pretrained import public

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", "fashion_mnist", f"one of {', '.join(data.DATASETS)}")
flags.DEFINE_string(
    "archive", None, "cifar10_jpeg: path of its .tar.xz, which has no public address"
)
flags.DEFINE_string("data_dir", "", "folder of your images, or data folder of tensorflow_datasets")
flags.DEFINE_string("weights", None, f"public weights: {', '.join(public.WEIGHTS)}")


def main(_: list[str]) -> None:
    """Downloads the weights, the dataset, or both."""
    row = None if FLAGS.weights is None else public.public_weights(FLAGS.weights)
    if row is None or FLAGS["dataset"].present:
        archive = None if FLAGS.archive is None else Path(FLAGS.archive)
        data.fetch(FLAGS.dataset, cli.say, archive, FLAGS.data_dir)
    if row is not None:
        public.fetch(row, cli.say)


if __name__ == "__main__":
    cli.run(main)
