"""Quantization-aware training of every family: what the int8 flatbuffer holds, and where it runs.

The other half of `test_compression_matrix.py`: qat, pqat, cqat and pcqat. A family's network is
built and lowered once for the four, each of which trains and converts it from weights of its own.
Zeros and clusters are counted in the flatbuffer's integers, which are held against the Keras
kernels, rounded by NumPy.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import (
    QuantizeLayer,
)

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.tflite import edit
from converters.tflite.counts import contents
from tests.support import small_networks
from tests.support.select import some
from zoo.compression import kernels, qat, qat_quantizers
from zoo.compression.preserve import Keep
from zoo.errors import ZooError
from zoo.models import alexnet
from zoo.runtime.sandbox import Sandbox

layers = tf_keras.layers
CLUSTERS = 8  # besides zero
FLOAT, INT8 = 0, 9  # TensorType of the flatbuffer's schema
SANE = 2**-24, 2**7  # scales beyond are nobody's


@pytest.fixture(scope="module")
def litert():
    with Sandbox("litert") as runner:
        yield runner


def compressed(model):
    """Gives each kernel `CLUSTERS` values and makes half of it zero, biases aside."""
    for variable in kernels.variables(model).values():
        kernel = variable.numpy()
        centers = np.linspace(kernel.min(), kernel.max(), CLUSTERS + 2)[1:-1]
        nearest = centers[np.abs(kernel[..., np.newaxis] - centers).argmin(-1)]
        variable.assign(np.where(np.abs(kernel) < np.median(np.abs(kernel)), 0, nearest))
    return model


def as_parent_of(scheme, network):
    """Takes from a compressed network what the parent of a scheme would not have."""
    draw = np.random.default_rng(2)
    for variable in kernels.variables(network).values():
        kernel = variable.numpy()
        if scheme in ("qat", "cqat") and kernel.any():
            kernel = np.where(kernel == 0, draw.choice(kernel[kernel != 0], kernel.shape), kernel)
        if scheme in ("qat", "pqat"):
            kernel = kernel * draw.uniform(0.9, 1.1, kernel.shape)
        variable.assign(kernel)


def keeping(scheme, network):
    """The callbacks of a scheme."""
    zeros, clusters = scheme in ("pqat", "pcqat"), scheme in ("cqat", "pcqat")
    return [Keep.of(network, zeros, clusters)] if zeros or clusters else []


def trained(network, images, labels, callbacks=(), eagerly=True):
    """Two steps. Without a graph they take half as long as making it would."""
    network.compile(
        tf_keras.optimizers.SGD(1e-3, jit_compile=False),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
        run_eagerly=eagerly,
    )
    network.fit(images, labels, batch_size=4, epochs=1, verbose=0, callbacks=list(callbacks))
    return network


def flatbuffer(network):
    none = Calibration(np.zeros((0, 1, 1, 1), np.float32), 0, 1)
    return Conversions(network, none).flatbuffer("int8_qat")


def tensors(content):
    return edit.unpacked(content).subgraphs[0].tensors


def integers(content):
    """The kernels of a flatbuffer, each as a matrix (weights of a filter, filters).

    Without the zeros that engine_forms puts around a 1×1 kernel.
    """
    model = edit.unpacked(content)
    found = []
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if tensor.type != INT8 or data is None or len(tensor.shape) not in (2, 4):
            continue
        values = np.frombuffer(bytes(data), np.int8).reshape(tensor.shape).astype(int)
        if values.shape[1:3] in ((1, 2), (2, 2)) and values.any():
            one = values[:, :1, :1]
            values = one if np.abs(one).sum() == np.abs(values).sum() else values
        depthwise = tensor.quantization.quantizedDimension == 3
        found.append(
            values.reshape(-1, values.shape[-1]) if depthwise else values.reshape(len(values), -1).T
        )
    return found


def expected(layer, kernel):
    """What int8 makes of a Keras kernel, but for the signs, which batch norm may turn."""
    dense = isinstance(layer, layers.Dense)
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    matrix = np.abs(kernels.by_channel(kernel, depthwise))
    most = matrix.max() if dense else matrix.max(axis=0)
    return np.rint(matrix / np.where(most > 0, most, 1) * 127)


def check_kernels(network, content, clusters=None):
    """Every trained kernel is in the flatbuffer, with its zeros and its clusters."""
    found = integers(content)
    shapes = [matrix.shape for matrix in found]
    zeros = {"keras": 0, "int8": 0}
    own = {kernels.layer_of(layer).name: kernels.layer_of(layer) for layer in network.layers}
    for name, kernel in kernels.values(network).items():
        want = expected(own[name], kernel)
        # The rounding of a weight that lies between two integers is the hardware's.
        same = [m for m in found if m.shape == want.shape and (np.abs(abs(m) - want) <= 1).all()]
        assert same, (name, want.shape, shapes)
        zeros["keras"] += int((kernel == 0).sum())
        zeros["int8"] += int((same[0] == 0).sum())
        flat = kernels.by_channel(kernel, isinstance(own[name], layers.DepthwiseConv2D))
        assert (same[0][flat == 0] == 0).all(), name
        if clusters:
            assert max(np.unique(column).size for column in same[0].T) <= clusters + 1, name
    assert zeros["int8"] >= zeros["keras"]
    return zeros["keras"]


def check_rounded(network, content, images, runner, tmp_path, floats=(), requantized=0):
    """All of it is int8 with sane scales, XNNPACK takes it, and LiteRT gives what Keras does."""
    for tensor in tensors(content):
        name = edit.name(tensor)
        assert tensor.type != FLOAT or any(each in name for each in floats), name
        if tensor.type == INT8:
            scales = tensor.quantization.scale
            assert (SANE[0] < scales).all() and (scales < SANE[1]).all(), name
    assert contents(content, "network").operators.get("QUANTIZE", 0) == requantized
    file = tmp_path / "network.tflite"
    file.write_bytes(content)
    placement = runner.placement(file)
    assert (placement.level, placement.left) == ("full", {})
    reference = network.predict_on_batch(images)
    error = np.sqrt(np.mean((runner.outputs(file, images) - reference) ** 2))
    # Steps of int8 that fall to the other side add up over the layers.
    assert error < 0.15 * reference.std()


@functools.lru_cache(maxsize=1)
def lowered(family):
    """The family's compressed network, ready to be trained for int8, and its weights."""
    network = qat.for_qat(compressed(small_networks.build(family)))
    return network, network.get_weights()


