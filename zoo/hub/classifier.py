"""Image classification with a released model. Requires LiteRT and NumPy, but not TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from zoo import runtime
from zoo.data import decode, resize
from zoo.errors import ZooError
from zoo.hub import local
from zoo.io.files import read_bytes
from zoo.runtime.sandbox import Accelerated
from zoo.schema.artifact import Artifact, PixelRule
from zoo.schema.json_files import first_problem

if TYPE_CHECKING:
    from PIL import Image

_MAX_IMAGE_BYTES = 2**28


@dataclass(frozen=True)
class Guess:
    """A predicted class.

    Attributes:
        label: Name of the class.
        probability: Softmax of the logits, 0 to 1.
    """

    label: str
    probability: float


class Classifier:
    """A loaded model that classifies images. Created by `zoo.load`.

    Attributes:
        manifest: Accuracies, latencies, preprocessing and provenance of the model.
        labels: Class names in the order of the outputs.

    Args:
        artifact: The released file.
        threads: Number of CPU threads.
        delegate: `xnnpack`, `none`, or an accelerator such as `gpu`, which runs in a child
            process.

    Raises:
        ZooError: if the file is a checkpoint, the runtime cannot load it, or the manifest does not
            fit the model.
    """

    def __init__(self, artifact: local.LocalArtifact, threads: int = 1, delegate: str = "xnnpack"):
        if not isinstance(artifact.manifest, Artifact):
            raise ZooError(
                "a checkpoint cannot classify images",
                where=artifact.manifest.name,
                remedy="load one of the .tflite models listed by zoo.list_models()",
            )
        self.manifest = artifact.manifest
        self.labels = artifact.manifest.labels
        plain = "none" if delegate in runtime.ACCELERATORS else delegate
        self._net = runtime.load(artifact.content, "litert", plain, threads, artifact.path)
        self._run = self._net.run
        if delegate in runtime.ACCELERATORS:
            self._run = Accelerated(artifact.content, runtime.ACCELERATORS[delegate], delegate).run
        shape = tuple(int(side) for side in self._net.input["shape"])
        rule = _rule(self.manifest, artifact.path)
        mean, std = np.asarray(rule.mean, np.float32), np.asarray(rule.std, np.float32)
        if len(shape) != 4 or shape[3] not in (1, 3) or {mean.size, std.size} - {1, shape[3]}:
            raise ZooError(
                "the manifest's preprocessing does not fit the model",
                where=artifact.path,
                expected=f"mean and std for each channel of {'×'.join(map(str, shape))}",
                got=f"{mean.size} and {std.size}",
            )
        if int(self._net.output["shape"][-1]) != len(self.labels):
            raise ZooError(
                "the number of labels in the manifest differs from the number of outputs",
                where=artifact.path,
                expected=int(self._net.output["shape"][-1]),
                got=len(self.labels),
            )
        self._size, self._channels, self._mean, self._std = shape[1], shape[3], mean, std
        self._reversed = rule.channels == "BGR"

    def __repr__(self) -> str:
        return f"<{self.manifest.name}: {self.manifest.bytes:,} bytes, {len(self.labels)} classes>"

    def classify(self, image: np.ndarray | str | Path, top: int = 5) -> list[Guess]:
        """Returns the most probable classes, most probable first.

        Args:
            image: Path of an image file, or uint8 pixels (height, width), (height, width, 1) or
                (height, width, 3) in RGB, of any size.
            top: Number of classes to return.

        Raises:
            ZooError: if the file is missing or broken, or the array has another dtype or shape.
        """
        logits = self.logits(image)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")[:top]
        return [Guess(self.labels[i], float(shares[i])) for i in order]

    def logits(self, image: np.ndarray | str | Path) -> np.ndarray:
        """Returns the logits before the softmax, float32 (classes,).

        Arguments and errors as in `classify`.
        """
        pixels = resize.fitted(
            _open(image, self._size), self.manifest.dataset, self._size, self._channels
        )
        if self._reversed:
            pixels = pixels[..., ::-1]
        return self._run((pixels.astype(np.float32) - self._mean) / self._std)


def _rule(manifest: Artifact, where: Path) -> PixelRule:
    try:
        return PixelRule.model_validate(manifest.preprocessing)
    except ValidationError as error:
        raise ZooError(
            "the manifest's preprocessing is not valid", where=where, got=first_problem(error)
        ) from error


def _open(image: np.ndarray | str | Path, size: int) -> Image.Image:
    from PIL import Image

    if isinstance(image, str | Path):
        remedy = "give a JPEG or PNG file"
        data = read_bytes(Path(image), "the image", _MAX_IMAGE_BYTES, remedy)
        try:
            return decode.rgb(data, str(image), short=decode.enough(size))
        except ZooError as error:
            error.remedy = remedy
            raise
    array = np.asarray(image)
    channels = array.shape[2:]
    if array.dtype != np.uint8 or array.ndim < 2 or channels not in ((), (1,), (3,)):
        raise ZooError(
            "unsupported image array",
            expected="uint8 of shape (h, w), (h, w, 1) or (h, w, 3)",
            got=f"{array.dtype} of shape {array.shape}",
        )
    if not array.size:
        raise ZooError("the image is empty", expected="at least one pixel", got=array.shape)
    return Image.fromarray(array[..., 0] if channels == (1,) else array)
