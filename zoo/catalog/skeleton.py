"""ShiftResNet-20's skeleton with other ways to look at neighbouring pixels, to compare them.

The networks are ours, so that nothing is published of them: only what stands where the shift does
differs from `shiftresnet20_e3`, and its parameters with it.
"""

from __future__ import annotations

from zoo.catalog.preprocessing import CIFAR10
from zoo.specs import ModelSpec

_OURS = "ShiftResNet-20 of expansion 3 with {} in the shifts' place, for comparison: ours."
_PAPER = "Wu et al. 2018, https://arxiv.org/abs/1711.08141 (the skeleton)"

ROWS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="dwresnet20_e3",
        family="shiftresnet",
        arguments={"depth": 20, "expansion": 3, "shift": "depthwise"},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=104_714,
        parameters_total=107_626,
        macs=18_756_224,
        preprocessing=CIFAR10,
        published=(),
        paper=_PAPER,
        licence="none stated",
        derivation=_OURS.format("trained 3×3 depthwise convolutions"),
    ),
    ModelSpec(
        name="asresnet20_e3",
        family="shiftresnet",
        arguments={"depth": 20, "expansion": 3, "shift": "active"},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=97_658,
        parameters_total=100_570,
        macs=16_433_792,
        preprocessing=CIFAR10,
        published=(),
        paper=_PAPER,
        licence="none stated",
        derivation=_OURS.format("active shifts"),
    ),
    ModelSpec(
        name="sslresnet20_e3",
        family="shiftresnet",
        arguments={"depth": 20, "expansion": 3, "shift": "sparse"},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=97_658,
        parameters_total=102_595,
        macs=16_433_792,
        preprocessing=CIFAR10,
        published=(),
        paper=_PAPER,
        licence="none stated",
        derivation=_OURS.format("sparse shifts"),
    ),
)