@pytest.mark.parametrize("scheme", some(["pcqat", "pqat", "cqat", "qat"], "pcqat"))
@pytest.mark.parametrize("family", some(small_networks.SMALL, "mobilenet_v2_cse"))
def test_every_family_keeps_in_the_flatbuffer_what_was_compressed(family, scheme, litert, tmp_path):
    network, start = lowered(family)
    network.set_weights(start)
    as_parent_of(scheme, network)
    before = kernels.values(network)
    frozen = [layer for layer in network.layers if isinstance(layer, qat.Frozen)]
    assert frozen or family not in ("shiftresnet", "shiftnet", "active_shift")
    assert not {layer.layer.name for layer in frozen} & before.keys()
    images, labels = small_networks.pictures(network)
    trained(network, images, labels, keeping(scheme, network))
    after = kernels.values(network)
    assert all((after[name] != kernel).any() for name, kernel in before.items() if kernel.any())
    clustered = scheme in ("cqat", "pcqat")
    for name, kernel in after.items() if clustered else ():
        # Two steps move a weight by less than int8 shows; Keras' own values tell.
        assert np.unique(kernel).size <= np.unique(before[name]).size, name
    content = flatbuffer(network)
    zeros = check_kernels(network, content, CLUSTERS if clustered else None)
    kept = zeros > 0.3 * sum(kernel.size for kernel in after.values())
    assert kept == (scheme in ("pqat", "pcqat"))
    # ShuffleNet hands half of a concatenation on to the next one, which has another scale.
    again = int(family == "shufflenet_v2")
    check_rounded(network, content, images, litert, tmp_path, requantized=again)


def fires():
    """Convolutions with bias and without batch norm, some of them behind a concatenation."""
    tf_keras.utils.set_random_seed(1)
    x = image = layers.Input((8, 8, 3), name="image")
    x = layers.ReLU()(layers.Conv2D(8, 3, name="first")(x))
    conv = functools.partial(layers.Conv2D, 8, padding="same", activation="relu")
    x = layers.Concatenate()([conv(kernel_size=1, name="e1")(x), conv(kernel_size=3, name="e3")(x)])
    x = layers.LeakyReLU(0.1)(layers.BatchNormalization(name="lone")(x))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(x))
    return tf_keras.Model(image, layers.Dense(4, name="dense")(x), name="fires")


