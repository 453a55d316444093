"""The inspection against LiteRT, its generated schema, Keras, and models that others made."""

import json
from collections import Counter

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from converters.inspection import arena, inspect, macs, runtimes
from converters.inspection.render import text
from converters.tflite import counts as flatbuffer
from converters.tflite import options
from converters.tflite.reader import read
from tests.support import processes
from tests.support.tflite_samples import FOREIGN, foreign, plain_interpreter
from tests.support.tiny_tflite import tiny_model
from zoo.runtime.sandbox import Sandbox

SPARSE = "face_detection_full_range_sparse"


def _content(name):
    return foreign(name).read_bytes()


def _text(name):
    return (name or b"").decode()


@pytest.mark.parametrize("name", FOREIGN)
def test_structure_equals_what_the_generated_reader_finds(name):
    content = _content(name)
    ours, theirs = read(content, name), flatbuffer_utils.read_model_from_bytearray(content)
    assert len(ours.graphs) == len(theirs.subgraphs)
    for graph, other in zip(ours.graphs, theirs.subgraphs, strict=True):
        assert graph.inputs == tuple(other.inputs if other.inputs is not None else ())
        assert graph.outputs == tuple(other.outputs if other.outputs is not None else ())
        for tensor, twin in zip(graph.tensors, other.tensors, strict=True):
            _same_tensor(ours, theirs, tensor, twin)
        for op, twin in zip(graph.operators, other.operators, strict=True):
            assert op.name == flatbuffer_utils.opcode_to_name(theirs, twin.opcodeIndex)
            assert op.version == theirs.operatorCodes[twin.opcodeIndex].version
            assert op.inputs == tuple(() if twin.inputs is None else twin.inputs)
            assert op.outputs == tuple(() if twin.outputs is None else twin.outputs)
            _same_options(op, twin)
    assert [each.name for each in ours.metadata] == [_text(m.name) for m in theirs.metadata or []]
    for entry, twin in zip(ours.metadata, theirs.metadata or [], strict=True):
        assert bytes(ours.raw(entry.data)) == bytes(theirs.buffers[twin.buffer].data)
    for each, twin in zip(ours.signatures, theirs.signatureDefs or [], strict=True):
        assert each.key == _text(twin.signatureKey)
        assert each.inputs == {_text(t.name): t.tensorIndex for t in twin.inputs}
        assert each.outputs == {_text(t.name): t.tensorIndex for t in twin.outputs}


def _same_tensor(ours, theirs, tensor, twin):
    assert tensor.name == _text(twin.name)
    assert tensor.shape == tuple(() if twin.shape is None else twin.shape)
    assert getattr(schema.TensorType, tensor.type) == twin.type
    assert tensor.sparse == (twin.sparsity is not None)
    data = theirs.buffers[twin.buffer].data
    assert bytes(ours.raw(tensor.data or (0, 0))) == (b"" if data is None else bytes(data))
    scales = twin.quantization.scale if twin.quantization else None
    if scales is None or len(scales) == 0:
        assert tensor.quantization is None
    else:
        assert tensor.quantization.scales == pytest.approx(list(scales))
        assert tensor.quantization.zero_points == tuple(twin.quantization.zeroPoint)
        assert tensor.quantization.axis == twin.quantization.quantizedDimension


_FIELDS = {
    "activation": "fusedActivationFunction",
    "dilation_w": "dilationWFactor",
    "dilation_h": "dilationHFactor",
    "filter_w": "filterWidth",
    "filter_h": "filterHeight",
}


def _camel(name):
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _same_options(op, twin):
    for field, value in op.options.items():
        assert value == getattr(twin.builtinOptions, _FIELDS.get(field, _camel(field))), op.name


def test_every_known_option_equals_the_generated_reader():
    """Writes each options table with values of its own, since real models leave most at default."""
    for number, (name, fields) in options.TABLES.items():
        assert getattr(schema.BuiltinOptions, name) == number
        table = getattr(schema, f"{name}T")()
        for value, field in enumerate(fields, start=1):
            one = 1 if fields[field][1] == "u1" else value
            setattr(table, _FIELDS.get(field, _camel(field)), one)
        model = schema.ModelT()
        model.version, model.buffers = 3, [schema.BufferT()]
        code, op, graph = schema.OperatorCodeT(), schema.OperatorT(), schema.SubGraphT()
        op.opcodeIndex, op.builtinOptionsType, op.builtinOptions = 0, number, table
        graph.tensors, graph.operators = [], [op]
        model.operatorCodes, model.subgraphs = [code], [graph]
        content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
        found = read(content, name).main.operators[0]
        assert set(found.options) == set(fields)
        _same_options(found, op)


@pytest.mark.parametrize("name", FOREIGN)
def test_operators_equal_litert(name):
    content = _content(name)
    details = plain_interpreter(content)._get_ops_details()
    ours = read(content, name).main.operators
    assert [op.name for op in ours] == [op["op_name"] for op in details]
    assert [list(op.inputs) for op in ours] == [list(op["inputs"]) for op in details]


@pytest.mark.parametrize("name", FOREIGN)
def test_arena_equals_litert(name):
    """The span of LiteRT's own tensors in memory, with reference kernels, which need no scratch."""
    content = _content(name)
    graph = read(content, name).main
    planned = arena.plan(graph)
    found = plain_interpreter(content)
    first = {i: found.tensor(i)().__array_interface__["data"][0] for i in planned.offsets}
    base = min(first.values())
    ends = [first[i] - base + graph.tensors[i].bytes for i in first]
    assert planned.bytes == max(ends)
    # Two equal tensors of equal lifetime may change places; the rest lies as planned.
    same = sum(first[i] - base == planned.offsets[i] for i in first)
    assert same >= 0.95 * len(first)


