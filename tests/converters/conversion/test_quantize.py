"""Quantizing a finished flatbuffer, against TensorFlow's own whole conversion and NumPy."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from converters.conversion import metadata, quantize, weights_only
from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from tests.support.select import some
from zoo import runtime
from zoo.data import imagenet as images
from zoo.errors import UnknownNameError, ZooError
from zoo.models.common import classifier, conv_bn, depthwise_bn
from zoo.schema.model import Preprocessing

layers = tf_keras.layers
BGR = Preprocessing(channels="BGR", mean=(104.0, 117.0, 123.0), std=(58.0, 57.0, 56.0))


def network(extra=()):
    tf_keras.utils.set_random_seed(3)
    image = layers.Input((16, 16, 3), name="image")
    x = conv_bn(image, 16, 3, "conv1", stride=2, activation=layers.ReLU(name="relu1"))
    x = depthwise_bn(x, 3, "depthwise", activation=layers.ReLU(6.0, name="relu2"))
    y = conv_bn(x, 64, 1, "conv2", activation=layers.ReLU(name="relu3"))
    z = conv_bn(y, 16, 3, "conv3")
    x = layers.Concatenate(name="concat")([layers.Add(name="add")([x, z]), y])
    for layer in extra:
        x = layer(x)
    return tf_keras.Model(image, classifier(x, 20, 0.0), name="small")


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def pixels():
    """Coarse colored blotches with both black and white in them, whole numbers."""
    noise = np.random.default_rng(0).uniform(0, 255, (24, 4, 4, 3))
    large = tf.image.resize(noise, (16, 16), method="bicubic").numpy()
    large = (large - large.min()) / (large.max() - large.min())
    return np.rint(255 * large).astype(np.float32)


def normalized(pixels):
    return Calibration.of(images.normalize(pixels, BGR), BGR)


@pytest.fixture(scope="module")
def conversions(model, pixels):
    return Conversions(model, normalized(pixels))


def by_tensorflow(model, precision, calibration):
    """The converter alone, from Keras' graph to the finished file."""
    infer = tf.function(
        lambda image: model(image, training=False),
        input_signature=[tf.TensorSpec((1, 16, 16, 3), tf.float32)],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [infer.get_concrete_function()], model
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    ops = tf.lite.OpsSet
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    else:
        wide = ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.representative_dataset = lambda: iter(calibration)
        converter.target_spec.supported_ops = [
            ops.TFLITE_BUILTINS_INT8 if precision == "int8" else wide
        ]
        converter.inference_input_type = tf.int8 if precision == "int8" else tf.int16
        converter.inference_output_type = converter.inference_input_type
    return converter.convert()


def operators(content):
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    return sorted(
        (
            flatbuffer_utils.opcode_to_name(model, op.opcodeIndex),
            model.operatorCodes[op.opcodeIndex].version,
        )
        for op in model.subgraphs[0].operators
    )


def outputs(content, images):
    net = runtime.load(content, "litert", "xnnpack", 1, "test")
    return np.stack([net.run(image) for image in images])


@pytest.mark.parametrize("precision", some(["float16", "int8", "int16x8"], "int8"))
def test_equals_tensorflows_own_conversion(conversions, model, pixels, precision):
    calibration = normalized(pixels)
    ours, theirs = (
        conversions.flatbuffer(precision),
        by_tensorflow(model, precision, calibration),
    )
    assert operators(ours) == operators(theirs)
    images = calibration.images[:4]
    np.testing.assert_array_equal(outputs(ours, images), outputs(theirs, images))


def test_dynamic_weights_are_rounded_to_a_127th_of_the_filters_largest(conversions):
    content = conversions.flatbuffer("dynamic_int8")
    originals = _constants(conversions.flatbuffer("float32"))
    rounded = {
        name: (values, tensor)
        for name, (values, tensor) in _constants(content).items()
        if values.dtype == np.int8
    }
    # conv1 has too few weights, and so have depthwise and the biases.
    assert sorted(name.split("/")[1] for name in rounded) == ["classifier", "conv2", "conv3"]
    for name, (values, tensor) in rounded.items():
        wanted, _ = originals[name]
        if "classifier" in name:
            scale = np.abs(wanted).max() / np.float32(127)
        else:
            scale = np.abs(wanted).max(axis=(1, 2, 3), keepdims=True) / np.float32(127)
        np.testing.assert_allclose(tensor.quantization.scale, np.ravel(scale), rtol=1e-6)
        assert np.abs(values * scale - wanted).max() <= 0.5001 * scale.max()
        assert np.abs(values).max() == 127


def _constants(content):
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    dtypes = {0: np.float32, 9: np.int8}
    return {
        bytes(tensor.name).decode(): (
            np.frombuffer(bytes(raw), dtypes[tensor.type]).reshape(tensor.shape),
            tensor,
        )
        for tensor in model.subgraphs[0].tensors
        if (raw := model.buffers[tensor.buffer].data) is not None and tensor.type in dtypes
    }


@pytest.mark.parametrize(
    ("precision", "largest"),
    [("float32", 1e-5), ("float16", 0.01), ("dynamic_int8", 0.1), ("int8", 0.2)],
)
def test_close_to_keras_and_whole_on_xnnpack(conversions, model, pixels, precision, largest):
    images = normalized(pixels).images[:8]
    content = conversions.flatbuffer(precision)
    wanted = model(images, training=False).numpy()
    error = np.abs(outputs(content, images) - wanted).max()
    assert error < largest * np.abs(wanted).max()
    placement = runtime.load(content, "litert", "xnnpack", 1, "test").placement()
    assert (placement.level, placement.partitions) == ("full", 1)


def test_what_delegates_leave_of_dynamic_depthwise_is_left_out(conversions):
    names = dict(operators(conversions.flatbuffer("dynamic_int8")))
    assert names["DEPTHWISE_CONV_2D"] == 1  # of float32 weights
    assert names["CONV_2D"] == 5  # and conv1's is 1: too few weights


def test_weights_beyond_float16_are_refused(pixels):
    large = network()
    kernel = large.get_layer("conv2").kernel
    kernel.assign(tf.tensor_scatter_nd_update(kernel, [[0, 0, 0, 0]], [1e6]))
    with pytest.raises(ZooError, match=r"too large for float16.*conv2"):
        Conversions(large, normalized(pixels)).flatbuffer("float16")


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic_int8", "int8", "int16x8"])
def test_pixels_in_gives_what_normalized_pictures_give(model, pixels, precision):
    raw = Conversions(model, Calibration(pixels, 0, 255), BGR).flatbuffer(precision)
    interpreter = Interpreter(model_content=raw)
    (details,) = interpreter.get_input_details()
    assert (details["dtype"], details["quantization"]) == (np.uint8, (1.0, 0))
    run = interpreter.get_signature_runner()
    scale, zero_point = interpreter.get_output_details()[0]["quantization"] or (0, 0)
    found = np.stack([run(image=p[None].astype(np.uint8))["logits"][0] for p in pixels[:6]])
    if scale:
        found = (found.astype(np.float32) - zero_point) * scale
    wanted = model(normalized(pixels).images[:6], training=False).numpy()
    allowed = {"float32": 1e-4, "float16": 0.01}.get(precision, 0.25)
    assert np.abs(found - wanted).max() < allowed * np.abs(wanted).max()
    if precision != "int16x8":
        placement = runtime.load(raw, "litert", "xnnpack", 1, "test").placement()
        assert (placement.level, placement.partitions) == ("full", 1)


def test_the_black_and_white_of_pixels_need_not_be_in_the_calibration(model, pixels):
    gray = np.clip(pixels, 60, 200)
    raw = Conversions(model, Calibration(gray, 0, 255), BGR).flatbuffer("int8")
    net = runtime.load(raw, "litert", "xnnpack", 1, "test")
    assert net.input["quantization"] == (1.0, 0)


BAD_SETS = {
    "empty": lambda x: x[:0],
    "wrong shape": lambda x: x[:, :8],
    "no batch": lambda x: x[0],
    "not normalized": lambda x: x * 57 + 117,
    "normalized twice": lambda x: (x - 2) / 57,
    "not a number": lambda x: np.where(x > 1, np.nan, x),
    "one gray": lambda x: np.zeros_like(x),
}


@pytest.mark.parametrize("wrong", BAD_SETS)
@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_unfit_calibration_is_refused(model, pixels, precision, wrong):
    good = normalized(pixels)
    bad = Calibration(BAD_SETS[wrong](good.images), good.low, good.high)
    with pytest.raises(ZooError, match="unfit calibration images"):
        Conversions(model, bad).flatbuffer(precision)


def test_an_absurd_scale_is_refused(pixels):
    dead = network()
    classifier = dead.get_layer("classifier")
    classifier.kernel.assign(1e-9 * classifier.kernel)
    with pytest.raises(ZooError, match=r"implausible scale.*small, tensor.*got: 7.8\d+e-09"):
        Conversions(dead, normalized(pixels)).flatbuffer("int8")


@tf_keras.saving.register_keras_serializable("test")
class Foreign(tf_keras.layers.Layer):
    def call(self, inputs):
        return tf.math.igamma(tf.abs(inputs) + 1, tf.abs(inputs) + 1)


def test_a_converter_failure_names_the_layer_and_the_operator(pixels):
    model = network([Foreign(name="foreign_layer")])
    told = r"where: operator small/foreign_layer/Igamma.*neither a custom op nor a flex op"
    with pytest.raises(ZooError, match=told):
        Conversions(model, normalized(pixels)).flatbuffer("float32")


def test_a_quantizer_failure_keeps_its_message(conversions, pixels):
    content = conversions.flatbuffer("int8")  # is no float model any more
    with pytest.raises(ZooError, match=r"cannot quantize to int16x8 .*small.*got: \w+"):
        quantize.int16x8(content, normalized(pixels), "small")


CARD = {
    "name": "small",
    "description": "for a test",
    "license": "none",
    "labels": ["shirt", "šaty", "trouser, wide"],
    "preprocessing": {
        "channels": "BGR",
        "formula": "(pixel - mean) / std",
        "mean": [104, 117, 123],
        "std": [58, 57, 56],
    },
    "metrics": {"accuracy": 0.5},
}


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_a_card_is_read_back_and_changes_nothing_else(conversions, pixels, precision):
    plain = conversions.flatbuffer(precision)
    carded = metadata.attach(plain, CARD)
    assert carded == metadata.attach(plain, CARD)
    images = normalized(pixels).images[:2]
    np.testing.assert_array_equal(outputs(plain, images), outputs(carded, images))
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(carded))
    entries = {bytes(m.name).decode(): bytes(model.buffers[m.buffer].data) for m in model.metadata}
    assert json.loads(entries["MODEL_CARD_JSON"]) == CARD
    assert entries["TFLITE_METADATA"][4:8] == b"M001"
    with zipfile.ZipFile(io.BytesIO(carded)) as files:
        assert files.read("labels.txt").decode() == "shirt\nšaty\ntrouser, wide\n"


def test_errors_come_back_from_worker_processes():
    for error in (UnknownNameError("run", "x", ["xa", "b"]), ZooError("bad", got=3, remedy="go")):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert isinstance(again, ZooError)
        assert str(again) == str(error)


def test_deterministic(model, pixels):
    one, two = (Conversions(model, normalized(pixels)).flatbuffer("int8") for _ in range(2))
    images = normalized(pixels).images[:4]
    np.testing.assert_array_equal(outputs(one, images), outputs(two, images))


def test_edits_leave_a_bare_flatbuffer_alone(conversions):
    before = conversions.flatbuffer("float32")
    copy = bytes(before)
    weights_only.float16(before, "x")
    weights_only.dynamic_int8(before)
    quantize.check_scales(before, "x")
    assert before == copy
