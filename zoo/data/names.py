"""Display names of datasets, and the published datasets their accuracies may be shown next to."""

from __future__ import annotations

TITLES = {
    "fashion_mnist": "Fashion-MNIST",
    "cifar10_jpeg": "CIFAR-10 (JPEG)",
    "digits": "digits (scikit-learn)",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenette": "Imagenette",
    "imagenet": "ImageNet",
}
# Re-encoded versions of a published dataset: accuracies may be shown side by side, but not as
# results on the same data.
RELATED = {"cifar10_jpeg": "CIFAR-10"}


def title(name: str) -> str:
    """Returns the display name, `CIFAR-10 (JPEG)` for `cifar10_jpeg`; unknown names unchanged."""
    return TITLES.get(name, name)
