"""Scores public ImageNet weights in Keras on labelled pictures: top-1 and top-5.

    python -m scripts.evaluate --weights=squeezenet_v1_0_deep_compressed \\
        --images=../shared/data/imagenet_sample_1000.tar

Nothing is downloaded here: python -m scripts.data --weights=NAME does that once, or --weights_file
says where a copy is. A picture is brought to 256 pixels at its shorter side where it has another
size, its centre is cropped to the network's input, and its pixels are normalised as the network's
catalogue row says. Where two or four crops are equally near the centre, as for 227 of 256 pixels,
each is scored and the accuracy is their mean.
"""

from __future__ import annotations

import json
import math
import sys
import time
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
_LINE_EVERY_S = 10.0


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` pictures (Wilson 1927), 0 to 1."""
    z = 1.959964
    scale = 1 + z * z / count
    centre = (share + z * z / (2 * count)) / scale
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)


def places(start: Initial, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """How many classes come before the right one.

    Returns:
        (pictures, crops) places, 0 for a hit, and (pictures,) labels.

    Raises:
        ZooError: weights that do not fit, pictures that can't be used, outputs not finite.
    """
    spec = model_spec(start.model)
    model = build(published_config(spec))
    apply(model, spec.name, start, spec.preprocessing)
    height, width, _ = spec.input_shape
    found: list[np.ndarray] = []
    labels: list[int] = []
    began = time.monotonic()
    for picture in images.pictures(path):
        crops = images.central_crops(images.decode(picture), height, width)
        logits = model.predict_on_batch(images.normalise(crops, spec.preprocessing))
        if not np.isfinite(logits).all():
            raise ZooError("the network's outputs are not finite", where=start.source)
        order = np.argsort(-logits, axis=1, kind="stable")
        found.append(np.argmax(order == picture.label, axis=1))
        labels.append(picture.label)
        if time.monotonic() - began > _LINE_EVERY_S:
            began = time.monotonic()
            print(f"  {len(found)} pictures scored", file=sys.stderr, flush=True)
    # A margin that is even on one axis has fewer crops: repeated, their mean stays the same.
    most = max(len(place) for place in found)
    return np.stack([np.resize(place, most) for place in found]), np.array(labels)


def main(_: list[str]) -> None:
    """Prints the accuracy of --weights on --images."""
    value, path = cli.required("weights"), Path(cli.required("images"))
    start = initial.public(value, Path(FLAGS.weights_file) if FLAGS.weights_file else None)
    cli.import_tensorflow(small_layers=False)
    place, labels = places(start, path)
    result: dict[str, object] = {
        "weights": start.source,
        "sha256": start.sha256,
        "model": start.model,
        "images": len(place),
        "classes": len(set(labels.tolist())),
        "crops": place.shape[1],
    }
    lines = [f"{start.source}: {start.model} in Keras, {start.note}"]
    lines.append(
        f"{result['images']} pictures of {result['classes']} classes, {result['crops']} central "
        f"crops of each, {path}"
    )
    for k in (1, 5):
        by_crop = (place < k).mean(axis=0)
        share = float(by_crop.mean())
        low, high = wilson(share, len(place))
        result[f"top{k}"], result[f"top{k}_interval_95"] = share, [low, high]
        result[f"top{k}_by_crop"] = by_crop.tolist()
        lines.append(
            f"top-{k}: {100 * share:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f}; "
            f"single crops {100 * by_crop.min():.1f} to {100 * by_crop.max():.1f})"
        )
    # Theirs, never ours; and of other pictures, so the two are not to be subtracted.
    for row in model_spec(start.model).published:
        top5 = f", top-5 {row.top5} %" if row.top5 else ""
        lines.append(
            f"published by the authors: top-1 {row.top1} %{top5} ({row.dataset}, {row.source}; "
            "dense, on the 50,000 validation images)"
        )
    print(json.dumps(result) if FLAGS.json else "\n".join(lines), flush=True)


if __name__ == "__main__":
    cli.run(main)
