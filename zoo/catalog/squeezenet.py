"""SqueezeNet and its baseline, AlexNet."""

from __future__ import annotations

from zoo.catalog.preprocessing import CAFFE_BGR
from zoo.specs import ModelSpec, Published

_PAPER = "Iandola et al. 2016, https://arxiv.org/abs/1602.07360"

ROWS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="squeezenet_v1_0",
        family="squeezenet",
        arguments={"version": "1.0"},
        input_shape=(227, 227, 3),
        classes=1000,
        parameters=1_248_424,
        parameters_total=1_248_424,
        macs=0,
        published_macs=818.9e6,
        preprocessing=CAFFE_BGR,
        published=(Published("ImageNet", 57.5, 80.3, "paper, table 3"),),
        paper=_PAPER,
        licence="BSD-2-Clause",
        derivation="",
        batch_norm_optional=True,
    ),
    ModelSpec(
        name="squeezenet_v1_1",
        family="squeezenet",
        arguments={"version": "1.1"},
        input_shape=(227, 227, 3),
        classes=1000,
        parameters=1_235_496,
        parameters_total=1_235_496,
        macs=0,
        published_macs=349.2e6,
        preprocessing=CAFFE_BGR,
        published=(),
        paper=_PAPER,
        licence="BSD-2-Clause",
        derivation="",
        batch_norm_optional=True,
    ),
)
