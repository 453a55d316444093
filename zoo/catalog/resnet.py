"""ResNets for CIFAR-10, and SE-ResNets."""

from __future__ import annotations

from zoo.catalog.preprocessing import CIFAR10, TORCH
from zoo.schema.model import ModelSpec, Published

_RESNET = "He et al. 2016, https://arxiv.org/abs/1512.03385"
_SENET = "Hu et al. 2018, https://arxiv.org/abs/1709.01507"
_OSMR = "https://github.com/osmr/imgclsmob"
_CHENYAOFO = "https://github.com/chenyaofo/pytorch-cifar-models"

ROWS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="se_resnet50",
        family="resnet",
        arguments={"design": "imagenet", "repeats": (3, 4, 6, 3), "squeeze_excite": True},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=28_088_024,
        parameters_total=28_141_144,
        macs=3_860_488_192,
        published_macs=3.88e9,
        preprocessing=TORCH,
        published=(Published("ImageNet", 78.9, source=_OSMR),),
        paper=_SENET,
        license="MIT",
        derivation="ResNet-50 without biases, with the stride in the first convolution of a "
        "bottleneck, and gates with reduction 16 and biases. The published MACs include operations "
        "other than multiplications.",
        not_reproducible="The accuracy is from the public code's training; the paper's is lower.",
    ),
    ModelSpec(
        name="resnet20",
        family="resnet",
        arguments={"design": "cifar", "repeats": (3, 3, 3), "squeeze_excite": False},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=272_474,
        parameters_total=274_042,
        macs=40_813_184,
        published_macs=40.81e6,
        preprocessing=CIFAR10,
        published=(Published("CIFAR-10", 92.6, 99.81, _CHENYAOFO),),
        paper=_RESNET,
        license="BSD-3-Clause",
        derivation="Section 4.2 of the paper, with its shortcut B as in public code: 1×1 "
        "convolutions with batch norm where the shape changes. The paper's network pads zeros.",
    ),
    ModelSpec(
        name="resnet56",
        family="resnet",
        arguments={"design": "cifar", "repeats": (9, 9, 9), "squeeze_excite": False},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=855_770,
        parameters_total=860_026,
        macs=125_747_840,
        published_macs=125.75e6,
        preprocessing=CIFAR10,
        published=(Published("CIFAR-10", 94.37, 99.83, _CHENYAOFO),),
        paper=_RESNET,
        license="BSD-3-Clause",
        derivation="Like resnet20, with 9 blocks per stage.",
    ),
    ModelSpec(
        name="se_resnet20",
        family="resnet",
        arguments={"design": "cifar", "repeats": (3, 3, 3), "squeeze_excite": True},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=274_847,
        parameters_total=276_415,
        macs=40_815_200,
        published_macs=41.34e6,
        preprocessing=CIFAR10,
        published=(Published("CIFAR-10", 93.99, source=_OSMR),),
        paper=_SENET,
        license="MIT",
        derivation="resnet20 with gates with reduction 16 and biases in every block. The published "
        "MACs include operations other than multiplications.",
    ),
)
