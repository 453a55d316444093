"""MobileNetV2 for CIFAR and its channel-wise squeeze-and-excitation variants."""

from __future__ import annotations

from zoo.catalog.preprocessing import CIFAR10, TORCH
from zoo.schema.model import ModelSpec, Published

_PAPER = (
    "Park & Kim, MobileNetV2 with channel-wise squeeze and excitation (no address known to us); "
    "MobileNetV2: Sandler et al. 2018, https://arxiv.org/abs/1801.04381"
)
_BLOCK = (
    "The repeats and expansions in the paper's table 1 contradict its parameter counts; the "
    "structure here follows the counts. "
)
_FIXED_SIZE = "The dense layers of the gates fix the input size when the network is built. "

ROWS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="mobilenet_v2_cifar",
        family="mobilenet_v2_cse",
        arguments={"layout": "mobilenet_v2"},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=2_255_258,
        parameters_total=2_289_898,
        macs=202_571_264,
        preprocessing=CIFAR10,
        published=(
            Published("CIFAR-10", 91.74, source="paper, baseline", epochs=200),
            Published("CIFAR-100", 70.4, source="paper, baseline", epochs=200),
            Published("Imagenette", 91.56, source="paper, baseline", epochs=200),
        ),
        paper=_PAPER,
        license="none stated",
        derivation=_BLOCK
        + "Inverted bottlenecks in all seven rows with the strides of table 1. Every block with "
        "stride 1 adds its input, through a 1×1 convolution if the widths differ.",
        not_reproducible="The paper states 2.253 M parameters, 0.1 % fewer.",
    ),
    ModelSpec(
        name="mobilenet_v2_optimized_cifar",
        family="mobilenet_v2_cse",
        arguments={"layout": "optimized"},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=427_324,
        parameters_total=441_292,
        macs=39_407_104,
        preprocessing=CIFAR10,
        published=(
            Published("CIFAR-10", 90.01, source="paper, optimized MobileNetV2", epochs=200),
            Published("CIFAR-100", 63.74, source="paper, optimized MobileNetV2", epochs=200),
        ),
        paper=_PAPER,
        license="none stated",
        derivation="The layout is ours: MobileNetV2's rows and strides, no expansion in the last "
        "four rows, a depthwise tail. It has 427,324 parameters with 10 classes and 542,614 with "
        "100; the paper states 0.425 M and 0.541 M.",
        not_reproducible="The paper does not specify the network; many layouts match its counts.",
    ),
    ModelSpec(
        name="mobilenet_v2_cse_mix",
        family="mobilenet_v2_cse",
        arguments={"layout": "cse_mix", "reading": "B"},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=363_026,
        parameters_total=375_970,
        macs=76_224_032,
        preprocessing=CIFAR10,
        published=(
            Published("CIFAR-10", 90.03, source="paper, 0.363 M parameters", epochs=200),
            Published("CIFAR-100", 63.34, source="paper, 0.478 M parameters", epochs=200),
        ),
        paper=_PAPER,
        license="none stated",
        derivation=_BLOCK
        + "As labeled in the paper: gates of at most 16 values after the stride. In blocks with "
        "stride 2 the learned 2×2 convolution precedes the gate, and the shortcut is averaged over "
        "2×2 pixels, our choice, which adds no parameters. " + _FIXED_SIZE.strip(),
    ),
    ModelSpec(
        name="mobilenet_v2_cse_mix_a",
        family="mobilenet_v2_cse",
        arguments={"layout": "cse_mix", "reading": "A"},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=362_994,
        parameters_total=375_938,
        macs=81_434_112,
        published_macs=81.4e6,
        preprocessing=CIFAR10,
        published=(
            Published("CIFAR-10", 90.03, source="paper, 0.363 M parameters", epochs=200),
            Published("CIFAR-100", 63.34, source="paper, 0.478 M parameters", epochs=200),
        ),
        paper=_PAPER,
        license="none stated",
        derivation=_BLOCK
        + "As in the authors' code: gates of at most 8 values before the stride, which is a "
        "learned 2×2 depthwise convolution at the end of the block. " + _FIXED_SIZE.strip(),
    ),
    ModelSpec(
        name="mobilenet_v2_cse_mix_imagenette",
        family="mobilenet_v2_cse",
        arguments={"layout": "cse_mix", "reading": "A"},
        input_shape=(224, 224, 3),
        classes=10,
        parameters=444_210,
        parameters_total=457_090,
        macs=434_800_384,
        preprocessing=TORCH,
        published=(Published("Imagenette", 91.31, source="paper, 0.444 M parameters", epochs=200),),
        paper=_PAPER,
        license="none stated",
        derivation=_BLOCK
        + "Like mobilenet_v2_cse_mix_a, with strides that reproduce the paper's count at 224 "
        "pixels: 2 in the stem, (1, 1, 2) in the bottleneck rows, (2, 2, 1, 1) in the CSE rows. "
        "The paper does not specify the preprocessing; ImageNet's statistics are used. "
        + _FIXED_SIZE.strip(),
    ),
    ModelSpec(
        name="mobilenet_v2_cse_only",
        family="mobilenet_v2_cse",
        arguments={"layout": "cse_only", "reading": "A"},
        input_shape=(32, 32, 3),
        classes=10,
        parameters=227_826,
        parameters_total=234_722,
        macs=11_999_264,
        preprocessing=CIFAR10,
        published=(
            Published("CIFAR-10", 88.13, source="paper, CSE only, 0.228 M parameters", epochs=200),
        ),
        paper=_PAPER,
        license="none stated",
        derivation="The layout is ours: one CSE block with a gate of at most 8 values for each of "
        "MobileNetV2's seven rows, strides (1, 2, 1, 1, 2, 2, 1). " + _FIXED_SIZE.strip(),
        not_reproducible="The paper does not specify the network; many layouts match its count.",
    ),
    ModelSpec(
        name="mobilenet_v2_cse_only_imagenette",
        family="mobilenet_v2_cse",
        arguments={"layout": "cse_only", "reading": "A"},
        input_shape=(224, 224, 3),
        classes=10,
        parameters=452_440,
        parameters_total=459_336,
        macs=37_392_486,
        preprocessing=TORCH,
        published=(
            Published(
                "Imagenette", 85.55, source="paper, CSE only, 0.453 M parameters", epochs=200
            ),
        ),
        paper=_PAPER,
        license="none stated",
        derivation="The layout is ours: the blocks of mobilenet_v2_cse_only, with stride 2 also in "
        "the stem and in the first and third row. The paper does not specify the preprocessing; "
        "ImageNet's statistics are used. " + _FIXED_SIZE.strip(),
        not_reproducible="The paper does not specify the network; many layouts match its count.",
    ),
)
