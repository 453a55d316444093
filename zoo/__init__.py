"""Mobile model zoo: small networks to download and run, and what they are trained and built with.

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
    """Names of the models on this computer: downloaded ones, and a clone's own release.

    `python -m scripts.download --source=URL --all` adds those of a release.
    """
    from zoo.hub import local

    return [name for name in local.names() if not name.endswith(local.CHECKPOINT)]


def load(name: str, *, threads: int = 1, delegate: str = "xnnpack") -> Classifier:
    """A model that is ready to classify pictures, its file's SHA-256 checked.

    Args:
        name: as `list_models` tells, `squeezenet_v1_1-fashion_mnist-int8` say.
        threads: CPU threads.
        delegate: `xnnpack`, or `none` for LiteRT's plain kernels.

    Raises:
        zoo.errors.ZooError: there is no such model here, or its file is damaged.
    """
    from zoo.hub import local
    from zoo.hub.classifier import Classifier

    return Classifier(local.find(name), threads, delegate)
