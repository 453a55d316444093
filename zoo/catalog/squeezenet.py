"""SqueezeNet 1.0 and 1.1, and the variants with bypasses."""

from __future__ import annotations

from zoo.catalog.preprocessing import CAFFE_BGR
from zoo.schema.model import ModelSpec, Published

_PAPER = "Iandola et al. 2016, https://arxiv.org/abs/1602.07360"
# SqueezeNet's point in the paper's design space, section 5.1; see `Metaparameters`.
_POINT = {"base_e": 128, "incr_e": 128, "freq": 2, "squeeze_ratio": 0.125, "pct3x3": 0.5}
_V1_0 = (
    "Table 1 of the paper, with the pools and the classifier of the authors' prototxt: after "
    "conv10 the text has a max-pool, the file a global average pool. The file also pads the input "
    "of conv10 by one pixel to 15×15; we keep the 13×13 of the table."
)

ROWS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="squeezenet_v1_0",
        family="squeezenet",
        arguments={"version": "1.0", **_POINT, "bypass": "none"},
        input_shape=(227, 227, 3),
        classes=1000,
        parameters=1_248_424,
        parameters_total=1_248_424,
        macs=832_667_936,
        published_macs=818.9e6,
        published_macs_size=224,
        preprocessing=CAFFE_BGR,
        published=(Published("ImageNet", 57.5, 80.3, "paper, table 3"),),
        paper=_PAPER,
        license="BSD-2-Clause",
        derivation=(
            f"{_V1_0} With the padding we count 861.3 M MACs at 227×227, which are the 1.72 GFLOPS "
            "of their README; 818.9 M is the usual figure for 224×224."
        ),
        batch_norm_optional=True,
    ),
    ModelSpec(
        name="squeezenet_v1_1",
        family="squeezenet",
        arguments={"version": "1.1", **_POINT, "bypass": "none"},
        input_shape=(227, 227, 3),
        classes=1000,
        parameters=1_235_496,
        parameters_total=1_235_496,
        macs=387_747_520,
        published_macs=349.2e6,
        published_macs_size=224,
        preprocessing=CAFFE_BGR,
        published=(),
        paper=_PAPER,
        license="BSD-2-Clause",
        derivation=(
            "The prototxt of the authors' repository (SqueezeNet_v1.1), not in the paper: a "
            "smaller conv1 and earlier pools than 1.0. Its README claims at least the 80.3 % top-5 "
            "accuracy of 1.0 with 2.4 times less computation."
        ),
        not_reproducible=(
            "The README's 0.72 GFLOPS per image, 360 M MACs: it states no input size, and we count "
            "349.2 M at 224×224, the usual figure, and 387.7 M at 227×227."
        ),
        batch_norm_optional=True,
    ),
    ModelSpec(
        name="squeezenet_v1_0_simple_bypass",
        family="squeezenet",
        arguments={"version": "1.0", **_POINT, "bypass": "simple"},
        input_shape=(227, 227, 3),
        classes=1000,
        parameters=1_248_424,
        parameters_total=1_248_424,
        macs=832_667_936,
        preprocessing=CAFFE_BGR,
        published=(Published("ImageNet", 60.4, 82.5, "paper, table 3"),),
        paper=_PAPER,
        license="BSD-2-Clause",
        derivation=(
            "Section 6 of the paper and the prototxt of github.com/songhan/SqueezeNet-Residual: "
            "additions around fire3, 5, 7 and 9, of the pooled feature maps for 5 and 9, without "
            f"ReLU. {_V1_0}"
        ),
        batch_norm_optional=True,
    ),
    ModelSpec(
        name="squeezenet_v1_0_complex_bypass",
        family="squeezenet",
        arguments={"version": "1.0", **_POINT, "bypass": "complex"},
        input_shape=(227, 227, 3),
        classes=1000,
        parameters=1_589_672,
        parameters_total=1_589_672,
        macs=1_183_953_184,
        preprocessing=CAFFE_BGR,
        published=(Published("ImageNet", 58.8, 82.0, "paper, table 3"),),
        paper=_PAPER,
        license="BSD-2-Clause",
        derivation=(
            "Section 6 of the paper: the simple bypass, and 1×1 convolutions around fire2, 4, 6 "
            "and 8. The paper does not specify their biases and activation: here they have biases "
            f"like every other convolution, and no ReLU, like the additions. {_V1_0}"
        ),
        not_reproducible=(
            "The paper's 7.7 MB: with four 1×1 convolutions it has 1,589,672 parameters, 6.36 MB."
        ),
        batch_norm_optional=True,
    ),
)
