"""Scores public ImageNet weights in Keras on labelled pictures: top-1 and top-5.

    python -m scripts.evaluate --weights=squeezenet_v1_0_deep_compressed \\
        --images=../shared/data/imagenet_sample_1000.tar

Nothing is downloaded here: python -m scripts.data --weights=NAME does that once, or --weights_file
says where a copy is. A picture is brought to 256 pixels at its shorter side where it has another
size, its centre is cropped to the network's input, and its pixels are normalised as the network's
catalogue row says.
"""

from __future__ import annotations

import json
import math
from itertools import islice
from pathlib import Path

import numpy as np
from absl import flags

from scripts import cli, initial
from zoo import images, weights
from zoo.catalog import build, model_spec, published_config
from zoo.errors import ZooError
from zoo.transfer import Initial, apply

FLAGS = flags.FLAGS
flags.DEFINE_string("weights", None, f"{', '.join(weights.WEIGHTS)}, or a FILE.net")
flags.DEFINE_string("weights_file", None, "a copy of the named weights (default: the cache)")
flags.DEFINE_string("images", None, "an uncompressed .tar or a folder of JPEGs named by synset")
flags.DEFINE_bool("json", False, "print one JSON object instead of sentences")
_BATCH = 50


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), 0 to 1."""
    z = 1.959964
    share, scale = right / count, 1 + z * z / count
    centre = (share + z * z / (2 * count)) / scale
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)


def ranks(start: Initial, path: Path) -> tuple[np.ndarray, set[int]]:
    """How many classes come before the right one, for each picture, and the classes that occur.

    Raises:
        ZooError: weights that do not fit, pictures that can't be used, outputs not finite.
    """
    spec = model_spec(start.model)
    model = build(published_config(spec))
    apply(model, spec.name, start, spec.preprocessing)
    height, width, _ = spec.input_shape
    found: list[np.ndarray] = []
    classes: set[int] = set()
    reader = images.pictures(path)
    while batch := list(islice(reader, _BATCH)):
        pixels = [images.crop(images.decode(picture), height, width) for picture in batch]
        logits = model.predict_on_batch(images.normalise(np.stack(pixels), spec.preprocessing))
        if not np.isfinite(logits).all():
            raise ZooError("the network's outputs are not finite", where=start.source)
        order = np.argsort(-logits, axis=1, kind="stable")
        labels = np.array([picture.label for picture in batch])
        found.append(np.argmax(order == labels[:, np.newaxis], axis=1))
        classes.update(labels.tolist())
    return np.concatenate(found), classes


def main(_: list[str]) -> None:
    """Prints the accuracy of --weights on --images."""
    value, path = cli.required("weights"), Path(cli.required("images"))
    start = initial.public(value, Path(FLAGS.weights_file) if FLAGS.weights_file else None)
    cli.import_tensorflow()
    place, classes = ranks(start, path)
    result: dict[str, object] = {
        "weights": start.source,
        "sha256": start.sha256,
        "model": start.model,
        "images": len(place),
        "classes": len(classes),
    }
    lines = [f"{start.source}: {start.model} in Keras, {start.note}"]
    lines.append(f"{len(place)} pictures of {len(classes)} classes, {path}")
    for k in (1, 5):
        right = int((place < k).sum())
        low, high = wilson(right, len(place))
        result[f"top{k}"], result[f"top{k}_interval_95"] = right / len(place), [low, high]
        lines.append(
            f"top-{k}: {100 * right / len(place):.1f} % (95 % interval {100 * low:.1f} to "
            f"{100 * high:.1f})"
        )
    # Theirs, never ours; and of other pictures, so the two are not to be subtracted.
    for row in model_spec(start.model).published:
        lines.append(
            f"published by the authors: top-1 {row.top1} %, top-5 {row.top5} % ({row.dataset}, "
            f"{row.source}; dense, on the 50,000 validation images)"
        )
    print(json.dumps(result) if FLAGS.json else "\n".join(lines), flush=True)


if __name__ == "__main__":
    cli.run(main)
