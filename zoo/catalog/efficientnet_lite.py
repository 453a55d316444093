"""EfficientNet-Lite0."""

from __future__ import annotations

from zoo.schema.model import ModelSpec, Preprocessing, Published

# EfficientNet-Lite's preprocessing, approximately [-1, 1].
_LITE = Preprocessing(channels="RGB", mean=(127.0,) * 3, std=(128.0,) * 3)

ROWS: tuple[ModelSpec, ...] = (
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
        license="Apache-2.0",
        derivation="EfficientNet-B0 without squeeze-and-excitation and with ReLU6; the width does "
        "not scale stem and head. EfficientNet's stochastic depth, which is only active during "
        "training, is omitted. The published 407 M MACs are counted by a different rule than ours.",
    ),
)
