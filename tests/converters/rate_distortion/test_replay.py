"""Replaying a `.tflite` in TensorFlow: LiteRT's own outputs, and each layer as a product."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert import schema_py_generated as schema

from converters.conversion import quantize, weights_only
from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.rate_distortion.replay import Replay
from converters.tflite import edit
from tests.support import small_networks
from tests.support.select import some
from tests.support.tflite_samples import foreign, plain_interpreter
from zoo import runtime
from zoo.errors import ZooError
from zoo.models import alexnet

layers = tf_keras.layers
NONE = Calibration(np.zeros((0, 1, 1, 1), np.float32), 0, 1)


def every_kind():
    """Each kind of layer with weights, and each way to place its window."""
    tf_keras.utils.set_random_seed(2)
    image = layers.Input((13, 11, 4), name="image")
    x = layers.Conv2D(6, (3, 2), strides=2, padding="same", activation="relu")(image)
    x = layers.Conv2D(8, 3, dilation_rate=2, padding="same", activation="tanh")(x)
    x = layers.Conv2D(8, 3, groups=4, padding="same", use_bias=False)(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="relu6")(x)
    x = layers.DepthwiseConv2D((2, 3), strides=2)(x)
    x = layers.PReLU(shared_axes=[1, 2], alpha_initializer="glorot_uniform")(x)
    x = layers.LeakyReLU(0.3)(layers.Conv2D(7, 2, padding="valid")(x))
    x = layers.Dense(5, activation="relu")(layers.Flatten()(x))
    return tf_keras.Model(image, layers.Dense(4)(x), name="every_kind")


def made_to_count(model):
    """Biases that show, where a fresh network has none."""
    draw = np.random.default_rng(3)
    for variable in model.trainable_variables:
        if "bias" in variable.name:
            variable.assign(draw.normal(0, 0.1, variable.shape))
    return model


def normalizing():
    """AlexNet with its response normalization and its two groups."""
    return alexnet.build(input_shape=(16, 16, 3), classes=4, width=1 / 32, dropout=0.0)


OTHERS = {"every_kind": every_kind, "alexnet_as_published": normalizing}
NAMES = (*small_networks.SMALL, *OTHERS)
# Together they have every operator, and each kind of window.
FEW = (
    "every_kind",
    "alexnet_as_published",
    "squeezenet",
    "mobilenet_v2_cse",
    "shufflenet_v2",
    "applications",
    "shiftnet",
)


@functools.cache
def flatbuffer(name):
    if name not in OTHERS:
        return small_networks.float32(name)
    return Conversions(made_to_count(OTHERS[name]()), NONE).flatbuffer("float32")


@functools.cache
def replayed(name):
    """A network, two images, its outputs, and what its layers take and give."""
    replay = Replay(flatbuffer(name), name)
    shape = replay.graph.tensors[replay.graph.inputs[0]].shape
    images = np.random.default_rng(0).uniform(-1, 1, (2, *shape[1:])).astype(np.float32)
    before = {}

    def noted(index, value):
        before[index] = value
        return value

    logits, kept = replay.run(
        tf.constant(images),
        keep={index for layer in replay.layers for index in (layer.input, layer.output)},
        before={layer.output: functools.partial(noted, layer.output) for layer in replay.layers},
    )
    return replay, images, logits.numpy(), kept, before


@pytest.mark.parametrize("name", some(NAMES, *FEW))
def test_a_batch_gives_what_litert_gives_for_each_image(name):
    _, images, logits, _, _ = replayed(name)
    running = runtime.load(flatbuffer(name), "litert", "xnnpack", 1, name)
    wanted = np.stack([running.run(image) for image in images])
    spread = wanted.max() - wanted.min()
    assert spread > 0
    assert logits.shape == wanted.shape
    assert np.abs(logits - wanted).max() < 1e-4 * spread


def test_the_files_hold_every_kind_of_layer():
    """Else the tests beside this one would say less than they seem to."""
    kinds, groups, windows, operators = set(), set(), set(), set()
    for name in FEW:
        replay = replayed(name)[0]
        operators |= {operator.name for operator in replay.graph.operators}
        kinds |= {layer.kind for layer in replay.layers}
        groups |= {replay.groups(each) for each in replay.layers if each.kind == "CONV_2D"}
        windows |= {
            (op.options["stride_h"], op.options["dilation_h"], op.options["padding"])
            for op in (replay.graph.operators[layer.operator] for layer in replay.layers)
            if op.name == "CONV_2D"
        }
    assert kinds == {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    assert groups >= {1, 2, 4}
    assert windows >= {(1, 1, 0), (2, 1, 0), (1, 2, 0), (1, 1, 1)}
    assert len(operators) == 20  # as many as all of `NAMES` have


@pytest.mark.parametrize("name", some(NAMES, *FEW))
def test_a_layer_is_its_patches_times_its_matrix(name):
    replay, _, _, kept, before = replayed(name)
    assert replay.layers
    for layer in replay.layers:
        matrix = replay.matrix(layer)
        patches = replay.patches(layer, kept[layer.input]).numpy()
        assert patches.shape[2:] == (len(matrix), matrix.shape[-1])
        found = np.einsum("npgk,gfk->npgf", patches, matrix)
        found = found.reshape(*found.shape[:2], -1)  # a group's filters lie beside each other
        if layer.bias >= 0:
            found = found + replay.constants[layer.bias]
        wanted = before[layer.output].numpy().reshape(found.shape)
        np.testing.assert_allclose(found, wanted, atol=2e-6 * (1 + np.abs(wanted).max()))
        stored = replay.stored(layer, matrix)
        np.testing.assert_array_equal(stored, replay.constants[layer.weight])


@pytest.mark.parametrize("name", ["every_kind", "shufflenet_v2"])
def test_what_is_kept_equals_litert(name):
    _, images, _, kept, _ = replayed(name)
    plain = plain_interpreter(flatbuffer(name), keep=True)
    plain.set_tensor(plain.get_input_details()[0]["index"], images[1:])
    plain.invoke()
    for index, value in kept.items():
        wanted = plain.get_tensor(index)[0]
        tolerance = 1e-5 * (1 + np.abs(wanted).max())
        np.testing.assert_allclose(value.numpy()[1], wanted, atol=tolerance)


def test_other_weights_are_those_of_an_edited_file():
    replay, images, before, _, _ = replayed("every_kind")
    model, other = edit.unpacked(flatbuffer("every_kind")), {}
    for layer in replay.layers:
        other[layer.weight] = replay.constants[layer.weight] * np.float32(1.1)
        tensor = model.subgraphs[0].tensors[layer.weight]
        tensor.buffer = edit.add_buffer(model, other[layer.weight])
    found = replay.run(tf.constant(images), weights=other)[0].numpy()
    running = runtime.load(edit.packed(model), "litert", "xnnpack", 1, "edited")
    np.testing.assert_allclose(found, [running.run(image) for image in images], atol=1e-5)
    assert np.abs(found - before).max() > 1e-3


def test_gradients_reach_every_weight_and_are_those_of_differences():
    replay, images, _, _, _ = replayed("every_kind")
    weights = {x.weight: tf.constant(replay.constants[x.weight]) for x in replay.layers}
    with tf.GradientTape() as tape:
        tape.watch(weights)
        logits = replay.run(tf.constant(images), weights=weights)[0]
        loss = tf.reduce_sum(logits**2)
    gradients = tape.gradient(loss, weights)
    last = replay.layers[-1]
    for layer in replay.layers:
        assert np.abs(gradients[layer.weight].numpy()).max() > 0
    # The loss is a parabola of the last layer's weights: central differences are exact.
    moved = np.zeros_like(replay.constants[last.weight])
    moved[1, 2] = 0.5
    sides = [
        float(tf.reduce_sum(replay.run(tf.constant(images), weights={last.weight: w})[0] ** 2))
        for w in (replay.constants[last.weight] + moved, replay.constants[last.weight] - moved)
    ]
    assert sides[0] - sides[1] == pytest.approx(float(gradients[last.weight][1, 2]), rel=1e-3)


def refused(content):
    with pytest.raises(ZooError) as raised:
        Replay(content, "some.tflite")
    text = str(raised.value)
    assert "\n" not in text
    assert "some.tflite" in text
    return text


def test_what_it_does_not_know_is_refused_in_one_line():
    content = flatbuffer("every_kind")
    model = edit.unpacked(content)
    model.subgraphs[0].inputs = [*model.subgraphs[0].inputs, model.subgraphs[0].outputs[0]]
    assert "several inputs" in refused(edit.packed(model))

    model = edit.unpacked(content)
    code = model.operatorCodes[model.subgraphs[0].operators[0].opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TRANSPOSE_CONV
    assert "TRANSPOSE_CONV" in refused(edit.packed(model))

    model = edit.unpacked(content)
    model.subgraphs[0].operators[
        0
    ].builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.SIGN_BIT
    replay = Replay(edit.packed(model), "some.tflite")
    with pytest.raises(ZooError, match=r"some\.tflite.*SIGN_BIT"):
        replay.run(tf.zeros((1, 13, 11, 4)))


@pytest.mark.parametrize("name", ["okay_nabu", "face_detection_front"])
def test_files_that_are_not_of_floats_are_refused(name):
    refused(foreign(name).read_bytes())


def test_quantized_files_are_refused():
    content = flatbuffer("alexnet")
    images = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32)
    whole = quantize.int8(content, Calibration(images, -1, 1), "alexnet", float_input=False)
    assert "float32" in refused(whole)
    for other in (weights_only.dynamic_int8(content), weights_only.float16(content, "alexnet")):
        assert other != content
        refused(other)
