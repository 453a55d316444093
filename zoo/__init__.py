"""Mobile model zoo: small pretrained image classifiers, and the tools that train and convert them.

import zoo

zoo.list_models()
zoo.load("resnet20-fashion_mnist-int8").classify("shirt.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.hub.classifier import Classifier

__all__ = ["list_models", "load"]


def list_models() -> list[str]:
    """Returns the names of the models on this computer.

    These are the downloaded ones and, in a clone, those of its `release` folder.
    `zoo download --source=URL --all` adds the models of a release.
    """
    from zoo.hub import local

    return local.models()


def load(name: str, *, threads: int = 1, delegate: str = "xnnpack") -> Classifier:
    """Loads a model that is ready to classify images, after checking its file's SHA-256.

    Args:
        name: Name as in `list_models`, for example `squeezenet_v1_1-fashion_mnist-int8`.
        threads: Number of CPU threads.
        delegate: `xnnpack`, `none` for LiteRT's built-in kernels, or `gpu` for its GPU engine.

    Raises:
        zoo.errors.ZooError: if there is no such model on this computer, or its file is damaged.
    """
    from zoo.hub import local
    from zoo.hub.classifier import Classifier

    return Classifier(local.find(name), threads, delegate)
