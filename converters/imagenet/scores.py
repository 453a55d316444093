"""What the scoring of public weights found, as an object and in sentences. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.catalog import model_spec
from zoo.pretrained.transfer import Initial
from zoo.stats import wilson

KERAS = "keras"


@dataclass(frozen=True, eq=False)
class Scores:
    """How many classes come before the right one, 0 for a hit.

    Attributes:
        places: by `keras`, a precision or a file, (pictures, crops).
        labels: (pictures,).
        calibrated: (pictures,), whether the calibration of the integer precisions saw it.
        bytes: of each file.
    """

    places: dict[str, np.ndarray]
    labels: np.ndarray
    calibrated: np.ndarray
    bytes: dict[str, int]

    @property
    def keras(self) -> np.ndarray:
        """The places in Keras."""
        return self.places[KERAS]

    def report(self, start: Initial, path: Path) -> tuple[dict[str, object], list[str]]:
        """What was scored: as one JSON object, and in sentences.

        Args:
            start: the weights.
            path: of the images.
        """
        keras = self.keras
        result: dict[str, object] = {
            "weights": start.source,
            "sha256": start.sha256,
            "model": start.model,
            "images": len(keras),
            "classes": len(set(self.labels.tolist())),
            "crops": keras.shape[1],
        }
        lines = [f"{start.source}: {start.model} in Keras, {start.note}"]
        lines.append(
            f"{result['images']} pictures of {result['classes']} classes, {result['crops']} "
            f"central crops of each, {path}"
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
        for name, size in self.bytes.items():
            places = self.places[name]
            own: dict[str, object] = {"bytes": size}
            lines.append(f"{name.removesuffix('.tflite')}.tflite, {size / 1e6:.2f} MB, on LiteRT:")
            for k in (1, 5):
                text, figures = _line(places, k)
                against = 100 * float((places < k).mean() - (keras < k).mean())
                lines.append(f"  {text}, {against:+.1f} points against Keras")
                own |= figures
            if name in ("int8", "int16x8"):
                seen = self.calibrated
                own["calibration_images"] = int(seen.sum())
                if not seen.all():
                    points = 100 * float((places[~seen] < 1).mean() - (keras[~seen] < 1).mean())
                    own["top1_points_on_others"] = points
                    lines.append(
                        f"  calibrated on {seen.sum()} of the pictures, without their labels; on "
                        f"the others top-1 is {points:+.1f} points against Keras"
                    )
            converted[name] = own
        if converted:
            result["converted"] = converted
        return result, lines


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
