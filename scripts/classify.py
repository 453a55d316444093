"""Classifies images with a released model.

    zoo classify resnet20-fashion_mnist-int8 docs/ankle_boot.png
    zoo classify mine-int8 a.jpg b.png --top=3 --json

The first argument is the name of a downloaded model (see `zoo download`) or of one in the clone's
own release. Images may have any size; they are scaled and normalized as the model's manifest says.
The exit code is 1 if an image can't be read; the other images are still classified. Needs no
TensorFlow.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from absl import flags

import zoo
from scripts.common import cli
from zoo.errors import ZooError
from zoo.io.stderr import quiet
from zoo.runtime.engines import DELEGATES

FLAGS = flags.FLAGS
flags.DEFINE_integer(
    "top", 5, "number of classes to print per image, most probable first", lower_bound=1
)
flags.DEFINE_integer("threads", 1, "number of CPU threads", lower_bound=1)
flags.DEFINE_string("delegate", "xnnpack", f"one of {', '.join(DELEGATES)}")
flags.DEFINE_bool("json", False, "print one JSON object that maps images to classes")


def main(argv: list[str]) -> int:
    """Classifies each image; returns 1 if one can't be read."""
    if len(argv) < 3:
        raise ZooError(
            "a model and at least one image are required",
            expected="MODEL IMAGE…",
            got="no image" if argv[1:] else "no arguments",
            remedy="run zoo classify MODEL IMAGE; zoo search lists the models",
        )
    with quiet():
        model = zoo.load(argv[1], threads=FLAGS.threads, delegate=FLAGS.delegate)
    classes, failed = {}, False
    for image in argv[2:]:
        try:
            guesses = model.classify(image, FLAGS.top)
        except ZooError as error:
            cli.complain(error)
            failed = True
            continue
        classes[image] = [asdict(guess) for guess in guesses]
        if not FLAGS.json:
            cli.say(f"{image}:")
            for guess in guesses:
                cli.say(f"  {100 * guess.probability:5.1f} %  {guess.label}")
    if FLAGS.json:
        cli.say(json.dumps(classes, indent=1))
    return int(failed)


if __name__ == "__main__":
    cli.run(main, positional=True)
