"""Layers that tf_keras lacks; all support saving, loading, cloning, XLA and mixed precision.

Importing this package registers them, which is required to load a `.keras` file that has them.
"""

from zoo.layers.active_shift import ActiveShift, LearnedShift
from zoo.layers.channels import ChannelMean, ChannelShuffle, ChannelSplit
from zoo.layers.grouped import GroupedConv2D
from zoo.layers.normalization import LocalResponseNormalization
from zoo.layers.shift import Shift, shifts
from zoo.layers.sparse_shift import SparseShift

__all__ = [
    "ActiveShift",
    "ChannelMean",
    "ChannelShuffle",
    "ChannelSplit",
    "GroupedConv2D",
    "LearnedShift",
    "LocalResponseNormalization",
    "Shift",
    "SparseShift",
    "shifts",
]
