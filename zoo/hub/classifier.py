"""A released model that names what is in a picture: LiteRT and NumPy, no TensorFlow."""

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
from zoo.schema.artifact import Artifact, PixelRule
from zoo.schema.json_files import first_problem

if TYPE_CHECKING:
    from PIL import Image

_MAX_PICTURE_BYTES = 2**28


@dataclass(frozen=True)
class Guess:
    """A class and how sure the network is of it, 0 to 1 (the soft-max of its logits)."""

    label: str
    probability: float


class Classifier:
    """A model with all it takes to use it. Made by `zoo.load`.

    Attributes:
        manifest: what is known about it: accuracies, latencies, preprocessing, how it was made.
        labels: class names in the order of the outputs.

    Args:
        found: the file, its hash checked.
        threads: CPU threads.
        delegate: `xnnpack` or `none`.
    """

    def __init__(self, found: local.LocalArtifact, threads: int = 1, delegate: str = "xnnpack"):
        if not isinstance(found.manifest, Artifact):
            raise ZooError(
                "weights to train on from can't classify",
                where=found.manifest.name,
                remedy="load one of its .tflite, as zoo.list_models() names them",
            )
        self.manifest = found.manifest
        self.labels = found.manifest.labels
        self._net = runtime.load(found.content, "litert", delegate, threads, found.path)
        shape = tuple(int(side) for side in self._net.input["shape"])
        told = _rule(self.manifest, found.path)
        mean, std = np.asarray(told.mean, np.float32), np.asarray(told.std, np.float32)
        if len(shape) != 4 or shape[3] not in (1, 3) or {mean.size, std.size} - {1, shape[3]}:
            raise ZooError(
                "the manifest's preprocessing does not fit the model",
                where=found.path,
                expected=f"mean and std of each channel of {'×'.join(map(str, shape))}",
                got=f"{mean.size} and {std.size}",
            )
        if int(self._net.output["shape"][-1]) != len(self.labels):
            raise ZooError(
                "the manifest has not as many labels as the model has outputs",
                where=found.path,
                expected=int(self._net.output["shape"][-1]),
                got=len(self.labels),
            )
        self._size, self._channels, self._mean, self._std = shape[1], shape[3], mean, std
        self._reversed = told.channels == "BGR"

    def __repr__(self) -> str:
        return f"<{self.manifest.name}: {self.manifest.bytes:,} bytes, {len(self.labels)} classes>"

    def classify(self, image: np.ndarray | str | Path, top: int = 5) -> list[Guess]:
        """The most probable classes, most probable first.

        Args:
            image: uint8 (h, w), (h, w, 1) or (h, w, 3) in RGB, of any size, or a picture's file.
            top: how many classes.

        Raises:
            ZooError: no such picture, or an array of another kind.
        """
        logits = self.logits(image)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")[:top]
        return [Guess(self.labels[i], float(shares[i])) for i in order]

    def logits(self, image: np.ndarray | str | Path) -> np.ndarray:
        """float32 (classes,): what the network gives before the soft-max. As `classify`."""
        pixels = resize.fitted(
            _picture(image, self._size), self.manifest.dataset, self._size, self._channels
        )
        if self._reversed:
            pixels = pixels[..., ::-1]
        return self._net.run((pixels.astype(np.float32) - self._mean) / self._std)


def _rule(manifest: Artifact, where: Path) -> PixelRule:
    try:
        return PixelRule.model_validate(manifest.preprocessing)
    except ValidationError as error:
        raise ZooError(
            "the manifest's preprocessing is not valid", where=where, got=first_problem(error)
        ) from error


def _picture(image: np.ndarray | str | Path, size: int) -> Image.Image:
    from PIL import Image

    if isinstance(image, str | Path):
        data = read_bytes(Path(image), "the picture", _MAX_PICTURE_BYTES, "name a JPEG or PNG")
        return decode.rgb(data, str(image), short=decode.enough(size))
    array = np.asarray(image)
    layers = array.shape[2:]
    if array.dtype != np.uint8 or array.ndim < 2 or layers not in ((), (1,), (3,)):
        raise ZooError(
            "no picture",
            expected="uint8 of shape (h, w), (h, w, 1) or (h, w, 3)",
            got=f"{array.dtype} of shape {array.shape}",
        )
    if not array.size:
        raise ZooError("no picture", expected="at least one pixel", got=array.shape)
    return Image.fromarray(array[..., 0] if layers == (1,) else array)
