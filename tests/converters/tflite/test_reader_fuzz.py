"""Files that nobody should send: each gives a report or one ZooError, soon and in little memory."""

import json
import resource
import time

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.inspection import arena
from converters.inspection.inspect import inspect
from converters.inspection.render import text
from converters.tflite.model import Graph, Operator, Tensor
from converters.tflite.reader import read
from tests.support.processes import HANG_S
from tests.support.tflite_samples import foreign, mutated
from tests.support.tiny_tflite import tiny_model
from zoo.errors import ZooError
from zoo.runtime.sandbox import Sandbox

_MORE_MEMORY_KB = 150_000
# 10,000 in all; the smallest file is nothing but structure.
_MUTATIONS = {
    "tiny": (1_000, 8_900),
    "okay_nabu": (100, 900),
    "face_detection_full_range_sparse": (40, 200),
}


def _original(name, folder):
    if name != "tiny":
        return foreign(name).read_bytes()
    return tiny_model(folder / "t.tflite", image_size=4, filters=2, classes=3).read_bytes()


def _report(content):
    """Everything that the command does but run the file; True where it is a report."""
    try:
        found = inspect(content, "mutated", "snapdragon_865_gpu", tensors=True)
    except ZooError as error:
        assert "\n" not in str(error)
        return False
    assert text(found)
    json.dumps(found.as_json(), allow_nan=False)
    return True


@pytest.mark.parametrize(
    ("name", "seeds"),
    [
        case
        for name, (few, every) in _MUTATIONS.items()
        for case in (
            pytest.param(name, range(few), id=f"{name}-{few}"),
            pytest.param(
                name, range(few, every), id=f"{name}-{every - few}", marks=pytest.mark.slow
            ),
        )
    ],
)
def test_mutated_files(name, seeds, tmp_path):
    original = _original(name, tmp_path)
    assert _report(original)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reports, slowest_s = 0, 0.0
    for seed in seeds:
        content = mutated(original, seed)
        began = time.process_time()
        reports += _report(content)
        slowest_s = max(slowest_s, time.process_time() - began)
    assert slowest_s < HANG_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < _MORE_MEMORY_KB
    # Both ends are exercised: neither is everything refused, nor does damage pass unseen.
    assert 0.05 < reports / len(seeds) < 0.6


def test_runtime_crashes_cost_one_file_each(tmp_path):
    """LiteRT may die of a file that reads well; the next one is run all the same."""
    good = tmp_path / "good.tflite"
    good.write_bytes(_original("tiny", tmp_path))
    outcomes = {"placed": 0, "refused": 0}
    with Sandbox("litert", timeout_s=HANG_S) as runner:
        for name, seeds in (("tiny", range(400)), ("okay_nabu", range(60))):
            original = _original(name, tmp_path)
            for seed in seeds:
                content = mutated(original, seed)
                if not _report(content):
                    continue
                path = tmp_path / "bad.tflite"
                path.write_bytes(content)
                try:
                    runner.placement(path)
                    outcomes["placed"] += 1
                except ZooError as error:
                    assert "\n" not in str(error)
                    outcomes["refused"] += 1
        assert runner.placement(good).level == "full"
    assert outcomes["placed"] > 20
    assert outcomes["refused"] > 5


def _subgraphs_that_repeat(subgraphs, tensors):
    """A few kilobytes that claim subgraphs × tensors tensors, all the same one."""
    build = flatbuffers.Builder(0)
    schema.TensorStart(build)
    tensor = schema.TensorEnd(build)
    schema.SubGraphStartTensorsVector(build, tensors)
    for _ in range(tensors):
        build.PrependUOffsetTRelative(tensor)
    vector = build.EndVector()
    schema.SubGraphStart(build)
    schema.SubGraphAddTensors(build, vector)
    graph = schema.SubGraphEnd(build)
    schema.BufferStart(build)
    buffer = schema.BufferEnd(build)
    schema.ModelStartBuffersVector(build, 1)
    build.PrependUOffsetTRelative(buffer)
    buffers = build.EndVector()
    schema.ModelStartSubgraphsVector(build, subgraphs)
    for _ in range(subgraphs):
        build.PrependUOffsetTRelative(graph)
    graphs = build.EndVector()
    schema.ModelStart(build)
    schema.ModelAddBuffers(build, buffers)
    schema.ModelAddSubgraphs(build, graphs)
    build.Finish(schema.ModelEnd(build), file_identifier=b"TFL3")
    return bytes(build.Output())


