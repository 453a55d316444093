"""Networks with learned shifts, active and sparse."""

from __future__ import annotations

from zoo.catalog.preprocessing import CIFAR10
from zoo.schema.model import ModelSpec, Preprocessing, Published

_ACTIVE = "Jeon & Kim 2018, https://arxiv.org/abs/1806.07370"
_SPARSE = "Chen et al. 2019, https://arxiv.org/abs/1903.05285"
_ACTIVE_CODE = "authors' repository, https://github.com/jyh2986/Active-Shift"
# The authors' deployed networks: BGR, mean subtracted, multiplied by 0.017352.
_AS_BGR = Preprocessing(channels="BGR", mean=(103.94, 116.78, 123.68), std=(1 / 0.017352,) * 3)
_ASNET = (
    "The authors' public training definition. They normalize the contrast of each image, which a "
    "mean and a standard deviation can't express; the statistics of the training set are used "
    "instead. Shifts are limited to 8 pixels; the paper has no limit."
)
_AS_RESNET = (
    "The authors' public deployed network, with batch norm instead of the merged scales. Shifts "
    "are limited to 8 pixels; the paper has no limit."
)
_SSL = (
    "with sparse shifts instead of its shifts, which have two trainable parameters per shifted "
    "channel. The non-trainable parameters are a copy of them, taken when they are frozen, and one "
    "flag per layer. They are initialized like active shifts, uniformly within one pixel."
)

ROWS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="asnet16_e1",
        family="active_shift",
        arguments={"network": "asnet", "base": 16, "expansion": 1},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=35_386,
        parameters_total=36_762,
        macs=5_948_032,
        preprocessing=CIFAR10,
        published=(
            Published("CIFAR-10", 89.14, source="paper", epochs=164),
            Published("CIFAR-100", 63.43, source="paper", epochs=164),
        ),
        paper=_ACTIVE,
        license="none stated",
        derivation=_ASNET,
    ),
    ModelSpec(
        name="asnet16_e3",
        family="active_shift",
        arguments={"network": "asnet", "base": 16, "expansion": 3},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=97_466,
        parameters_total=100_186,
        macs=16_433_792,
        preprocessing=CIFAR10,
        published=(
            Published("CIFAR-10", 91.62, source="paper", epochs=164),
            Published("CIFAR-100", 68.83, source="paper", epochs=164),
        ),
        paper=_ACTIVE,
        license="none stated",
        derivation=_ASNET,
    ),
    ModelSpec(
        name="asnet16_e6",
        family="active_shift",
        arguments={"network": "asnet", "base": 16, "expansion": 6},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=190_586,
        parameters_total=195_322,
        macs=32_162_432,
        preprocessing=CIFAR10,
        published=(
            Published("CIFAR-10", 92.54, source="paper", epochs=164),
            Published("CIFAR-100", 70.68, source="paper", epochs=164),
        ),
        paper=_ACTIVE,
        license="none stated",
        derivation=_ASNET,
    ),
    ModelSpec(
        name="asnet16_e9",
        family="active_shift",
        arguments={"network": "asnet", "base": 16, "expansion": 9},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=283_706,
        parameters_total=290_458,
        macs=47_891_072,
        preprocessing=CIFAR10,
        published=(
            Published("CIFAR-10", 92.93, source="paper", epochs=164),
            Published("CIFAR-100", 71.83, source="paper", epochs=164),
        ),
        paper=_ACTIVE,
        license="none stated",
        derivation=_ASNET,
    ),
    ModelSpec(
        name="as_resnet_w32",
        family="active_shift",
        arguments={"network": "as_resnet", "base": 32},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=901_256,
        parameters_total=909_000,
        macs=166_840_320,
        preprocessing=_AS_BGR,
        published=(Published("ImageNet", 64.1, 85.4, source=_ACTIVE_CODE),),
        paper=_ACTIVE,
        license="none stated",
        derivation=_AS_RESNET,
    ),
    ModelSpec(
        name="as_resnet_w50",
        family="active_shift",
        arguments={"network": "as_resnet", "base": 50},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=1_962_950,
        parameters_total=1_975_050,
        macs=397_574_400,
        preprocessing=_AS_BGR,
        published=(Published("ImageNet", 69.9, 89.3, source=_ACTIVE_CODE),),
        paper=_ACTIVE,
        license="none stated",
        derivation=_AS_RESNET,
    ),
    ModelSpec(
        name="as_resnet_w68",
        family="active_shift",
        arguments={"network": "as_resnet", "base": 68},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=3_424_460,
        parameters_total=3_440_916,
        macs=726_866_688,
        preprocessing=_AS_BGR,
        published=(Published("ImageNet", 72.2, 90.7, source=_ACTIVE_CODE),),
        paper=_ACTIVE,
        license="none stated",
        derivation=_AS_RESNET,
    ),
    ModelSpec(
        name="ssl_as_resnet_w32",
        family="active_shift",
        arguments={"network": "as_resnet", "base": 32, "shift": "sparse"},
        input_shape=(224, 224, 3),
        classes=1000,
        parameters=901_256,
        parameters_total=912_857,
        macs=166_840_320,
        preprocessing=_AS_BGR,
        published=(),
        paper=_SPARSE,
        license="Apache-2.0",
        derivation="AS-ResNet-w32 " + _SSL,
        not_reproducible="We know of no published accuracy of this network.",
    ),
)
