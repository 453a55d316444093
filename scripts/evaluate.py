"""Measures top-1 and top-5 accuracy of public ImageNet weights, in Keras and as .tflite.

    zoo evaluate --weights=squeezenet_v1_0_deep_compressed --images=IMAGES.tar

Downloads nothing: get the weights once with `zoo data --weights=NAME`, or pass a local copy with
--weights_file. Images are resized to 256 pixels at the shorter side, cropped at the center to the
input size of the network and normalized as in the catalog. If two or four crops are equally close
to the center, as with 227 of 256 pixels, all of them are scored and the accuracy is their mean.

--precision=float32,float16,int8 also converts the network and runs it on LiteRT with XNNPACK.
--tflite=FILE scores a file that another tool made from the same network.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo.catalog import precisions
from zoo.io.tf_import import import_tensorflow
from zoo.pretrained import initial, public

FLAGS = flags.FLAGS
flags.DEFINE_string("weights", None, f"public weights ({', '.join(public.WEIGHTS)}) or a FILE.net")
flags.DEFINE_string("weights_file", None, "local copy of the public weights (default: the cache)")
flags.DEFINE_string("images", None, "uncompressed .tar or folder of JPEGs named by synset")
flags.DEFINE_list(
    "precision",
    [],
    f"also convert to these precisions and score them: {', '.join(precisions.BEFORE_QAT)}",
)
flags.DEFINE_list("tflite", [], "also score these .tflite files of the same network")
flags.DEFINE_string("into", None, "folder for the converted files (default: they are deleted)")
flags.DEFINE_bool("json", False, "print one JSON object instead of text")
_LINE_EVERY_S = 10.0


def main(_: list[str]) -> None:
    """Prints the accuracy of --weights on --images."""
    value, path = cli.required("weights"), Path(cli.required("images"))
    names = cli.choices("precision", precisions.BEFORE_QAT) if FLAGS.precision else []
    start = initial.public(value, Path(FLAGS.weights_file) if FLAGS.weights_file else None)
    import_tensorflow()
    from converters.imagenet import scoring

    files = [Path(file) for file in FLAGS.tflite]
    into = Path(FLAGS.into) if FLAGS.into else None
    scores = scoring.score(start, path, names, files, into, _progress())
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
