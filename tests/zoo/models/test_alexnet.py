"""AlexNet: Caffe's layers, groups, and local response normalization."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.support.select import some
from zoo import catalog
from zoo.errors import ZooError
from zoo.layers.grouped import GroupedConv2D
from zoo.layers.normalization import LocalResponseNormalization
from zoo.schema.run import ModelConfig

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


def build(shape=(32, 32, 3), classes=10, include_top=True, **options):
    config = ModelConfig(model="alexnet", input_shape=shape, classes=classes, **options)
    return catalog.build(config, include_top=include_top)


def image(shape, count=1, scale=1.0):
    draw = np.random.default_rng(1).standard_normal((count, *shape))
    return (scale * draw).astype(np.float32)


def loop(x, size, alpha, beta, k):
    """Caffe's formula, one channel after the other."""
    y = np.empty_like(x, dtype=np.float64)
    for c in range(x.shape[-1]):
        window = x[..., max(0, c - size // 2) : c + size // 2 + 1].astype(np.float64)
        y[..., c] = x[..., c] / (k + alpha / size * (window**2).sum(-1)) ** beta
    return y


def test_caffe_layers():
    model = build((227, 227, 3), classes=1000)
    assert [model.get_layer(name).count_params() for name in LAYERS] == [
        34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000,
    ]  # fmt: skip
    assert model.count_params() == 60_965_224
    sizes = [model.get_layer(n).output_shape[1] for n in ("conv1", "pool1", "pool2", "pool5")]
    assert sizes == [55, 27, 13, 6]
    # The order matters: CaffeNet, a variant, normalizes after pooling.
    names = [layer.name for layer in model.layers]
    start = names.index("conv1")
    assert names[start : start + 8] == [
        "conv1", "conv1_relu", "norm1", "pool1", "conv2", "conv2_relu", "norm2", "pool2",
    ]  # fmt: skip
    assert [layer.rate for layer in model.layers if layer.name.startswith("drop")] == [0.5, 0.5]
    for name, bias, stddev in (("conv1", 0, 0.01), ("conv2", 0.1, 0.01), ("fc6", 0.1, 0.005)):
        kernel, biases = model.get_layer(name).get_weights()
        assert (biases == np.float32(bias)).all()
        assert kernel.std() == pytest.approx(stddev, rel=0.05)


@pytest.mark.parametrize("name", ["conv2", "conv4", "conv5"])
def test_groups_see_their_own_half_only(name):
    layer = build(width=0.25).get_layer(name)
    shape = layer.input_shape[1:]
    x = image(shape)
    changed = x.copy()
    changed[..., : shape[-1] // 2] += 1
    difference = np.abs(layer(changed) - layer(x)).max(axis=(0, 1, 2))
    first, second = np.split(difference, 2)
    assert (first > 0).all()
    assert (second == 0).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": 3, "alpha": 0.5, "beta": 0.5, "k": 2.0},
        {"size": 7, "alpha": 2.0, "beta": 1.0, "k": 0.5},
        {"size": 1, "alpha": 1.0},
    ],
)
@pytest.mark.parametrize("channels", [1, 3, 16])
def test_local_response_normalization(options, channels):
    full = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0, **options}
    x = image((4, 5, channels), count=2, scale=200)
    y = LocalResponseNormalization(**options)(x)
    np.testing.assert_allclose(y, loop(x, **full), rtol=1e-4)
    assert np.abs(y - x).max() > 1


@pytest.mark.parametrize("suffix", [".keras", ".h5", ""])
def test_normalization_is_saved(suffix, tmp_path):
    options = {"size": 3, "alpha": 0.5, "beta": 0.5, "k": 2.0}
    source = tf_keras.Input((4, 4, 6))
    model = tf_keras.Model(source, LocalResponseNormalization(**options, name="norm")(source))
    model.save(tmp_path / f"model{suffix}")
    loaded = tf_keras.models.load_model(tmp_path / f"model{suffix}")
    assert type(loaded.get_layer("norm")) is LocalResponseNormalization
    x = image((4, 4, 6))
    for copy in (loaded, tf_keras.models.clone_model(model)):
        config = copy.get_layer("norm").get_config()
        assert {key: config[key] for key in options} == options
        np.testing.assert_array_equal(copy(x), model(x))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_normalization_in_half_precision(dtype):
    # 300² is beyond float16.
    x = tf.cast(image((4, 4, 8), scale=300), dtype)
    y = LocalResponseNormalization(dtype=tf_keras.mixed_precision.Policy(f"mixed_{dtype}"))(x)
    assert y.dtype == dtype
    expected = loop(tf.cast(x, tf.float32).numpy(), 5, 1e-4, 0.75, 1.0)
    np.testing.assert_allclose(tf.cast(y, tf.float32), expected, rtol=0.01)


def test_gradient_of_the_normalization():
    layer = LocalResponseNormalization(size=3, alpha=0.5)
    x = image((1, 1, 5))
    direction = image((1, 1, 5), count=2)[1:]

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(loss, x)

    def exact(step):
        return (loop(x + step * direction.astype(np.float64), 3, 0.5, 0.75, 1.0) ** 2).sum()

    expected = (exact(1e-5) - exact(-1e-5)) / 2e-5
    for run in (gradient, tf.function(gradient, jit_compile=True)):
        found = float(tf.reduce_sum(run(tf.constant(x)) * direction))
        assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "odd number of channels.*got: 4"),
        ({"size": -1}, "odd number of channels"),
        ({"k": 0.0}, "k above 0"),
    ],
)
def test_impossible_normalization(options, message):
    with pytest.raises(ZooError, match=message):
        LocalResponseNormalization(**options)


