"""The networks whose blocks the others stand on."""

from __future__ import annotations

from zoo.catalog.preprocessing import CIFAR10, KERAS_BGR, TORCH, UNIT
from zoo.specs import ModelSpec, Preprocessing, Published

# EfficientNet-Lite's: nearly [-1, 1].
_LITE = Preprocessing(channels="RGB", mean=(127.0,) * 3, std=(128.0,) * 3)

_V1 = "Howard et al. 2017, https://arxiv.org/abs/1704.04861"
_V2 = "Sandler et al. 2018, https://arxiv.org/abs/1801.04381"
_V3 = "Howard et al. 2019, https://arxiv.org/abs/1905.02244"
_RESNET = "He et al. 2016, https://arxiv.org/abs/1512.03385"
_SENET = "Hu et al. 2018, https://arxiv.org/abs/1709.01507"

_OSMR = "https://github.com/osmr/imgclsmob"
_CHENYAOFO = "https://github.com/chenyaofo/pytorch-cifar-models"
_KERAS = (
    "Rebuilt layer by layer from tf_keras.applications, with equal outputs for equal weights; "
    "width is the original's alpha, with its own rounding. "
)

ROWS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="mobilenet_v1",
        family="applications",
        arguments={"network": "mobilenet_v1"},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=4_231_976,
        parameters_total=4_253_864,
        macs=568_740_352,
        published_macs=569e6,
        preprocessing=UNIT,
        published=(Published("ImageNet", 70.6, source="paper, table 4"),),
        paper=_V1,
        licence="Apache-2.0",
        derivation=_KERAS.strip(),
    ),
    ModelSpec(
        name="mobilenet_v2",
        family="applications",
        arguments={"network": "mobilenet_v2"},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=3_504_872,
        parameters_total=3_538_984,
        macs=300_774_272,
        published_macs=300e6,
        preprocessing=UNIT,
        published=(Published("ImageNet", 72.0, source="paper, table 4"),),
        paper=_V2,
        licence="Apache-2.0",
        derivation=_KERAS.strip(),
    ),
    ModelSpec(
        name="mobilenet_v3_small",
        family="applications",
        arguments={"network": "mobilenet_v3_small"},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=2_542_856,
        parameters_total=2_554_968,
        macs=56_510_400,
        published_macs=56e6,
        preprocessing=UNIT,
        published=(Published("ImageNet", 67.4, source="paper, table 3"),),
        paper=_V3,
        licence="Apache-2.0",
        derivation=_KERAS + "Its scaling of pixels is left to the preprocessing, and its "
        "operators x + 3 and x / 6 are layers.",
    ),
    ModelSpec(
        name="mobilenet_v3_large",
        family="applications",
        arguments={"network": "mobilenet_v3_large"},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=5_483_032,
        parameters_total=5_507_432,
        macs=216_589_760,
        published_macs=219e6,
        preprocessing=UNIT,
        published=(Published("ImageNet", 75.2, source="paper, table 3"),),
        paper=_V3,
        licence="Apache-2.0",
        derivation=_KERAS + "Its scaling of pixels is left to the preprocessing, and its "
        "operators x + 3 and x / 6 are layers.",
    ),
    ModelSpec(
        name="resnet50",
        family="applications",
        arguments={"network": "resnet50"},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=25_583_592,
        parameters_total=25_636_712,
        macs=3_857_973_248,
        published_macs=3.8e9,
        preprocessing=KERAS_BGR,
        published=(Published("ImageNet", 74.9, source="documentation of keras.applications"),),
        paper=_RESNET,
        licence="Apache-2.0",
        derivation="Rebuilt layer by layer from tf_keras.applications, with equal outputs for "
        "equal weights. Its convolutions have biases in spite of the batch norm; it has no width "
        "of its own, so that all channels are scaled.",
    ),
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
        licence="MIT",
        derivation="ResNet-50 without biases, the stride in a bottleneck's first convolution, and "
        "gates with reduction 16 and biases. The published MACs count more than products.",
        not_reproducible="The accuracy is of the public code's own training; the paper's is lower.",
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
        licence="BSD-3-Clause",
        derivation="Section 4.2 of the paper, with its shortcut B: 1×1 convolutions with batch "
        "norm where the shape changes, as public code has it; the paper's own network pads zeros.",
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
        licence="BSD-3-Clause",
        derivation="As resnet20, with 9 blocks a stage.",
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
        licence="MIT",
        derivation="resnet20 with gates of reduction 16 and biases in every block. The published "
        "MACs count more than products.",
    ),
    ModelSpec(
        name="shufflenet_v2",
        family="shufflenet_v2",
        arguments={"channels": (116, 232, 464), "tail": 1024},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=2_278_604,
        parameters_total=2_294_784,
        macs=144_907_992,
        published_macs=146e6,
        preprocessing=TORCH,
        published=(Published("ImageNet", 69.36, source="weights of torchvision"),),
        paper="Ma et al. 2018, https://arxiv.org/abs/1807.11164",
        licence="BSD-3-Clause",
        derivation="Figure 3 and table 5 of the paper at width 1.0; no activation after a "
        "depthwise convolution. Other counts, 149.7 M say, have more than products in them.",
    ),
    ModelSpec(
        name="efficientnet_lite0",
        family="efficientnet_lite",
        arguments={},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=4_652_008,
        parameters_total=4_694_024,
        macs=385_187_552,
        published_macs=407e6,
        preprocessing=_LITE,
        published=(
            Published("ImageNet", 75.1, source="authors' repository, float32"),
            Published("ImageNet", 74.4, source="authors' repository, int8"),
        ),
        paper="Tan & Le 2019, https://arxiv.org/abs/1905.11946; Lite: "
        "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
        licence="Apache-2.0",
        derivation="EfficientNet-B0 without squeeze and excitation, with ReLU6; stem and head do "
        "not scale with the width. EfficientNet's stochastic depth, which acts in training only, "
        "is left out. The published 407 M MACs are not counted by our rule.",
    ),
)
