"""Makes a data set or public weights available on this machine and checks them; trains nothing.

python -m scripts.data --dataset=fashion_mnist
python -m scripts.data --dataset=cifar10_jpeg --archive=cifar10_jpeg.tar.xz
python -m scripts.data --dataset=imagenette --data_dir=FOLDER
python -m scripts.data --dataset=image_folder --data_dir=FOLDER
python -m scripts.data --weights=squeezenet_v1_0_deep_compressed

A folder of your own pictures is looked through, and broken ones are named; nothing is copied.
With --weights alone no data set is fetched. Weights are kept in $MODEL_ZOO_CACHE/weights (without
that variable ~/.cache/mobile-model-zoo/weights) and their SHA-256 is checked at each use.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo import data
from zoo.pretrained import public

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", "fashion_mnist", f"one of {', '.join(data.DATASETS)}")
flags.DEFINE_string("archive", None, "the pictures of cifar10_jpeg, which has no public address")
flags.DEFINE_string(
    "data_dir", "", "folder of image_folder, or where tensorflow_datasets keeps its data"
)
flags.DEFINE_string("weights", None, f"public weights: {', '.join(public.WEIGHTS)}")


def main(_: list[str]) -> None:
    """Fetches --weights, --dataset or both."""
    row = None if FLAGS.weights is None else public.public_weights(FLAGS.weights)
    if row is None or FLAGS["dataset"].present:
        archive = None if FLAGS.archive is None else Path(FLAGS.archive)
        data.fetch(FLAGS.dataset, cli.say, archive, FLAGS.data_dir)
    if row is not None:
        public.fetch(row, cli.say)


if __name__ == "__main__":
    cli.run(main)