def test_the_same_table_a_billion_times():
    """Following every reference would take an hour."""
    content = _subgraphs_that_repeat(30_000, 30_000)
    assert len(content) < 300_000
    with pytest.raises(ZooError, match="too many references to the same bytes"):
        read(content, "laughs")
    assert len(read(_subgraphs_that_repeat(2, 3), "few").graphs) == 2


def _model(path, change):
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(path.read_bytes()))
    change(model)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _shape(tensor, shape):
    def change(model):
        model.subgraphs[0].tensors[tensor].shape = shape

    return change


def _scale(value):
    def change(model):
        quantized = schema.QuantizationParametersT()
        quantized.scale, quantized.zeroPoint = [value], [0]
        model.subgraphs[0].tensors[0].quantization = quantized

    return change


def _index(model):
    model.subgraphs[0].operators[0].inputs = [0, 99, 2]


def _code(model):
    model.subgraphs[0].operators[1].opcodeIndex = 7


def _buffer(model):
    model.subgraphs[0].tensors[1].buffer = 1000


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_shape(0, [2**31 - 1] * 4), "elements"),
        (_shape(0, [-1, 16, 16, 1]), "shape"),
        (_shape(0, [1] * 40), "shape"),
        (_shape(1, [8, 3, 3, 2]), "bytes of data"),
        (_scale(float("nan")), "not finite"),
        (_index, "tensor 99 of 8"),
        (_code, "entry 7 of 3"),
        (_buffer, "entry 1000 of"),
    ],
)
def test_nonsense_is_named(tmp_path, change, told):
    content = _model(tiny_model(tmp_path / "t.tflite"), change)
    with pytest.raises(ZooError, match=f"damaged .tflite file.*{told}"):
        read(content, "nonsense")


def test_data_behind_the_flatbuffer_is_found(tmp_path):
    """As in files above 2 GB."""
    path = tiny_model(tmp_path / "t.tflite")
    original = read(path.read_bytes(), "t")
    weights = bytes(original.raw(original.main.tensors[1].data))

    def moved(at):
        def change(model):
            buffer = model.buffers[model.subgraphs[0].tensors[1].buffer]
            buffer.data, buffer.offset, buffer.size = None, at, len(weights)

        return _model(path, change)

    size = len(moved(2**20))
    found = read(moved(size) + weights, "outside")
    assert bytes(found.raw(found.main.tensors[1].data)) == weights
    with pytest.raises(ZooError, match="past the end of the file"):
        read(moved(size) + weights[:-1], "cut")


@st.composite
def _graphs(draw):
    """Graphs whose operators read tensors that exist already."""
    sizes = draw(st.lists(st.integers(1, 3000), min_size=2, max_size=14))
    tensors = tuple(
        Tensor(i, "", (size,), (), "INT8", None, None, False, False) for i, size in enumerate(sizes)
    )
    operators = []
    for index in range(1, len(sizes)):
        inputs = draw(st.lists(st.integers(0, index - 1), min_size=1, max_size=3))
        name = draw(st.sampled_from(["CONV_2D", "ADD", "RESHAPE"]))
        operators.append(Operator(index - 1, name, "builtin", 1, tuple(inputs), (index,), {}))
    return Graph("", tensors, tuple(operators), (0,), (len(sizes) - 1,))


@settings(max_examples=200, deadline=None)
@given(_graphs())
def test_tensors_that_live_together_do_not_overlap(graph):
    planned = arena.plan(graph)
    last = {
        i: max([op.index for op in graph.operators if i in op.inputs], default=10**6)
        for i in planned.offsets
    }
    first = {i: max(0, i - 1) for i in planned.offsets}
    for held in (*graph.inputs, *graph.outputs):
        last[held] = 10**6
    occupied = np.zeros(len(graph.operators), np.int64)
    for i, start in planned.offsets.items():
        assert start % arena.ALIGNMENT == 0
        size = graph.tensors[i].bytes
        assert start + size <= planned.bytes
        occupied[first[i] : min(last[i], len(occupied)) + 1] += size
        for j, other in planned.offsets.items():
            together = first[i] <= last[j] and first[j] <= last[i]
            if i < j and together:
                assert start + size <= other or other + graph.tensors[j].bytes <= start
    assert planned.bytes >= occupied.max()
