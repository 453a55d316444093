"""AlexNet, the baseline of SqueezeNet."""

from __future__ import annotations

from zoo.catalog.preprocessing import CAFFE_BGR
from zoo.schema.model import ModelSpec, Published

ROWS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="alexnet",
        family="alexnet",
        arguments={},
        input_shape=(227, 227, 3),
        classes=1000,
        parameters=60_965_224,
        parameters_total=60_965_224,
        macs=724_406_816,
        published_macs=724e6,
        preprocessing=CAFFE_BGR,
        published=(
            Published("ImageNet", 57.2, 80.3, "SqueezeNet's paper, table 2"),
            Published("ImageNet", 57.1, 80.2, "Caffe's bvlc_alexnet, center crop"),
        ),
        paper="Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural "
        "networks, https://papers.nips.cc/paper/4824",
        license="BSD-2-Clause; Caffe's weights: unrestricted",
        derivation=(
            "Caffe's models/bvlc_alexnet, with two groups in conv2, conv4 and conv5: 243.9 MB in "
            "float32, the baseline that SqueezeNet's paper gives as 240 MB. Unlike the 2012 paper, "
            "Caffe's local response normalization has k = 1 and divides alpha by the window size. "
            "The published MACs are those of Sze et al. 2020, Efficient Processing of Deep Neural "
            "Networks. Caffe subtracts a mean image; this row has its mean color."
        ),
        not_reproducible=(
            "Sizes of compressed AlexNets as quoted in SqueezeNet's paper: SVD 48 MB, pruning "
            "27 MB, Deep Compression 6.9 MB."
        ),
        batch_norm_optional=True,
    ),
)
