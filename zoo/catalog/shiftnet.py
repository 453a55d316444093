"""ShiftNet, with fixed shifts, for ImageNet."""

from __future__ import annotations

from zoo.catalog.preprocessing import TORCH
from zoo.schema.model import ModelSpec, Published

_SHIFT = "Wu et al. 2018, https://arxiv.org/abs/1711.08141"
_SHIFTNET = (
    "The paper's table of kernels, channels, expansions and blocks. The paper does not specify the "
    "block; this one reproduces its counts: pre-activation, expansion of its input's channels, the "
    "stride in the shift, batch norm not after the first convolution but at the end. The "
    "preprocessing is unknown; torchvision's is used."
)

ROWS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="shiftnet_a",
        family="shiftnet",
        arguments={"base": 32},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=4_188_680,
        parameters_total=4_214_216,
        macs=1_424_306_176,
        published_macs=1.4e9,
        preprocessing=TORCH,
        published=(Published("ImageNet", 70.1, 89.7, source="paper"),),
        paper=_SHIFT,
        license="none stated",
        derivation=_SHIFTNET,
    ),
    ModelSpec(
        name="shiftnet_b",
        family="shiftnet",
        arguments={"base": 16},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=1_183_480,
        parameters_total=1_196_248,
        macs=370_956_288,
        published_macs=371e6,
        preprocessing=TORCH,
        published=(Published("ImageNet", 61.2, 83.6, source="paper"),),
        paper=_SHIFT,
        license="none stated",
        derivation=_SHIFTNET + " Half the channels of ShiftNet-A.",
        not_reproducible="No layout that we know of reproduces the count of ShiftNet-C.",
    ),
)
