"""Names what is in pictures, by a released model. Needs no TensorFlow.

    python -m scripts.classify resnet20-fashion_mnist-int8 docs/ankle_boot.png
    python -m scripts.classify mine-int8 a.jpg b.png --top=3 --json

The model is a downloaded one (python -m scripts.download), or of a clone's own release. Pictures
may have any size; how they are scaled and normalized is told by the model's manifest. Exit code 1
where a picture can't be read; the others are classified all the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from absl import flags

import zoo
from scripts.common import cli
from zoo.errors import ZooError
from zoo.io.stderr import quiet
from zoo.runtime.interpreter import DELEGATES

FLAGS = flags.FLAGS
flags.DEFINE_integer("top", 5, "how many classes", lower_bound=1)
flags.DEFINE_integer("threads", 1, "CPU threads", lower_bound=1)
flags.DEFINE_string("delegate", "xnnpack", f"{', '.join(DELEGATES)}")
flags.DEFINE_bool("json", False, "print one JSON object, picture → classes")


def main(argv: list[str]) -> int:
    """Classifies each picture."""
    if len(argv) < 3:
        raise ZooError("a model and a picture are needed", expected="MODEL PICTURE…", got=argv[1:])
    with quiet():
        model = zoo.load(argv[1], threads=FLAGS.threads, delegate=FLAGS.delegate)
    found, failed = {}, False
    for picture in argv[2:]:
        try:
            guesses = model.classify(picture, FLAGS.top)
        except ZooError as error:
            cli.complain(error)
            failed = True
            continue
        found[picture] = [asdict(guess) for guess in guesses]
        if not FLAGS.json:
            cli.say(f"{picture}:")
            for guess in guesses:
                cli.say(f"  {100 * guess.probability:5.1f} %  {guess.label}")
    if FLAGS.json:
        cli.say(json.dumps(found, indent=1))
    return int(failed)


if __name__ == "__main__":
    cli.run(main, positional=True)