@pytest.mark.parametrize(
    ("shape", "maps"),
    some(
        [
            ((32, 32, 3), (4, 4)),
            ((32, 32, 1), (4, 4)),
            ((16, 40, 3), (2, 5)),
            ((95, 96, 1), (11, 12)),
            ((96, 96, 1), (2, 2)),
            ((224, 224, 3), (6, 6)),
            ((160, 227, 3), (4, 6)),
        ],
        ((16, 40, 3), (2, 5)),
        ((95, 96, 1), (11, 12)),
        ((160, 227, 3), (4, 6)),
    ),
)
def test_inputs(shape, maps):
    model = build(shape, width=0.1)
    assert model.output_shape == (None, 10)
    features = build(shape, width=0.1, include_top=False)
    assert features.output_shape[1:3] == maps
    assert features.layers[-1].name == "pool5"
    small = min(shape[:2]) < 96
    assert model.get_layer("conv1").kernel_size == ((5, 5) if small else (11, 11))
    inputs, _ = model.get_layer("fc6").kernel.shape
    assert inputs == maps[0] * maps[1] * features.output_shape[3]


def test_too_small_an_input():
    with pytest.raises(ZooError, match="input too small for AlexNet"):
        build((15, 32, 3))


def test_width_and_dropout():
    model = build(width=0.25, dropout=0.2)
    widths = [model.get_layer(name).kernel.shape[-1] for name in LAYERS]
    assert widths == [24, 64, 96, 96, 64, 1024, 1024, 10]
    assert model.get_layer("drop7").rate == 0.2


def test_batch_norm_replaces_normalization_and_biases():
    model = build(width=0.25, batch_norm=True)
    kinds = [type(layer) for layer in model.layers]
    assert LocalResponseNormalization not in kinds
    assert kinds.count(tf_keras.layers.BatchNormalization) == 5
    biases = [model.get_layer(name).use_bias for name in LAYERS]
    assert biases == [False] * 5 + [True] * 3


@pytest.mark.parametrize(
    ("policy", "jit", "batch_norm"),
    some(
        [
            ("float32", False, False),
            ("float32", True, False),
            ("mixed_float16", False, True),
            ("mixed_float16", True, False),
            ("mixed_bfloat16", False, False),
            ("mixed_bfloat16", True, True),
        ],
        ("float32", False, False),
        ("mixed_float16", False, True),
    ),
)
def test_gradients_reach_every_weight(policy, jit, batch_norm):
    # Grouped convolutions and their gradients in every way they may run.
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        model = build((16, 16, 3), width=0.1, batch_norm=batch_norm, dropout=0.0)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")

    def step(x):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            # Large without batch norm, where the small initial weights leave gradients that
            # float16 would round to zero.
            loss = (1 if batch_norm else 1e4) * tf.reduce_sum(logits * tf.range(10.0))
        return logits, tape.gradient(loss, model.trainable_variables)

    # Not as a graph without XLA: TensorFlow's optimizer fuses batch norm and ReLU even in float16,
    # for which it then has no CPU kernel.
    step = tf.function(step, jit_compile=True) if jit else step
    logits, gradients = step(tf.constant(image((16, 16, 3), count=4, scale=10)))
    assert logits.dtype == tf.float32
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert np.isfinite(gradient).all(), variable.name
        assert np.any(gradient), variable.name


@pytest.mark.parametrize("batch_norm", some([False, True], False))
def test_converts(batch_norm):
    from converters.conversion.from_keras import Conversions
    from converters.conversion.quantize import Calibration
    from converters.tflite.reader import read
    from zoo import runtime

    model = build((32, 32, 3), width=0.1, batch_norm=batch_norm)
    draw = np.random.default_rng(2)
    for layer in model.layers:  # the small Gaussians' logits are too near each other to compare
        if hasattr(layer, "kernel"):
            shape = layer.kernel.shape
            layer.kernel.assign(draw.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1])))
    images = image((32, 32, 3), count=16)
    expected = model(images).numpy()
    conversions = Conversions(model, Calibration(images, images.min(), images.max()))
    for precision, tolerance in (("float32", 1e-4), ("int8", 0.2)):
        content = conversions.flatbuffer(precision)
        [graph] = read(content, precision).graphs
        operators = [operator.name for operator in graph.operators]
        # A grouped convolution is one operator; normalization has one of its own.
        assert operators.count("CONV_2D") == 5 + (0 if batch_norm else 2)
        net = runtime.load(content, "litert", "none", threads=1, where=precision)
        found = np.stack([net.run(x) for x in images])
        assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()
        assert np.abs(found).max() > 0


@pytest.mark.parametrize("options", [{"strides": 2}, {"use_bias": False, "activation": "relu"}])
def test_grouped_convolution_is_that_of_tf_keras(options):
    both = [
        kind(8, 3, groups=2, padding="same", **options)
        for kind in (GroupedConv2D, tf_keras.layers.Conv2D)
    ]
    x = image((7, 6, 6), count=2)
    for layer in both:
        layer.build((None, 7, 6, 6))
    both[1].set_weights(both[0].get_weights())
    np.testing.assert_allclose(both[0](x), both[1](x), atol=1e-5)
