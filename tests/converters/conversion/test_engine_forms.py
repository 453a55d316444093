"""Forms that every engine computes right: the same values, on the CPU, the GPU and the NPU."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from converters.conversion.engine_forms import for_every_engine
from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.parity import engines
from converters.parity.engines import Inputs
from converters.parity.tensor_inputs import random_inputs
from converters.tflite.reader import read
from tests.support.engines import working
from tests.support.select import some
from tests.support.tiny_tflite import tiny_model
from tests.support.wrong_operators import pointwise_multiplier, pointwise_stride_2

layers = tf_keras.layers
RANDOM = np.random.default_rng(7)


@pytest.fixture(scope="module", params=["litert_gpu", "litert_npu"])
def engine(request):
    for runner in working(request.param):
        yield runner, request.param.removeprefix("litert_")


def operators(content):
    return [op.name for op in read(content, "test").main.operators]


@pytest.mark.parametrize("made", [pointwise_multiplier, pointwise_stride_2])
def test_padded_kernels_compute_the_same(cpu, engine, tmp_path, made):
    before, after = tmp_path / "before.tflite", tmp_path / "after.tflite"
    made(before)
    after.write_bytes(for_every_engine(before.read_bytes(), integers=True))
    inputs = random_inputs(before, 4)
    (expected,) = cpu.run_tensors(before, inputs)
    (found,) = cpu.run_tensors(after, inputs)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert cpu.placement(after).level == "full"
    (row,) = engines.compare(after, Inputs(inputs), cpu, [engine], lambda _: None)
    assert row.reasons == ()


def test_what_is_right_stays_as_it_is(tmp_path):
    content = tiny_model(tmp_path / "tiny.tflite").read_bytes()
    assert for_every_engine(content, integers=True) is content


def strided():
    image = layers.Input((8, 8, 32), name="image")
    x = layers.Conv2D(64, 1, strides=2, name="strided")(image)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return tf_keras.Model(image, layers.Dense(4, name="dense")(x), name="strided")


def test_a_strided_kernel_of_integers_is_padded_whatever_the_activations(cpu, tmp_path):
    model = strided()
    images = np.random.default_rng(1).uniform(-1, 1, (20, 8, 8, 32)).astype(np.float32)
    conversions = Conversions(model, Calibration(images, -1, 1))
    for runner in working("litert_gpu"):
        for precision, size in (("float32", 1), ("dynamic_int8", 2), ("int8", 2)):
            path = tmp_path / f"{precision}.tflite"
            path.write_bytes(conversions.flatbuffer(precision))
            graph = read(path.read_bytes(), "test").main
            (kernel,) = (graph.input(op, 1) for op in graph.operators if op.name == "CONV_2D")
            assert kernel.shape[1:3] == (size, size), precision
            inputs = Inputs(random_inputs(path, 8))
            (row,) = engines.compare(path, inputs, cpu, [(runner, "gpu")], lambda _: None)
            assert row.reasons == (), precision


def network(slopes):
    """PReLUs of one weight, a gate of a single hidden unit, a strided shortcut, a multiplier."""
    image = layers.Input((8, 8, 4), name="image")
    x = layers.Conv2D(8, 3, padding="same", name="conv")(image)
    for number, slope in enumerate(slopes):
        x = layers.PReLU(
            alpha_initializer=tf_keras.initializers.Constant(slope),
            shared_axes=(1, 2, 3),
            name=f"prelu{number}",
        )(x)
        x = layers.DepthwiseConv2D(3, padding="same", name=f"depthwise{number}")(x)
    gate = layers.GlobalAveragePooling2D(name="mean")(x)
    gate = layers.Dense(1, use_bias=False, activation="relu", name="squeeze")(gate)
    gate = layers.Dense(8, use_bias=False, activation="sigmoid", name="excite")(gate)
    x = layers.Multiply(name="gate")([x, layers.Reshape((1, 1, 8), name="map")(gate)])
    x = layers.Conv2D(8, 1, strides=2, name="shortcut")(x)
    x = layers.DepthwiseConv2D(1, depth_multiplier=4, name="tail")(x)
    x = layers.Dense(5, name="logits")(layers.GlobalAveragePooling2D(name="pool")(x))
    return tf_keras.Model(image, x, name="net")


@pytest.fixture(scope="module")
def model():
    tf_keras.utils.set_random_seed(3)
    made = network((-0.5, 0.25, 1.5, 1.0))
    made.get_layer("squeeze").set_weights([np.ones((8, 1), np.float32)])
    return made


@pytest.fixture(scope="module")
def images():
    return RANDOM.uniform(-2, 2, (40, 8, 8, 4)).astype(np.float32)


@pytest.mark.parametrize(
    "precision", some(["float32", "float16", "dynamic_int8", "int8", "int16x8"], "float32", "int8")
)
def test_a_network_of_all_of_them(model, images, cpu, engine, tmp_path, precision):
    content = Conversions(model, Calibration(images, -2, 2)).flatbuffer(precision)
    path = tmp_path / f"{precision}.tflite"
    path.write_bytes(content)
    found = cpu.outputs(path, images[:8])
    expected = model(images[:8]).numpy()
    scale = np.abs(expected).max()
    tolerance = {"float32": 1e-5, "float16": 5e-3}.get(precision, 0.1)
    np.testing.assert_allclose(found / scale, expected / scale, atol=tolerance)
    if precision == "int16x8":  # for which neither delegates nor accelerators are meant
        return
    assert cpu.placement(path).level == "full"
    names = operators(content)
    assert ("LEAKY_RELU" in names) and ("PRELU" in names) == (precision != "int8")
    if precision == "int8":
        assert names.count("FULLY_CONNECTED") == 2, "squeeze and logits; excite is a product"
    if (precision, engine[1]) == ("dynamic_int8", "npu"):
        return  # it leaves those to the CPU
    inputs = random_inputs(path, 8)
    (row,) = engines.compare(path, Inputs(inputs), cpu, [engine], lambda _: None)
    assert (row.reasons, row.first) == ((), None) and row.placement.level == "full"


def test_a_product_has_the_values_of_the_dense_layer(cpu, tmp_path):
    """Quantized with a scale for each unit, as the converter does it after training."""
    x = tf_keras.Input((4,), name="image")
    hidden = layers.Dense(1, use_bias=False, activation="relu", name="squeeze")(x)
    model = tf_keras.Model(x, layers.Dense(6, use_bias=False, name="excite")(hidden))
    model.set_weights([np.ones((4, 1), np.float32), np.array([[1, -2, 3, 0.01, 0, 5]], np.float32)])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    values = RANDOM.uniform(0, 1, (30, 1, 4)).astype(np.float32)
    converter.representative_dataset = lambda: ([each] for each in values)
    converter.inference_input_type = converter.inference_output_type = tf.int8
    before, after = tmp_path / "before.tflite", tmp_path / "after.tflite"
    before.write_bytes(converter.convert())
    after.write_bytes(for_every_engine(before.read_bytes(), integers=True))
    assert operators(after.read_bytes())[-2:] == ["FULLY_CONNECTED", "MUL"]
    inputs = random_inputs(before, 16)
    (expected,) = cpu.run_tensors(before, inputs, "none")
    (found,) = cpu.run_tensors(after, inputs, "none")
    np.testing.assert_allclose(found, expected, atol=3 * np.ptp(expected) / 255)
