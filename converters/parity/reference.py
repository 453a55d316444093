"""The Keras network of a run, on some images of its test split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo import data, runs
from zoo.errors import ZooError
from zoo.schema.artifact import Artifact

if TYPE_CHECKING:
    import tf_keras

_SEED = 20161122
_BATCH = 50


@dataclass(frozen=True, eq=False)
class Reference:
    """What an artifact is compared with.

    Attributes:
        model: the Keras network, with fake quantization after QAT.
        pixels: uint8 (images, height, width, channels).
        images: the same, normalized, float32.
        labels: int32 (images,).
        logits: the Keras network's, float32 (images, classes).
    """

    model: tf_keras.Model
    pixels: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    logits: np.ndarray

    @classmethod
    def of(cls, artifact: Artifact, output: Path, count: int) -> Reference:
        """Rebuilds the network of the artifact's run and runs it. Imports TensorFlow.

        Args:
            artifact: the manifest.
            output: the folder with `runs/`.
            count: of images, or all where the test split has fewer; always the same ones.

        Raises:
            ZooError: the run is missing, damaged or another one, or its data set is missing.
        """
        folder = output / "runs" / Path(artifact.parent_run).name
        run = runs.load(folder)
        if run.weights_sha256 != artifact.parent_sha256:
            raise ZooError(
                "the run's weights are not those that the artifact was converted from",
                where=folder,
                expected=f"sha256 {artifact.parent_sha256}",
                got=run.weights_sha256,
                remedy="convert the run again",
            )
        dataset = data.of_run(run)
        order = np.random.default_rng(_SEED).permutation(len(dataset.test))
        chosen = np.sort(order[:count])
        pixels = dataset.test.images[chosen]
        images = dataset.normalize(pixels)
        model = runs.keras_model(run, folder)
        logits = [
            model.predict_on_batch(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)
        ]
        return cls(model, pixels, images, dataset.test.labels[chosen], np.concatenate(logits))

    @property
    def accuracy(self) -> float:
        """Share of the images that the Keras network gets right."""
        return accuracy(self.logits, self.labels)

    def layer_outputs(self, image: int) -> Iterator[tuple[str, np.ndarray]]:
        """Each layer's output for one image, float32 with batch 1, in the order of computation.

        Layers with several outputs or several uses are left out.
        """
        import tf_keras

        names, tensors = [], []
        for layer in self.model.layers[1:]:
            try:
                output = layer.output
            except AttributeError:  # used several times, or never called
                continue
            if not isinstance(output, list | tuple | dict):
                names.append(layer.name)
                tensors.append(output)
        values = tf_keras.Model(self.model.input, tensors)(
            self.images[image : image + 1], training=False
        )
        for name, value in zip(names, values, strict=True):
            yield name, np.asarray(value, np.float32)


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Share of the images whose largest logit is the label's, 0 to 1."""
    return float(np.mean(logits.argmax(axis=1) == labels))
