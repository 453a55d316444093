"""Scores public ImageNet weights on labelled pictures, in Keras and as .tflite: top-1 and top-5.

    python -m scripts.evaluate --weights=squeezenet_v1_0_deep_compressed \\
        --images=../shared/data/imagenet_sample_1000.tar

Nothing is downloaded here: python -m scripts.data --weights=NAME does that once, or --weights_file
says where a copy is. A picture is brought to 256 pixels at its shorter side where it has another
size, its centre is cropped to the network's input, and its pixels are normalised as the network's
catalogue row says. Where two or four crops are equally near the centre, as for 227 of 256 pixels,
each is scored and the accuracy is their mean.

With --precisions=float32,float16,int8 the network is also converted and run on LiteRT with XNNPACK,
and with --tflite=FILE a file that another tool made of it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from converters import precisions
from scripts import cli, initial
from zoo import weights
from zoo.catalog import model_spec
from zoo.intervals import wilson

if TYPE_CHECKING:
    from converters.scoring import Scores
    from zoo.transfer import Initial

FLAGS = flags.FLAGS
flags.DEFINE_string("weights", None, f"{', '.join(weights.WEIGHTS)}, or a FILE.net")
flags.DEFINE_string("weights_file", None, "a copy of the named weights (default: the cache)")
flags.DEFINE_string("images", None, "an uncompressed .tar or a folder of JPEGs named by synset")
_PRECISIONS = tuple(p for p in precisions.PRECISIONS if p != "int8_qat")
flags.DEFINE_list(
    "precisions", [], f"also convert to these of {', '.join(_PRECISIONS)} and score on LiteRT"
)
flags.DEFINE_list("tflite", [], "files of the same network to score too, whoever made them")
flags.DEFINE_string("keep", None, "folder to leave the converted files in")
flags.DEFINE_bool("json", False, "print one JSON object instead of sentences")
_LINE_EVERY_S = 10.0


def _line(places: np.ndarray, k: int) -> tuple[str, dict[str, object]]:
    by_crop = (places < k).mean(axis=0)
    share = float(by_crop.mean())
    low, high = wilson(share, len(places))
    text = (
        f"top-{k}: {100 * share:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f}; "
        f"single crops {100 * by_crop.min():.1f} to {100 * by_crop.max():.1f})"
    )
    return text, {
        f"top{k}": share,
        f"top{k}_interval_95": [low, high],
        f"top{k}_by_crop": by_crop.tolist(),
    }


def report(scores: Scores, start: Initial, path: Path) -> tuple[dict[str, object], list[str]]:
    """What was scored: as one JSON object, and in sentences.

    Args:
        scores: of the Keras network and of what it was converted to.
        start: the weights.
        path: of the images.
    """
    keras = scores.keras
    result: dict[str, object] = {
        "weights": start.source,
        "sha256": start.sha256,
        "model": start.model,
        "images": len(keras),
        "classes": len(set(scores.labels.tolist())),
        "crops": keras.shape[1],
    }
    lines = [f"{start.source}: {start.model} in Keras, {start.note}"]
    lines.append(
        f"{result['images']} pictures of {result['classes']} classes, {result['crops']} central "
        f"crops of each, {path}"
    )
    for k in (1, 5):
        text, figures = _line(keras, k)
        lines.append(text)
        result |= figures
    # Theirs, never ours; and of other pictures, so the two are not to be subtracted.
    for row in model_spec(start.model).published:
        top5 = f", top-5 {row.top5} %" if row.top5 else ""
        lines.append(
            f"published by the authors: top-1 {row.top1} %{top5} ({row.dataset}, {row.source}; "
            "dense, on the 50,000 validation images)"
        )
    converted = {}
    for name, size in scores.bytes.items():
        places = scores.places[name]
        own: dict[str, object] = {"bytes": size}
        lines.append(f"{name.removesuffix('.tflite')}.tflite, {size / 1e6:.2f} MB, on LiteRT:")
        for k in (1, 5):
            text, figures = _line(places, k)
            against = 100 * float((places < k).mean() - (keras < k).mean())
            lines.append(f"  {text}, {against:+.1f} points against Keras")
            own |= figures
        if name in ("int8", "int16x8"):
            seen = scores.calibrated
            own["calibration_images"] = int(seen.sum())
            if not seen.all():
                points = 100 * float((places[~seen] < 1).mean() - (keras[~seen] < 1).mean())
                own["top1_points_on_others"] = points
                lines.append(
                    f"  calibrated on {seen.sum()} of the pictures, without their labels; on the "
                    f"others top-1 is {points:+.1f} points against Keras"
                )
        converted[name] = own
    if converted:
        result["converted"] = converted
    return result, lines


def main(_: list[str]) -> None:
    """Prints the accuracy of --weights on --images."""
    value, path = cli.required("weights"), Path(cli.required("images"))
    wanted = cli.choices("precisions", _PRECISIONS) if FLAGS.precisions else []
    start = initial.public(value, Path(FLAGS.weights_file) if FLAGS.weights_file else None)
    cli.import_tensorflow()
    from converters import scoring

    files = [Path(file) for file in FLAGS.tflite]
    keep = Path(FLAGS.keep) if FLAGS.keep else None
    scores = scoring.score(start, path, wanted, files, keep, _progress())
    result, lines = report(scores, start, path)
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
