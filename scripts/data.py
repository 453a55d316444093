"""Makes a data set available on this machine and checks it; trains nothing.

python -m scripts.data --dataset=fashion_mnist
"""

from __future__ import annotations

from absl import flags

from scripts import cli
from zoo import data

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", "fashion_mnist", f"one of {', '.join(data.DATASETS)}")


def main(_: list[str]) -> None:
    """Fetches --dataset."""
    data.fetch(FLAGS.dataset, cli.say)


if __name__ == "__main__":
    cli.run(main)
