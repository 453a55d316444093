"""Data sets as people call them, and which published figures are about the same pictures."""

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
# Other files of the same pictures: figures may stand beside each other, never as the same data.
RELATED = {"cifar10_jpeg": "CIFAR-10"}


def title(name: str) -> str:
    """`cifar10_jpeg` → `CIFAR-10 (JPEG)`; an unknown name stays."""
    return TITLES.get(name, name)
