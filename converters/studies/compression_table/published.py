"""Published figures: the table of the paper and AlexNet's layers after Deep Compression."""

from __future__ import annotations

from dataclasses import dataclass

ALEXNET_BYTES = 4 * 60_965_224  # float32 parameters alone
_PAPER = "Iandola et al. 2016, table 2"


@dataclass(frozen=True)
class PublishedSize:
    """A row of the paper's table.

    Attributes:
        size_mb: Model size in MB (10⁶ bytes).
        top1: Top-1 accuracy in percent, on the 50,000 ImageNet validation images.
        top5: Top-5 accuracy in percent, on the same images.
        source: Paper and table.
    """

    size_mb: float
    top1: float
    top5: float
    source: str = _PAPER


PUBLISHED: dict[str, PublishedSize] = {
    "AlexNet": PublishedSize(240, 57.2, 80.3),
    "AlexNet, SVD": PublishedSize(48, 56.0, 79.4),
    "AlexNet, pruning": PublishedSize(27, 57.2, 80.3),
    "AlexNet, Deep Compression": PublishedSize(6.9, 57.2, 80.3),
    "SqueezeNet": PublishedSize(4.8, 57.5, 80.3),
    "SqueezeNet, Deep Compression, 8 bit": PublishedSize(0.66, 57.5, 80.3),
    "SqueezeNet, Deep Compression, 6 bit": PublishedSize(0.47, 57.5, 80.3),
}


@dataclass(frozen=True)
class PublishedLayer:
    """One layer of AlexNet.

    Attributes:
        weights: Number of weights.
        density: Share of weights left after pruning (Han et al. 2015, arXiv:1506.02626, table 4).
        bits: Bits per code, 8 in convolutions and 5 in dense layers (Han et al. 2016,
            arXiv:1510.00149, section 5).
    """

    weights: int
    density: float
    bits: int


LAYERS = {
    "conv1": PublishedLayer(34_848, 0.84, 8),
    "conv2": PublishedLayer(307_200, 0.38, 8),
    "conv3": PublishedLayer(884_736, 0.35, 8),
    "conv4": PublishedLayer(663_552, 0.37, 8),
    "conv5": PublishedLayer(442_368, 0.37, 8),
    "fc6": PublishedLayer(37_748_736, 0.09, 5),
    "fc7": PublishedLayer(16_777_216, 0.09, 5),
    "fc8": PublishedLayer(4_096_000, 0.25, 5),
}
