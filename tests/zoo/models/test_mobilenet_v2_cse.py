"""MobileNetV2 with channel-wise squeeze and excitation: counts, gates, strides, input sizes."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.support.select import some
from zoo import catalog
from zoo.errors import ZooError
from zoo.models import mobilenet_v2_cse
from zoo.models.mobilenet_v2_cse import build
from zoo.schema.run import ModelConfig

CIFAR = (32, 32, 3)
IMAGENETTE = (224, 224, 3)
# Each takes seconds to build. `test_counts` counts the parameters and the MACs of more.
BUILT = ("mobilenet_v2_cifar", "mobilenet_v2_cse_mix", "mobilenet_v2_cse_only")
ROWS = [name for name, spec in catalog.MODELS.items() if spec.family == "mobilenet_v2_cse"]


@functools.cache
def made(name):
    spec = catalog.model_spec(name)
    return catalog.build(ModelConfig(model=name, input_shape=spec.input_shape, classes=10))


def of_built(cases):
    """Marks the cases of other networks as slow."""
    return some(cases, *(case for case in cases if case[0] in BUILT))


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("name", "gate_at", "squeezed"),
    some(
        [
            # Reading A sees the maps before the stride, at most 8 values; B after it, at most 16.
            ("mobilenet_v2_cse_mix_a", [32, 16, 16, 16, 16, 8, 8, 8, 8, 8, 8], [8] * 5 + [4] * 6),
            (
                "mobilenet_v2_cse_mix",
                [16, 16, 16, 16, 8, 8, 8, 8, 8, 8, 4],
                [16] * 4 + [4] * 6 + [1],
            ),
            (
                "mobilenet_v2_cse_mix_imagenette",
                [56, 28, 28, 28, 28, 14, 14, 14, 14, 14, 14],
                [8] * 11,
            ),
        ],
        ("mobilenet_v2_cse_mix", [16, 16, 16, 16, 8, 8, 8, 8, 8, 8, 4], [16] * 4 + [4] * 6 + [1]),
    ),
)
def test_parameters_of_each_block(name, gate_at, squeezed):
    """cin·c + 13c + 2 + 2·HW·m + [cin ≠ c](cin·c + 2c) + [s = 2]·4c, block by block."""
    model = made(name)
    blocks = [(4, n + 1) for n in range(4)] + [(5, n + 1) for n in range(3)]
    blocks += [(6, n + 1) for n in range(3)] + [(7, 1)]
    channels = {4: 64, 5: 96, 6: 160, 7: 320}
    before = 32
    for (stage, number), size, m in zip(blocks, gate_at, squeezed, strict=True):
        prefix = f"stage{stage}_block{number}_"
        c = channels[stage]
        expected = before * c + 13 * c + 2 + 2 * size * size * m
        expected += (before * c + 2 * c) if before != c else 0
        if f"{prefix}halve" in {layer.name for layer in model.layers}:
            expected += 4 * c
        assert model.get_layer(f"{prefix}gate_map").output_shape == (None, size, size, 1)
        assert model.get_layer(f"{prefix}gate_squeeze").units == m
        got = sum(
            int(np.prod(weight.shape))
            for layer in model.layers
            if layer.name.startswith(prefix)
            for weight in layer.trainable_weights
        )
        assert got == expected, prefix
        before = c


@pytest.mark.parametrize(
    ("name", "sizes"),
    of_built(
        [
            # Maps after the stem and after each of the seven rows.
            ("mobilenet_v2_cifar", [32, 32, 32, 32, 16, 8, 8, 4]),
            ("mobilenet_v2_cse_mix", [32, 32, 32, 32, 16, 8, 8, 4]),
            ("mobilenet_v2_cse_mix_a", [32, 32, 32, 32, 16, 8, 8, 4]),
            ("mobilenet_v2_cse_mix_imagenette", [112, 112, 112, 56, 28, 14, 14, 14]),
            ("mobilenet_v2_optimized_cifar", [32, 32, 32, 16, 8, 8, 4, 4]),
            ("mobilenet_v2_cse_only", [32, 32, 16, 16, 16, 8, 4, 4]),
            ("mobilenet_v2_cse_only_imagenette", [112, 56, 28, 14, 14, 7, 4, 4]),
        ]
    ),
)
def test_feature_map_sizes(name, sizes):
    model = made(name)
    last: dict[str, int] = {}
    for layer in model.layers:
        row = layer.name.split("_")[0]
        if row == "stem" or row.startswith("stage"):
            shape = layer.output_shape
            if len(shape) == 4 and shape[-1] != 1:
                last[row] = shape[1]
    assert list(last.values()) == sizes


def test_gate_against_numpy():
    model = build(layout="cse_mix", reading="B", input_shape=(32, 24, 3), classes=3, width=0.25)
    block = "stage5_block2"
    inside = tf_keras.Model(
        model.input,
        [model.get_layer(f"{block}_{part}").output for part in ("depthwise_prelu", "gate")],
    )
    image = np.random.default_rng(2).standard_normal((2, 32, 24, 3)).astype(np.float32)
    maps, gated = (output.numpy() for output in inside(image))
    assert maps.shape == (2, 8, 6, 24)
    squeeze, excite = (
        model.get_layer(f"{block}_gate_{part}").get_weights() for part in ("squeeze", "excite")
    )
    assert [weight.shape for weight in (*squeeze, *excite)] == [(48, 3), (3, 48)]  # no biases
    wanted = np.empty_like(maps)
    for picture in range(2):
        pixels = np.array(
            [[maps[picture, y, x].sum() / 24 for x in range(6)] for y in range(8)]
        ).reshape(48)
        hidden = np.maximum(pixels @ squeeze[0], 0)
        factor = (1 / (1 + np.exp(-(hidden @ excite[0])))).reshape(8, 6)
        for channel in range(24):
            wanted[picture, :, :, channel] = maps[picture, :, :, channel] * factor
    np.testing.assert_allclose(gated, wanted, rtol=1e-4, atol=1e-6)
    # The gate is no constant: it would pass the above with dead weights.
    assert np.ptp(gated / np.where(maps == 0, 1, maps)) > 1e-3


def test_activations():
    cse = made("mobilenet_v2_cse_mix")
    prelus = [layer for layer in cse.layers if isinstance(layer, tf_keras.layers.PReLU)]
    assert len(prelus) == 2 + 2 * 11
    assert {layer.count_params() for layer in prelus} == {1}
    assert not any(
        isinstance(layer, tf_keras.layers.PReLU) for layer in made("mobilenet_v2_cifar").layers
    )


HALVING = [
    ("mobilenet_v2_cse_only", "stage2_block1", 24),
    ("mobilenet_v2_cse_mix_a", "stage4_block1", 64),
]


@pytest.mark.parametrize(("name", "block", "channels"), some(HALVING, HALVING[0]))
def test_halving_starts_as_an_average(name, block, channels):
    model = made(name)
    inside = tf_keras.Model(
        model.input, [model.get_layer(f"{block}_{part}").output for part in ("add", "halve")]
    )
    image = np.random.default_rng(3).standard_normal((1, *CIFAR)).astype(np.float32)
    before, after = (output.numpy() for output in inside(image))
    averages = before.reshape(1, 16, 2, 16, 2, channels).mean(axis=(2, 4))
    np.testing.assert_allclose(after, averages, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", some(mobilenet_v2_cse._LAYOUTS, "cse_only"))
@pytest.mark.parametrize("input_shape", [(16, 40, 3), (100, 131, 1)])
def test_other_sizes(layout, input_shape):
    model = build(layout=layout, input_shape=input_shape, classes=7, width=0.5)
    assert model.output_shape == (None, 7)
    out = model(np.ones((2, *input_shape), np.float32), training=False)
    assert out.dtype == tf.float32
    assert np.isfinite(out).all()


@pytest.mark.parametrize(
    ("layout", "whole"),
    some([("cse_only", 227_826), ("cse_mix", 362_994)], ("cse_only", 227_826)),
)
def test_width_scales_every_channel(layout, whole):
    half = build(layout=layout, input_shape=CIFAR, classes=10, width=0.5)
    assert half.get_layer("stem_conv").filters == 16
    assert half.get_layer("stage7_block1_conv").filters == 160
    assert half.get_layer("tail_depthwise").output_shape[-1] == 640
    assert trainable(half) < 0.5 * whole


@pytest.mark.parametrize("layout", some(["mobilenet_v2", "cse_only"], "cse_only"))
def test_without_top(layout):
    model = build(layout=layout, input_shape=CIFAR, classes=10, include_top=False)
    assert model.output_shape == (None, 4, 4, 1280)
    assert model.layers[-1].name in ("tail_relu6", "tail_prelu")


def test_dropout():
    with_dropout = build(layout="cse_only", input_shape=CIFAR, classes=10, dropout=0.3)
    assert with_dropout.get_layer("dropout").rate == 0.3
    names = {layer.name for layer in made("mobilenet_v2_cse_only").layers}
    assert "dropout" not in names


def test_too_small():
    with pytest.raises(ZooError, match="16×16"):
        build(layout="cse_mix", input_shape=(15, 32, 3), classes=10)


@pytest.mark.parametrize("name", some(ROWS, *BUILT))
def test_reading_b_uses_no_strided_pointwise_convolution(name):
    """Some delegates get quantized 1×1 convolutions with stride 2 wrong."""
    for layer in made(name).layers:
        if isinstance(layer, tf_keras.layers.Conv2D) and layer.kernel_size == (1, 1):
            assert layer.strides == (1, 1), layer.name


@pytest.mark.parametrize("policy", some(["mixed_float16", "mixed_bfloat16"], "mixed_float16"))
def test_trains_everywhere_in_mixed_precision(policy):
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        model = build(
            layout="cse_only", input_shape=(16, 16, 1), classes=4, width=0.25, reading="B"
        )
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
    assert model.get_layer("stage1_block1_gate").compute_dtype == policy.removeprefix("mixed_")
    image = np.random.default_rng(4).standard_normal((4, 16, 16, 1)).astype(np.float32)
    with tf.GradientTape() as tape:
        logits = model(image, training=True)
        loss = tf.reduce_sum(logits**2)
    assert logits.dtype == tf.float32
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.name
        assert np.isfinite(gradient).all(), variable.name
