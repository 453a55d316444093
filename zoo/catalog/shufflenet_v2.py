"""ShuffleNet V2."""

from __future__ import annotations

from zoo.catalog.preprocessing import TORCH
from zoo.schema.model import ModelSpec, Published

ROWS: tuple[ModelSpec, ...] = (
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
        license="BSD-3-Clause",
        derivation="Figure 3 and table 5 of the paper at width 1.0; no activation after depthwise "
        "convolutions. Other published MACs, for example 149.7 M, include operations other than "
        "multiplications.",
    ),
)
