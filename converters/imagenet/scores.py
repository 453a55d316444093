"""Results of scoring public weights, as a JSON object and as text. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.catalog import model_spec
from zoo.catalog.precisions import CALIBRATED
from zoo.pretrained.transfer import Initial
from zoo.stats import wilson

KERAS = "keras"


@dataclass(frozen=True, eq=False)
class Scores:
    """Rank of the correct class for every image and crop.

    Attributes:
        places: Number of classes ranked above the correct one (0 is a top-1 hit), integers
            (images, crops). The keys are `keras`, precisions and file paths.
        labels: Class indices, integers (images,).
        calibrated: Whether an image was used to calibrate the integer precisions, bool (images,).
        bytes: Size of each converted file, by its key in `places`.
    """

    places: dict[str, np.ndarray]
    labels: np.ndarray
    calibrated: np.ndarray
    bytes: dict[str, int]

    @property
    def keras(self) -> np.ndarray:
        """Ranks of the Keras network, integers (images, crops)."""
        return self.places[KERAS]

    def report(self, start: Initial, path: Path) -> tuple[dict[str, object], list[str]]:
        """Returns the results as a JSON-serializable object and as lines of text.

        Args:
            start: Public weights.
            path: Path of the images.
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
            f"{result['images']} images of {result['classes']} classes, {result['crops']} "
            f"central crops per image, {path}"
        )
        for k in (1, 5):
            text, figures = _line(keras, k)
            lines.append(text)
            result |= figures
        # The authors' accuracies are for other images, so differences to ours are meaningless.
        for row in model_spec(start.model).published:
            top5 = f", top-5 {row.top5} %" if row.top5 else ""
            lines.append(
                f"published by the authors: top-1 {row.top1} %{top5} ({row.dataset}, {row.source}; "
                "uncompressed, on the 50,000 validation images)"
            )
        converted = {}
        for name, size in self.bytes.items():
            places = self.places[name]
            entry: dict[str, object] = {"bytes": size}
            lines.append(f"{name.removesuffix('.tflite')}.tflite, {size / 1e6:.2f} MB, on LiteRT:")
            for k in (1, 5):
                text, figures = _line(places, k)
                against = 100 * float((places < k).mean() - (keras < k).mean())
                lines.append(f"  {text}, {against:+.1f} points relative to Keras")
                entry |= figures
            if name in CALIBRATED:
                seen = self.calibrated
                entry["calibration_images"] = int(seen.sum())
                if not seen.all():
                    points = 100 * float((places[~seen] < 1).mean() - (keras[~seen] < 1).mean())
                    entry["top1_points_on_others"] = points
                    lines.append(
                        f"  calibrated on {seen.sum()} of the images, without labels; on the rest, "
                        f"top-1 is {points:+.1f} points relative to Keras"
                    )
            converted[name] = entry
        if converted:
            result["converted"] = converted
        return result, lines


def _line(places: np.ndarray, k: int) -> tuple[str, dict[str, object]]:
    by_crop = (places < k).mean(axis=0)
    share = float(by_crop.mean())
    low, high = wilson(share, len(places))
    text = (
        f"top-{k}: {100 * share:.1f} % (95 % confidence interval {100 * low:.1f} to "
        f"{100 * high:.1f}; single crops {100 * by_crop.min():.1f} to {100 * by_crop.max():.1f})"
    )
    return text, {
        f"top{k}": share,
        f"top{k}_interval_95": [low, high],
        f"top{k}_by_crop": by_crop.tolist(),
    }