def test_arena_counts_what_is_alive_together(tmp_path):
    graph = read(tiny_model(tmp_path / "t.tflite").read_bytes(), "t").main
    planned = arena.plan(graph)
    # The image is held throughout, 8 maps until the logits are there; the result lies over them.
    assert planned.bytes == 16 * 16 * 4 + 16 * 16 * 8 * 4 + 10 * 4
    assert graph.tensors[planned.largest[0]].name == "conv/relu"


@pytest.mark.parametrize("name", [SPARSE, "okay_nabu"])
def test_oldest_runtime_equals_the_converters_own_metadata(name):
    found = runtimes.oldest(read(_content(name), name))
    assert found.version == found.stated
    assert found.unknown == ()


def test_oldest_runtime_is_not_guessed():
    assert runtimes.release("FULLY_CONNECTED", 12) == (2, 17, 0)
    assert runtimes.release("TRANSPOSE", 7) == (2, 14, 4)
    assert runtimes.release("BROADCAST_TO", 1) is None
    assert runtimes.release("FULLY_CONNECTED", 99) is None
    assert runtimes.release("UNKNOWN_300", 1) is None


def test_macs_by_hand(tmp_path):
    path = tiny_model(tmp_path / "t.tflite", image_size=16, filters=8, classes=10)
    model = read(path.read_bytes(), "t")
    assert macs.total(model) == 16 * 16 * 8 * 9 + 16 * 16 * 8 * 10
    assert flatbuffer.count(model).parameters == 8 * 9 + 8 + 16 * 16 * 8 * 10 + 10


def test_macs_of_sparse_and_dense_weights_follow_the_output(tmp_path):
    model = read(_content("face_detection_front"), "front")
    first = next(op for op in model.main.operators if op.name == "CONV_2D")
    # BlazeFace's first layer: 5×5, 3 → 24 channels, 128 → 64 pixels.
    assert macs.of_operator(model.main, first) == 64 * 64 * 24 * 5 * 5 * 3


@pytest.mark.slow
def test_parameters_macs_and_runtime_equal_keras_and_the_converter(tmp_path):
    done = processes.run("tests.support.keras_files", str(tmp_path))
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.split("SAID ")[1])
    by_hand = 18_432 + 5_184 + 14_400 + 31_104 + 6_048  # convolution by convolution, and Dense
    for name, parameters, counted in said:
        found = inspect.inspect(
            (tmp_path / f"{name}.tflite").read_bytes(), name, "snapdragon_865_gpu"
        )
        assert found.parameters == parameters
        assert found.macs == (counted or by_hand)
        assert found.runtime.version == found.runtime.stated


def test_placement_and_what_is_left():
    with Sandbox("litert") as runner:
        taken = runner.placement(foreign(SPARSE))
        assert (taken.level, taken.partitions) == ("full", 1)
        assert taken.nodes == len(read(_content(SPARSE), "").main.operators)
        assert taken.model_dump()["left"] == {}
        partial = runner.placement(foreign("okay_nabu"))
    left = partial.model_dump()["left"]
    assert sum(left.values()) == partial.nodes - partial.delegated > 0
    # XNNPACK's public guide knows neither of these, but convolutions of int8.
    counts = Counter(op.name for op in read(_content("okay_nabu"), "").main.operators)
    assert (left["SPLIT_V"], left["CALL_ONCE"]) == (counts["SPLIT_V"], counts["CALL_ONCE"])
    assert "CONV_2D" not in left


def test_roofline_by_hand(tmp_path):
    path = tiny_model(tmp_path / "t.tflite")
    found = inspect.inspect(path.read_bytes(), "t", "snapdragon_865_gpu")
    activations = 1024 + 2 * 8192 + 3 * 40  # image, maps written and read, logits twice, result
    moved = activations + 4 * found.parameters
    assert found.roofline.bytes == moved
    assert found.roofline.memory_us == pytest.approx(moved / 44e3)
    assert found.roofline.compute_us == pytest.approx(2 * found.macs / 1450e3)
    assert found.roofline.bound == "memory"


def test_text_starts_with_the_verdict_and_hides_control_characters(tmp_path):
    content = tiny_model(tmp_path / "t.tflite").read_bytes().replace(b"image", b"im\x1b\n\x07")
    found = inspect.inspect(content, "a\x1b[31mb", "snapdragon_865_gpu", tensors=True)
    lines = text(found).split("\n")
    assert lines[0].startswith("a [31mb  ")
    assert lines[1].startswith("  XNNPACK")
    assert all(c.isprintable() for line in lines for c in line)
    assert len(found.tensors) == 8


def test_int16_activations_need_a_runtime_that_has_them():
    """TensorFlow's 16x8 quantizer leaves the versions of the int8 forms in the file."""
    import tf_keras

    from converters.conversion.from_keras import Conversions
    from converters.conversion.quantize import Calibration

    image = tf_keras.layers.Input((6, 6, 2), name="image")
    x = tf_keras.layers.Conv2D(3, 3)(image)
    model = tf_keras.Model(image, tf_keras.layers.GlobalAveragePooling2D()(x), name="wide")
    noise = np.random.default_rng(1).uniform(-1, 1, (8, 6, 6, 2)).astype(np.float32)
    conversions = Conversions(model, Calibration(noise, -1, 1))
    found = runtimes.oldest(read(conversions.flatbuffer("int16x8"), "int16x8"))
    assert (found.version, found.because) == ("2.4.0", ("MEAN v3",))
    assert found.stated == "2.4.0"
    assert runtimes.oldest(read(conversions.flatbuffer("int8"), "int8")).version == "1.14.0"
