"""SqueezeNet: the paper's tables and sweeps, its bypasses, Caffe's pools and CIFAR's input."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.support.select import some
from zoo import catalog
from zoo.catalog import squeezenet as rows
from zoo.errors import UnknownNameError, ZooError
from zoo.models import common, squeezenet
from zoo.models.squeezenet import Fire, Metaparameters
from zoo.schema.run import ModelConfig

SQUEEZENET = Metaparameters(128, 128, 2, 0.125, 0.5)
NAMES = [spec.name for spec in rows.ROWS if spec.family == "squeezenet"]
# The layer whose maps each bypass takes: around the fires behind a pool, the pooled ones.
SIMPLE = {"fire3": "fire2_concat", "fire5": "pool4", "fire7": "fire6_concat", "fire9": "pool8"}
COMPLEX = {
    "fire2": "pool1",
    "fire3": "fire2_add",
    "fire4": "fire3_add",
    "fire5": "pool4",
    "fire6": "fire5_add",
    "fire7": "fire6_add",
    "fire8": "fire7_add",
    "fire9": "pool8",
}


def build(name="squeezenet_v1_0", shape=(32, 32, 3), classes=10, include_top=True, **options):
    config = ModelConfig(model=name, input_shape=shape, classes=classes, **options)
    return catalog.build(config, include_top=include_top)


def point(metaparameters=SQUEEZENET, **changes):
    """A network of the design space, by the builder itself."""
    arguments = {
        "version": "1.0",
        "bypass": "none",
        "input_shape": (32, 32, 3),
        "classes": 1000,
        **dataclasses.asdict(metaparameters),
        **changes,
    }
    return squeezenet.build(**arguments)


def image(shape, count=1):
    return np.random.default_rng(1).standard_normal((count, *shape)).astype(np.float32)


def test_v1_0_layers():
    # Parameters a layer and feature-map sizes of the authors' network at 227×227.
    model = build(shape=(227, 227, 3), classes=1000)
    counts = {"conv1": 0, **{f"fire{n}": 0 for n in range(2, 10)}, "conv10": 0}
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.Conv2D):
            counts[layer.name.split("_")[0]] += layer.count_params()
    assert list(counts.values()) == [
        14_208, 11_920, 12_432, 45_344, 49_440, 104_880, 111_024, 188_992, 197_184, 513_000,
    ]  # fmt: skip
    sizes = [model.get_layer(name).output_shape[1] for name in ("conv1", "pool1", "pool4", "pool8")]
    assert sizes == [111, 55, 27, 13]
    assert [layer.rate for layer in model.layers if layer.name == "drop9"] == [0.5]


@pytest.mark.parametrize(
    ("name", "batch_norm"),
    some(
        itertools.product(("squeezenet_v1_0", "squeezenet_v1_1"), (False, True)),
        ("squeezenet_v1_0", False),
        ("squeezenet_v1_1", True),
    ),
)
def test_weights_keep_their_order_and_names(name, batch_norm):
    # Weight files hold them by layer and in this order: saved runs depend on it.
    fire = ["squeeze1x1", "expand1x1", "expand3x3"]
    hidden = ["conv1", *(f"fire{n}_{part}" for n in range(2, 10) for part in fire)]
    model = build(name, shape=(16, 16, 1), batch_norm=batch_norm)
    found = [weight.name for weight in model.weights]
    if batch_norm:
        # The two expansions stand side by side, and so do their normalizations.
        assert sorted(n for n in found if "_bn/" not in n) == sorted(
            [f"{layer}/kernel:0" for layer in hidden] + ["conv10/kernel:0", "conv10/bias:0"]
        )
        assert [n for n in found if n.endswith("_bn/moving_mean:0")] == [
            f"{layer}_bn/moving_mean:0" for layer in hidden
        ]
    else:
        assert found == [
            f"{layer}/{part}:0" for layer in [*hidden, "conv10"] for part in ("kernel", "bias")
        ]


@pytest.mark.parametrize(
    ("height", "width"),
    some([(32, 32), (97, 97), (112, 113), (113, 224), (227, 227)], (32, 32), (113, 224)),
)
def test_caffe_ceil_mode_pools(height, width):
    model = build("squeezenet_v1_1", shape=(height, width, 3))
    sizes = [
        (model.get_layer(f"pool{n}").output_shape[1:3], model.get_layer(source).output_shape[1:3])
        for n, source in ((3, "fire3_concat"), (5, "fire5_concat"))
    ]
    for after, before in sizes:
        assert after == tuple(-(-(n - 3) // 2) + 1 for n in before)


@pytest.mark.parametrize("shape", [(7, 7), (8, 8), (7, 8), (8, 7), (3, 4)])
def test_caffe_pool_values(shape):
    x = image((*shape, 2)) - 3  # mostly negative, so that a padding with zeros would show
    source = tf_keras.Input((*shape, 2))
    pooled = tf_keras.Model(source, common.caffe_max_pool(source, "pool"))(x).numpy()
    height, width = (-(-(n - 3) // 2) + 1 for n in shape)
    assert pooled.shape == (1, height, width, 2)
    for i in range(height):
        for j in range(width):
            window = x[0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            np.testing.assert_array_equal(pooled[0, i, j], window.max(axis=(0, 1)))


@pytest.mark.parametrize(
    ("squeeze_ratio", "pct3x3", "mebibytes"),
    some(
        [
            (0.125, 0.5, "4.76"),
            (0.25, 0.5, "7.50"),
            (0.5, 0.5, "12.99"),
            (0.75, 0.5, "18.47"),
            (1.0, 0.5, "23.95"),
            (0.5, 0.01, "5.64"),
            (0.5, 0.125, "7.36"),
            (0.5, 0.25, "9.24"),
            (0.5, 0.75, "16.74"),
            (0.5, 0.99, "20.33"),
        ],
        (0.125, 0.5, "4.76"),
        (0.5, 0.99, "20.33"),
    ),
)
def test_published_sweeps(squeeze_ratio, pct3x3, mebibytes):
    # Figure 3 of the paper: float32 sizes over the squeeze ratio and over the share of 3×3.
    model = point(Metaparameters(128, 128, 2, squeeze_ratio, pct3x3))
    assert f"{4 * model.count_params() / 2**20:.2f}" == mebibytes


def test_fires_of_the_paper():
    assert SQUEEZENET.fires() == tuple(
        Fire(*f)
        for f in ((16, 64, 64), (32, 128, 128), (48, 192, 192), (64, 256, 256))
        for _ in range(2)
    )
    uneven = Metaparameters(base_e=100, incr_e=10, freq=3, squeeze_ratio=0.25, pct3x3=0.3)
    assert uneven.fires() == (
        *[Fire(25, 70, 30)] * 3,
        *[Fire(28, 77, 33)] * 3,  # 27.5 squeeze filters
        *[Fire(30, 84, 36)] * 2,
    )


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_points_of_the_design_space(name):
    arguments = catalog.model_spec(name).arguments
    assert json.loads(json.dumps(arguments)) == arguments
    fields = {field.name for field in dataclasses.fields(Metaparameters)}
    assert Metaparameters(**{k: v for k, v in arguments.items() if k in fields}) == SQUEEZENET


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_e", 1),
        ("incr_e", -128),
        ("freq", 0),
        ("squeeze_ratio", 0.0),
        ("squeeze_ratio", -0.125),
        ("squeeze_ratio", 1.01),
        ("squeeze_ratio", float("nan")),
        ("pct3x3", 0.0),
        ("pct3x3", 1.0),
        ("pct3x3", 50.0),  # a percentage
        ("pct3x3", float("nan")),
    ],
)
def test_impossible_metaparameters(field, value):
    with pytest.raises(ZooError, match=f"invalid metaparameter.*where: {field} "):
        dataclasses.replace(SQUEEZENET, **{field: value})


@pytest.mark.parametrize(("field", "value"), [("pct3x3", 0.003), ("squeeze_ratio", 0.003)])
def test_metaparameters_that_leave_no_filters(field, value):
    with pytest.raises(ZooError, match=r"without filters.*raise base_e"):
        dataclasses.replace(SQUEEZENET, **{field: value})


def test_unknown_version_and_bypass():
    with pytest.raises(UnknownNameError, match=r"1\.0, 1\.1"):
        point(version="1.2")
    with pytest.raises(UnknownNameError, match="did you mean simple"):
        point(bypass="simpel")


@pytest.mark.parametrize(
    ("name", "bypasses", "batch_norm"),
    some(
        [
            ("squeezenet_v1_0_simple_bypass", SIMPLE, False),
            ("squeezenet_v1_0_complex_bypass", COMPLEX, False),
            ("squeezenet_v1_0_complex_bypass", COMPLEX, True),
        ],
        ("squeezenet_v1_0_simple_bypass", SIMPLE, False),
        ("squeezenet_v1_0_complex_bypass", COMPLEX, True),
    ),
)
def test_bypasses_carry_the_input_alone_where_the_fire_is_dead(name, bypasses, batch_norm):
    model = build(name, shape=(97, 97, 1), batch_norm=batch_norm)
    added = {n.removesuffix("_add") for n in (x.name for x in model.layers) if n.endswith("_add")}
    assert added == set(bypasses)
    for fire, source in bypasses.items():
        before, after = model.get_layer(source).output, model.get_layer(f"{fire}_add").output
        parts = tf_keras.Model(model.input, [before, after])
        alive = [x.numpy() for x in parts(image((97, 97, 1)))]
        saved = model.get_weights()
        for part in ("squeeze1x1", "expand1x1", "expand3x3"):
            layer = model.get_layer(f"{fire}_{part}")
            layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
        x, y = (x.numpy() for x in parts(image((97, 97, 1))))
        model.set_weights(saved)
        if fire in SIMPLE:
            np.testing.assert_array_equal(y, x)
        else:
            kernel, *_ = model.get_layer(f"{fire}_bypass1x1").get_weights()
            # A fresh batch normalization divides by √(1 + its epsilon).
            expected = x @ kernel[0, 0] / (np.sqrt(1.001) if batch_norm else 1)
            scale = np.abs(x).max() * np.abs(kernel).max()
            np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5 * scale)
            assert y.min() < 0  # no ReLU, neither after the convolution nor after the sum
        assert np.abs(alive[1] - y).max() > 1e-6  # the living fire does add something


def test_complex_bypass_adds_four_convolutions_with_bias():
    model = build("squeezenet_v1_0_complex_bypass", classes=1000)
    counts = [x.count_params() for x in model.layers if x.name.endswith("_bypass1x1")]
    assert counts == [12_416, 33_024, 98_688, 197_120]


def test_other_points_are_bypassed_where_channels_agree():
    model = point(Metaparameters(128, 64, 4, 0.125, 0.25), bypass="simple")
    names = {x.name for x in model.layers if x.name.endswith("_add")}
    assert names == {f"fire{n}_add" for n in (3, 4, 5, 7, 8, 9)}


@pytest.mark.parametrize(
    ("name", "batch_norm"),
    some(
        [
            ("squeezenet_v1_1", False),
            ("squeezenet_v1_1", True),
            ("squeezenet_v1_0_complex_bypass", True),
        ],
        ("squeezenet_v1_0_complex_bypass", True),
    ),
)
def test_small_input_trains_everywhere(name, batch_norm):
    model = build(name, shape=(32, 32, 1), batch_norm=batch_norm)
    assert model.get_layer("fire9_concat").output_shape[1:3] == (4, 4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(image((32, 32, 1), 4), training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.name


@pytest.mark.parametrize(
    ("name", "shape", "width"),
    some(
        [
            ("squeezenet_v1_0", (16, 16, 1), 0.25),
            ("squeezenet_v1_1", (33, 70, 3), 0.25),
            ("squeezenet_v1_1", (96, 96, 1), 0.1),
            ("squeezenet_v1_0_simple_bypass", (100, 131, 3), 0.1),
            ("squeezenet_v1_0_complex_bypass", (16, 40, 3), 1.3),
        ],
        ("squeezenet_v1_0", (16, 16, 1), 0.25),
        ("squeezenet_v1_0_complex_bypass", (16, 40, 3), 1.3),
    ),
)
def test_inputs_and_widths(name, shape, width):
    model = build(name, shape=shape, width=width)
    assert model.output_shape == (None, 10)
    maps = build(name, shape=shape, width=width, include_top=False)
    last = maps.get_layer("fire9_add" if "bypass" in name else "fire9_concat")
    assert maps.output_shape == last.output_shape
    assert not {"drop9", "conv10", "pool10"} & {x.name for x in maps.layers}
    # The same weights up to there, by name.
    shared = {w.name: w.shape for w in model.weights if not w.name.startswith("conv10")}
    assert {w.name: w.shape for w in maps.weights} == shared
    if width == 0.25:
        squeeze = [model.get_layer(f"fire{n}_squeeze1x1").filters for n in range(2, 10)]
        assert squeeze == [8, 8, 8, 8, 16, 16, 16, 16]  # 12 is rounded to 16
        assert model.get_layer("fire9_expand3x3").filters == 64


def test_too_small_an_input():
    with pytest.raises(ZooError, match="input too small for SqueezeNet"):
        build(shape=(32, 15, 3))


@pytest.mark.parametrize("policy", some(["mixed_float16", "mixed_bfloat16"], "mixed_float16"))
def test_logits_are_float32_under_mixed_precision(policy):
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        model = build("squeezenet_v1_0_complex_bypass", batch_norm=True)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert model.get_layer("fire5_add").output.dtype == policy.removeprefix("mixed_")
    assert model(image((32, 32, 3))).dtype == tf.float32