@pytest.mark.parametrize("scheme", some(["pqat", "cqat"], "pqat"))
def test_fires_without_batch_norm(scheme, litert, tmp_path):
    model = compressed(fires())
    as_parent_of(scheme, model)
    network = qat.for_qat(model)
    # Rounded once, by the range of the concatenation, as TFLite does.
    assert not {"e1_range", "e3_range"} & {layer.name for layer in network.layers}
    images, labels = small_networks.pictures(network)
    trained(network, images, labels, keeping(scheme, network), eagerly=False)
    content = flatbuffer(network)
    zeros = check_kernels(network, content, CLUSTERS if scheme == "cqat" else None)
    # A dead unit's weights may stay at zero by themselves.
    assert (zeros > 0.3 * kernels.count(kernels.values(network)).weights) == (scheme == "pqat")
    check_rounded(network, content, images, litert, tmp_path)


def test_local_response_normalization_stays_float(litert, tmp_path):
    tf_keras.utils.set_random_seed(1)
    model = alexnet.build(input_shape=(16, 16, 3), classes=4, width=1 / 32, dropout=0.0)
    for variable in kernels.variables(model).values():
        variable.assign(8 * variable)  # the paper's initial weights hardly give anything
    network = qat.for_qat(model)
    images, labels = small_networks.pictures(network)
    trained(network, images, labels)
    content = flatbuffer(network)
    check_kernels(network, content)
    floats = ("_in_float", "conv1_relu_range", "conv2_relu_range", "arith.constant")
    check_rounded(network, content, images, litert, tmp_path, floats, requantized=2)


@pytest.mark.slow  # the fixture `digits` converts such a run
def test_rebuilt_from_both_sets_of_weights(tmp_path):
    model = small_networks.build("active_shift")
    images, _ = small_networks.pictures(model)
    model.save_weights(tmp_path / "start.h5")
    network = qat.for_qat(model)
    network(images, training=True)
    for variable in network.trainable_variables:
        variable.assign(variable * 1.1)
    network.save_weights(tmp_path / "best.h5")
    start = small_networks.build("active_shift")
    for variable in start.variables:
        variable.assign(variable * 0.9)
    start.load_weights(tmp_path / "start.h5")
    again = qat.for_qat(start)
    again.load_weights(tmp_path / "best.h5")
    np.testing.assert_array_equal(again(images), network(images))


def test_weights_are_rounded_to_255_levels():
    kernel = np.random.default_rng(1).standard_normal((3, 3, 4, 2), np.float32)
    kernel[:, :, 1] = 0  # two pruned filters, where channels are depthwise
    kernel[0, 0] = 0
    for axes, sizes in ((0, (0, 1, 2, 3)), (1, (0, 1, 2)), (2, (0, 1))):
        most = np.abs(kernel).max(axis=sizes, keepdims=True)
        step = np.where(most > 0, most, 1) / 127
        got = qat_quantizers.WeightQuantizer(axes)(tf.constant(kernel), True, {}).numpy()
        np.testing.assert_allclose(got, np.rint(kernel / step) * step, atol=1e-6)
        assert (got[kernel == 0] == 0).all()


def test_the_first_batch_sets_the_range_and_later_ones_move_it():
    layer = QuantizeLayer(qat_quantizers.ActivationQuantizer(1e-3))
    layer(tf.constant([[2.0, 5.0]]), training=True)
    assert layer.get_weights()[:2] == [0, 5]
    layer(tf.constant([[-1.0, 4.0]]), training=True)
    np.testing.assert_allclose(layer.get_weights()[:2], [-0.01, 4.99], rtol=1e-5)
    rounded = layer(tf.constant([[-3.0, 9.0]]), training=False)
    np.testing.assert_allclose(rounded, [[-0.01, 4.99]], atol=0.02)


def test_what_can_not_be_rounded_is_refused():
    image = layers.Input((8, 8, 3), name="image")
    slopes = tf_keras.Model(image, layers.PReLU(name="slopes")(image))
    with pytest.raises(ZooError, match=r"int8.*slopes.*PReLU"):
        qat.for_qat(slopes)
    flat = layers.BatchNormalization(name="flat")(layers.Flatten()(image))
    with pytest.raises(ZooError, match=r"flat.*maps"):
        qat.for_qat(tf_keras.Model(image, flat))
    twice = layers.Conv2D(3, 1, name="twice")
    with pytest.raises(ZooError, match=r"twice.*called once"):
        qat.for_qat(tf_keras.Model(image, twice(twice(image))))
