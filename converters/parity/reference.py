"""Reference outputs of a run's Keras network on a sample of its test split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from converters.parity.tensor_inputs import sample
from zoo import data, runs
from zoo.errors import ZooError
from zoo.schema.artifact import Artifact

if TYPE_CHECKING:
    import tf_keras

_BATCH = 50


@dataclass(frozen=True, eq=False)
class Reference:
    """The reference for an artifact: test images and the Keras network's logits.

    Attributes:
        model: Keras network, with fake quantization after QAT.
        pixels: Images before normalization, uint8 (images, height, width, channels).
        images: The same images after normalization, float32.
        labels: Class indices, int32 (images,).
        logits: Logits of the Keras network, float32 (images, classes).
    """

    model: tf_keras.Model
    pixels: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    logits: np.ndarray

    @classmethod
    def of(cls, artifact: Artifact, output: Path, count: int) -> Reference:
        """Rebuilds the network of the artifact's run and evaluates it. Imports TensorFlow.

        Args:
            artifact: Manifest of the artifact.
            output: Folder that contains `runs/`.
            count: Number of test images, capped at the size of the test split. The selection is
                the same in every call.

        Raises:
            ZooError: if the run is missing, damaged or has other weights, or if its dataset is
                missing.
        """
        folder = output / "runs" / Path(artifact.parent_run).name
        if not folder.is_dir():
            raise ZooError(
                "no such run, so there is no Keras network to compare with",
                where=folder,
                remedy="pass the --output folder of the run, or check the manifest with --all",
            )
        run = runs.load(folder)
        if run.weights_sha256 != artifact.parent_sha256:
            raise ZooError(
                "the run's weights differ from those that the artifact was converted from",
                where=folder,
                expected=f"sha256 {artifact.parent_sha256}",
                got=run.weights_sha256,
                remedy="convert the run again",
            )
        dataset = data.of_run(run)
        chosen = sample(len(dataset.test), count)
        pixels = dataset.test.images[chosen]
        images = dataset.normalize(pixels)
        model = runs.keras_model(run, folder)
        logits = [
            model.predict_on_batch(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)
        ]
        return cls(model, pixels, images, dataset.test.labels[chosen], np.concatenate(logits))

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy of the Keras network on the images, 0 to 1."""
        return accuracy(self.logits, self.labels)

    def layer_outputs(self, image: int) -> Iterator[tuple[str, np.ndarray]]:
        """Yields (layer name, output) for one image, in order of computation.

        Outputs are float32 with batch size 1. Layers with several outputs or uses are skipped.

        Args:
            image: Index into `images`.
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
    """Returns the top-1 accuracy, 0 to 1."""
    return float(np.mean(logits.argmax(axis=1) == labels))
