"""Lowered networks against plain loops, the Keras layers, and LiteRT with XNNPACK."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import example, given
from hypothesis import strategies as st

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from tests.support.select import some
from zoo import catalog, runtime
from zoo.errors import ZooError
from zoo.layers import (
    ActiveShift,
    ChannelMean,
    LearnedShift,
    LocalResponseNormalization,
    Shift,
    SparseShift,
)
from zoo.lowering import shift_forms
from zoo.lowering.network import lower
from zoo.models import active_shift, shiftnet, shiftresnet
from zoo.runtime.sandbox import Sandbox
from zoo.schema.run import ModelConfig

layers = tf_keras.layers


def sampled(x, table, strides):
    """A bilinear shift by loops over taps, in float64; whole numbers need no interpolation."""
    _, height, width, channels = x.shape
    rows, columns = np.arange(0, height, strides), np.arange(0, width, strides)
    out = np.zeros((len(x), len(rows), len(columns), channels))
    for c, shift in enumerate(table):
        low = np.floor(shift).astype(int)
        for dy in (0, 1):
            for dx in (0, 1):
                f = shift - low
                weight = (f[0] if dy else 1 - f[0]) * (f[1] if dx else 1 - f[1])
                y, z = rows + low[0] + dy, columns + low[1] + dx
                inside = np.ix_((y >= 0) & (y < height), (z >= 0) & (z < width))
                found = x[:, y[(y >= 0) & (y < height)]][:, :, z[(z >= 0) & (z < width)], c]
                out[:, *inside, c] += weight * found
    return out


def flatbuffer(model, integer=False):
    shape = (1, *model.input_shape[1:])
    module = tf.Module()
    module.kept = list(model.variables)
    module.infer = tf.function(
        lambda image: model(image, training=False),
        input_signature=[tf.TensorSpec(shape, tf.float32, name="image")],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.infer.get_concrete_function()], module
    )
    if integer:
        random = np.random.default_rng(2)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converter.representative_dataset = lambda: (
            [random.standard_normal(shape, np.float32)] for _ in range(4)
        )
    return converter.convert()


def litert(model, integer=False, delegate="xnnpack"):
    return runtime.load(flatbuffer(model, integer), "litert", delegate, 1, model.name)


def network(kind, arguments, size, table):
    layer = kind(**arguments)
    image = layers.Input((*size, len(table)), name="image")
    model = tf_keras.Model(image, layer(image), name="one")
    if isinstance(layer, LearnedShift):
        layer.shift.assign(table)
    return model


@st.composite
def cases(draw):
    """A shift layer, its arguments, the map's size and the offsets of its channels."""
    size = draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    strides = draw(st.integers(1, 3))
    channels = draw(st.integers(1, 20))
    kind = draw(st.sampled_from([Shift, SparseShift, ActiveShift]))
    if kind is Shift:
        kernel = draw(st.tuples(*[st.sampled_from([1, 3, 5, 13])] * 2))
        dilation = draw(st.integers(1, 4))
        count = np.prod(kernel)
        table = np.zeros((channels, 2))
        for c in range(channels // count * count):
            step = (c // kernel[1] % kernel[0], c % kernel[1])
            table[c] = dilation * (np.array(step) - np.array(kernel) // 2)
        arguments = {"kernel_size": kernel, "dilation": dilation, "strides": strides}
        return Shift, arguments, size, table
    radius = draw(st.integers(1, 8))
    # Beyond the radius too: loaded values are clipped.
    number = st.one_of(
        st.integers(-radius, radius).map(float), st.floats(-radius - 1, radius + 1, width=16)
    )
    table = np.array(draw(st.lists(st.tuples(number, number), min_size=1, max_size=12)))
    arguments = {"radius": radius, "strides": strides, "initial_range": 0}
    return kind, arguments, size, table


@given(cases(), st.booleans())
@example((ActiveShift, {"strides": 1}, (1, 9), np.array([[0.5, 7.5]])), False)
@example((SparseShift, {"strides": 1}, (12, 12), np.array([[8.0, -7], [-8, 8]])), True)
def test_a_lowered_shift_gives_the_same(case, integer):
    kind, arguments, _, table = case
    model, strides = network(*case), arguments["strides"]
    if kind is not Shift:
        table = np.clip(table, -model.layers[1].radius, model.layers[1].radius)
    if kind is SparseShift:
        table = np.round(table)
    x = np.random.default_rng(3).standard_normal((2, *model.input_shape[1:]), np.float32)
    before = [w.copy() for w in model.get_weights()]
    lowered = lower(model, integer)
    expected = sampled(x, table, strides)
    assert lowered.output_shape == model.output_shape
    np.testing.assert_allclose(model(x), expected, atol=1e-5)
    np.testing.assert_allclose(lowered(x), expected, atol=1e-5)
    kinds = {type(layer) for layer in lowered.layers}
    assert kinds <= {layers.InputLayer, layers.ZeroPadding2D, layers.DepthwiseConv2D}
    assert not lowered.trainable_weights
    for convolution in lowered.layers:
        if isinstance(convolution, layers.DepthwiseConv2D):
            assert np.prod(convolution.kernel_size) <= 25  # larger ones are far slower
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


# A conversion takes about a second.
TABLES = {
    "reach 1": ([[0.3, -0.6], [-1, 0.25], [0, 0]], 1, (7, 6)),
    "reach 8, one row": ([[7.5, -0.5], [0, 7.9], [0, -8]], 1, (1, 11)),
    "reach 8, strided": ([[-7.5, 3.25], [8, 6.1], [0.5, -8]], 2, (13, 12)),
    "even, strided": ([[1, -1], [-1, 1], [0, 1]], 2, (8, 6)),
    "dilated": ([[2, -2], [-2, 2], [0, 2]], 1, (7, 5)),
    "third": ([[1, 0], [0, 0], [-1, 1]], 3, (8, 7)),
    "leaves the map": ([[3, 0], [0, 0], [0, 1]], 1, (3, 3)),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_converted_shift_gives_the_same(name):
    table, strides, size = TABLES[name]
    table = np.array(table)
    model = network(ActiveShift, {"strides": strides}, size, table)
    net = litert(lower(model))
    x = np.random.default_rng(4).standard_normal(model.input_shape[1:], np.float32)
    np.testing.assert_allclose(net.run(x), sampled(x[None], table, strides)[0], atol=1e-5)
    operators = {op["op_name"] for op in net.interpreter._get_ops_details()}
    assert operators <= {"PAD", "DEPTHWISE_CONV_2D", "DELEGATE"}
    assert net.placement().level == "full"


@pytest.mark.parametrize(
    ("table", "stride", "integer", "kernels"),
    [
        ([[0, 0], [0, 0]], 1, False, []),
        ([[0, 0], [0, 0]], 2, False, [(3, 3)]),
        ([[1, 0], [0, 1]], 1, False, [(2, 2)]),
        ([[1, -1], [-1, 1]], 1, False, [(3, 3)]),
        ([[1, -1], [-1, 1]], 1, True, [(3, 1), (1, 3)]),
        ([[1, -1], [-0.5, 1]], 1, True, [(3, 3)]),
        ([[1, -1], [-1, 1]], 2, True, [(3, 3)]),
        ([[2, -2], [-1, 1]], 1, False, [(4, 1), (1, 4)]),
        ([[2, -2], [-2, 1]], 2, False, [(5, 4)]),
        ([[2, -2], [-2, 2]], 1, False, [(3, 3)]),  # dilated
        ([[8, -8], [-8, 8], [1, 2]], 1, False, [(3, 3), (9, 1), (1, 9)]),
    ],
)
def test_the_least_kernels_are_chosen(table, stride, integer, kernels):
    steps = shift_forms.steps(np.array(table), (20, 20), stride, integer)
    assert [step.kernel.shape[:2] for step in steps] == kernels


# name → builder and its arguments, of as few blocks as the family allows
NETWORKS = {
    "shiftresnet": (shiftresnet.build, {"depth": 8, "expansion": 3, "width": 0.5}),
    "sslresnet": (shiftresnet.build, {"depth": 8, "expansion": 3, "shift": "sparse"}),
    "shiftnet": (shiftnet.build, {"base": 16, "width": 0.25}),
    "asnet": (active_shift.build, {"network": "asnet", "base": 16, "width": 0.5}),
}


@functools.cache
def settled(name):
    """A network with real shifts and settled averages of batch norm."""
    build, arguments = NETWORKS[name]
    shape = (16, 16, 3)
    model = build(**arguments, input_shape=shape, classes=5, name=name)
    random = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, LearnedShift):
            table = random.uniform(-3, 3, layer.shift.shape)
            if isinstance(layer, SparseShift):  # as learned: most stay
                table *= random.random((len(table), 1)) < 0.3
            layer.shift.assign(table)
        elif isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0  # one batch settles it
    model(random.standard_normal((16, *shape), np.float32), training=True)
    return model


@pytest.mark.parametrize("name", some(NETWORKS, "sslresnet"))
def test_a_lowered_network_gives_the_same_and_runs_on_xnnpack(name):
    model = settled(name)
    x = np.random.default_rng(6).standard_normal((2, *model.input_shape[1:]), np.float32)
    expected = model(x, training=False).numpy()
    scale = max(1.0, np.abs(expected).max())
    for integer in (False, True):
        lowered = lower(model, integer)
        assert (lowered.name, lowered.input_names) == (model.name, ["image"])
        np.testing.assert_allclose(lowered(x) / scale, expected / scale, atol=1e-5)
        if (name, integer) in (("shiftnet", False), ("asnet", True)):
            continue  # the converter takes long over so many layers
        net = litert(lowered, integer)
        placed = net.placement()
        assert (placed.level, placed.partitions) == ("full", 1), placed
        if not integer:
            np.testing.assert_allclose(net.run(x[0]) / scale, expected[0] / scale, atol=1e-5)
    np.testing.assert_array_equal(model(x, training=False), expected)


def test_unmoved_channels_are_left_out_in_int8():
    lowered = lower(settled("sslresnet"), integer=True)
    moved = [layer for layer in lowered.layers if layer.name.endswith("_conv1_moved")]
    assert [layer.filters < 192 for layer in moved] == [True]  # the others have stride 2


@pytest.mark.slow
def test_channels_that_all_move_are_not_parted():
    lowered = lower(settled("asnet"), integer=True)
    assert not any(isinstance(layer, layers.Concatenate) for layer in lowered.layers)


def activation_network(make):
    image = layers.Input((8, 8, 6), name="image")
    return tf_keras.Model(image, layers.Conv2D(4, 1)(make(layers.Conv2D(6, 1)(image))), name="act")


def swish(x):
    gate = layers.ReLU(6.0)(layers.Rescaling(1.0, offset=3.0)(x))
    return layers.Multiply()([layers.Rescaling(1 / 6)(gate), x])


def squeeze(x):
    return layers.Multiply()([x, swish(ChannelMean()(x))])


@pytest.mark.parametrize(
    "make",
    [
        swish,
        squeeze,
        layers.AveragePooling2D(3, 2, padding="same"),
        layers.AveragePooling2D(2),
        layers.AveragePooling2D((3, 2), 1, padding="same"),
    ],
)
def test_other_layers_run_on_xnnpack_in_int8(make):
    tf_keras.utils.set_random_seed(1)  # int8's error depends on the weights
    model = activation_network(make)
    lowered = lower(model, integer=True)
    assert lowered is not model
    assert lower(model) is model  # float32 has the operators
    x = np.random.default_rng(7).standard_normal((3, 8, 8, 6), np.float32)
    np.testing.assert_allclose(lowered(x), model(x), atol=1e-5)
    net = litert(lowered, integer=True)
    assert net.placement().partitions == 1
    assert net.placement().level == "full"
    image = np.random.default_rng(8).standard_normal((8, 8, 6), np.float32).clip(-2, 2)
    expected = model(image[None])[0].numpy()
    assert np.abs(net.run(image) - expected).max() < 0.1 * np.abs(expected).max()


def test_local_response_normalization_runs_on_xnnpack_in_float32():
    image = layers.Input((5, 4, 9), name="image")
    output = LocalResponseNormalization(alpha=2.0, k=1.5)(image)
    model = tf_keras.Model(image, output, name="lrn")
    net = litert(lower(model))
    assert net.placement().level == "full"
    x = 3 * np.random.default_rng(9).standard_normal((5, 4, 9), np.float32)
    padded = np.pad(x.astype(np.float64) ** 2, ((0, 0), (0, 0), (2, 2)))
    sums = sum(padded[..., i : i + 9] for i in range(5))
    np.testing.assert_allclose(net.run(x), x * (1.5 + 0.4 * sums) ** -0.75, atol=1e-5)


def one_slope(x):
    return layers.PReLU(tf_keras.initializers.Constant(0.3), shared_axes=(1, 2, 3))(x)


@pytest.mark.parametrize("runtime_name", ["litert", "tflite_runtime"])
def test_a_prelu_of_one_slope_is_right_on_every_runtime(tmp_path, runtime_name):
    try:
        runner = Sandbox(runtime_name)
    except ZooError as error:
        pytest.skip(str(error))
    model = activation_network(one_slope)
    file = tmp_path / "prelu.tflite"
    file.write_bytes(flatbuffer(lower(model)))
    x = np.random.default_rng(7).standard_normal((3, 8, 8, 6), np.float32)
    with runner:
        found = runner.outputs(file, x)
        assert runner.placement(file).level == "full"
    np.testing.assert_allclose(found, model(x), atol=1e-5)


@pytest.mark.parametrize(
    "make", [one_slope, lambda x: LocalResponseNormalization(alpha=2.0, k=1.5)(x)]
)
def test_layers_without_an_int8_operator_run_on_xnnpack(make):
    tf_keras.utils.set_random_seed(1)
    model = activation_network(make)
    x = np.random.default_rng(8).standard_normal((20, 8, 8, 6), np.float32).clip(-2, 2)
    content = Conversions(model, Calibration(x, -2, 2)).flatbuffer("int8")
    net = runtime.load(content, "litert", "xnnpack", 1, "int8")
    assert (net.placement().level, net.placement().partitions) == ("full", 1)
    expected = model(x[:4]).numpy()
    found = np.stack([net.run(image) for image in x[:4]])
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_dead_units_do_not_make_xnnpack_refuse_the_model():
    image = layers.Input((8, 8, 6), name="image")
    dead = layers.Conv2D(1, 1, bias_initializer=tf_keras.initializers.Constant(-100.0))
    gate = layers.Conv2D(6, 1)(layers.ReLU()(dead(layers.Conv2D(6, 1)(image))))
    model = tf_keras.Model(image, layers.Multiply()([gate, layers.Conv2D(6, 1)(image)]), name="se")
    x = np.random.default_rng(8).standard_normal((20, 8, 8, 6), np.float32).clip(-2, 2)
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D) and layer is not dead:
            layer.bias.assign(np.ones(layer.bias.shape))
    content = Conversions(model, Calibration(x, -2, 2)).flatbuffer("int8")
    net = runtime.load(content, "litert", "xnnpack", 1, "int8")
    assert net.placement().level == "full"
    expected = model(x[:2]).numpy()
    found = np.stack([net.run(image) for image in x[:2]])
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_nothing_to_lower_is_returned_as_it_is():
    model = catalog.build(ModelConfig(model="squeezenet_v1_1", input_shape=(32, 32, 3), classes=5))
    assert lower(model) is model
    assert lower(model, integer=True) is model


def test_a_shared_layer_is_copied_once():
    image = layers.Input((6, 6, 9), name="image")
    conv, shift = layers.Conv2D(9, 1), Shift()
    model = tf_keras.Model(image, shift(conv(shift(conv(image)))), name="shared")
    lowered = lower(model)
    x = np.random.default_rng(1).standard_normal((1, 6, 6, 9), np.float32)
    np.testing.assert_allclose(lowered(x), model(x), atol=1e-5)
    assert len(lowered.trainable_weights) == 2
    assert len(conv.inbound_nodes) == 2


def strange(kind):
    image = layers.Input((6, 6, 9))
    if kind == "subclassed":
        return type("Own", (tf_keras.Model,), {})()
    if kind == "two inputs":
        other = layers.Input((6, 6, 9))
        return tf_keras.Model([image, other], Shift()(image + other))
    if kind == "nested":
        inner = tf_keras.Model(image, Shift()(image))
        outer = layers.Input((6, 6, 9))
        return tf_keras.Model(outer, inner(outer))
    unknown = layers.Input((None, None, 9))
    return tf_keras.Model(unknown, Shift()(unknown))


@pytest.mark.parametrize("kind", ["subclassed", "two inputs", "nested", "unknown size"])
def test_strange_models_are_refused(kind):
    with pytest.raises(ZooError, match="can't be lowered"):
        lower(strange(kind))
