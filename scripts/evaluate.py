"""Scores public ImageNet weights on labeled pictures, in Keras and as .tflite: top-1 and top-5.

    python -m scripts.evaluate --weights=squeezenet_v1_0_deep_compressed \\
        --images=../shared/data/imagenet_sample_1000.tar

Nothing is downloaded here: python -m scripts.data --weights=NAME does that once, or --weights_file
says where a copy is. A picture is brought to 256 pixels at its shorter side where it has another
size, its center is cropped to the network's input, and its pixels are normalized as the network's
catalog row says. Where two or four crops are equally near the center, as for 227 of 256 pixels,
each is scored and the accuracy is their mean.

With --precision=float32,float16,int8 the network is also converted and run on LiteRT with XNNPACK,
and with --tflite=FILE a file that another tool made of it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from absl import flags

from converters.conversion import precisions
from scripts.common import cli
from zoo.io.tf_import import import_tensorflow
from zoo.pretrained import initial, public

FLAGS = flags.FLAGS
flags.DEFINE_string("weights", None, f"{', '.join(public.WEIGHTS)}, or a FILE.net")
flags.DEFINE_string("weights_file", None, "a copy of the named weights (default: the cache)")
flags.DEFINE_string("images", None, "an uncompressed .tar or a folder of JPEGs named by synset")
_PRECISIONS = tuple(p for p in precisions.PRECISIONS if p != "int8_qat")
flags.DEFINE_list(
    "precision", [], f"also convert to these of {', '.join(_PRECISIONS)} and score on LiteRT"
)
flags.DEFINE_list("tflite", [], "files of the same network to score too, whoever made them")
flags.DEFINE_string("into", None, "folder to leave the converted files in")
flags.DEFINE_bool("json", False, "print one JSON object instead of sentences")
_LINE_EVERY_S = 10.0


def main(_: list[str]) -> None:
    """Prints the accuracy of --weights on --images."""
    value, path = cli.required("weights"), Path(cli.required("images"))
    wanted = cli.choices("precision", _PRECISIONS) if FLAGS.precision else []
    start = initial.public(value, Path(FLAGS.weights_file) if FLAGS.weights_file else None)
    import_tensorflow()
    from converters.imagenet import scoring

    files = [Path(file) for file in FLAGS.tflite]
    into = Path(FLAGS.into) if FLAGS.into else None
    scores = scoring.score(start, path, wanted, files, into, _progress())
    result, lines = scores.report(start, path)
    print(json.dumps(result) if FLAGS.json else "\n".join(lines), flush=True)


def _progress() -> Callable[[str], None]:
    last = time.monotonic()

    def progress(text: str) -> None:
        nonlocal last
        if time.monotonic() - last > _LINE_EVERY_S:
            last = time.monotonic()
            print(f"  {text}", file=sys.stderr, flush=True)

    return progress


if __name__ == "__main__":
    cli.run(main)
