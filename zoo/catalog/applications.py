"""MobileNet V1 to V3 and ResNet-50, as built by tf_keras.applications."""

from __future__ import annotations

from zoo.catalog.preprocessing import KERAS_BGR, UNIT
from zoo.schema.model import ModelSpec, Published

_V1 = "Howard et al. 2017, https://arxiv.org/abs/1704.04861"
_V2 = "Sandler et al. 2018, https://arxiv.org/abs/1801.04381"
_V3 = "Howard et al. 2019, https://arxiv.org/abs/1905.02244"
_RESNET = "He et al. 2016, https://arxiv.org/abs/1512.03385"
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
        license="Apache-2.0",
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
        license="Apache-2.0",
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
        license="Apache-2.0",
        derivation=_KERAS + "Pixels are scaled by the preprocessing instead of the "
        "network, and the operators x + 3 and x / 6 are layers.",
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
        license="Apache-2.0",
        derivation=_KERAS + "Pixels are scaled by the preprocessing instead of the "
        "network, and the operators x + 3 and x / 6 are layers.",
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
        license="Apache-2.0",
        derivation="Rebuilt layer by layer from tf_keras.applications, with equal outputs for "
        "equal weights. Its convolutions have biases despite the batch norm. The original has no "
        "width; here it scales all channels.",
    ),
)
