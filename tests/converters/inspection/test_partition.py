"""Partitions of graphs, and whether LiteRT's GPU engine runs the same ones."""

import dataclasses

import pytest

from converters.inspection import gpu, partition
from converters.tflite.build import Builder
from converters.tflite.model import Graph, Operator, Tensor
from converters.tflite.reader import read
from tests.support.engines import working
from tests.support.tflite_samples import foreign

SHAPE = (1, 4, 4, 8)
REFUSED = "L2_NORMALIZATION"
TABLES = {REFUSED: "L2NormOptions", "ABS": "AbsOptions", "ADD": "AddOptions"}


def _graph(*operators):
    """Returns a graph of (inputs, output), with the input 0."""
    made = tuple(
        Operator(index, "ABS", "builtin", 1, inputs, (output,), {})
        for index, (inputs, output) in enumerate(operators)
    )
    return Graph("", (), made, (0,), (made[-1].outputs[0],))


def test_operators_in_a_row_are_one_set():
    graph = _graph(((0,), 1), ((1,), 2), ((2,), 3))
    assert partition.delegated(graph, {0, 1, 2}) == [[0, 1, 2]]
    assert partition.delegated(graph, {0, 2}) == [[0], [2]]
    assert partition.delegated(graph, ()) == []


def test_an_operator_that_does_not_depend_on_the_cpus_runs_before_it():
    # 0 → 1 (CPU) → 2 → 4, and 0 → 3 → 4.
    graph = _graph(((0,), 1), ((1,), 2), ((2,), 3), ((1,), 4), ((3, 4), 5))
    assert partition.delegated(graph, {0, 2, 3, 4}) == [[0, 3], [2, 4]]


def test_branches_join_after_the_cpu():
    # The CPU's 0 and 1 come first, as the graph begins with one of them.
    graph = _graph(((0,), 1), ((0,), 2), ((1,), 3), ((2,), 4), ((3, 4), 5))
    assert partition.delegated(graph, {1, 2, 3, 4}) == [[1, 2, 3, 4]]
    assert partition.delegated(graph, {2, 3, 4}) == [[2, 3, 4]]


def test_what_is_left_out_runs_before_all_others():
    graph = _graph(((9,), 8), ((0,), 1), ((1, 8), 2))
    assert partition.delegated(graph, {0, 1, 2}, {0}) == [[1, 2]]


def test_operators_with_effects_keep_their_order():
    kinds = ("FLOAT32", "FLOAT32", "FLOAT32", "FLOAT32", "FLOAT32", "RESOURCE")
    tensors = tuple(
        Tensor(i, "", (1,), (), kind, None, None, False, False) for i, kind in enumerate(kinds)
    )
    # The CPU could read the variable, 5, at once, were it not assigned before.
    steps = (((0,), (1,)), ((0,), (2,)), ((5, 2), ()), ((5,), (3,)), ((3,), (4,)))
    operators = tuple(
        Operator(index, "ANY", "builtin", 1, inputs, outputs, {})
        for index, (inputs, outputs) in enumerate(steps)
    )
    graph = Graph("", tensors, operators, (0, 5), (1, 4))
    assert partition.delegated(graph, {1, 4}) == [[1], [4]]
    floats = tuple(dataclasses.replace(tensor, type="FLOAT32") for tensor in tensors)
    without = dataclasses.replace(graph, tensors=floats)
    assert partition.delegated(without, {1, 4}) == [[1, 4]]


def test_operators_that_wait_for_each_other_end():
    assert partition.delegated(_graph(((2,), 1), ((1,), 2)), {0, 1}) == []


def test_many_operators_are_cut_in_rows():
    many = 3_000
    graph = _graph(*(((index,), index + 1) for index in range(many)))
    alternating = set(range(0, many, 2))
    assert len(partition.delegated(graph, alternating)) == many // 2


def _file(*steps):
    """Returns a file of (operator, inputs), numbered from 1; 0 is the graph's input."""
    build = Builder()
    tensors = [build.add_tensor("input", SHAPE)]
    for number, (name, inputs) in enumerate(steps, start=1):
        tensors.append(build.add_tensor(f"t{number}", SHAPE))
        build.add_operator(name, [tensors[i] for i in inputs], [tensors[-1]], (TABLES[name], {}))
    return build.file(tensors[:1], tensors[-1:])


FILES = {
    "chain": _file(
        ("ABS", [0]), ("ABS", [1]), (REFUSED, [2]), ("ABS", [3]), ("ABS", [4]), ("ABS", [5])
    ),
    "branches": _file(
        ("ABS", [0]), (REFUSED, [1]), ("ABS", [2]), ("ABS", [1]), ("ABS", [4]), ("ADD", [3, 5])
    ),
    "refused first": _file((REFUSED, [0]), ("ABS", [0]), ("ADD", [1, 2]), ("ABS", [3])),
}  # fmt: skip


@pytest.fixture(scope="module")
def engine():
    yield from working("litert_gpu")


@pytest.mark.parametrize("name", FILES)
def test_the_engine_runs_the_largest_partition(engine, tmp_path, name):
    path = tmp_path / "parts.tflite"
    path.write_bytes(FILES[name])
    verdict = gpu.ml_drift(read(FILES[name], name), ())
    placement = engine.placement(path, "gpu")
    assert (verdict.operators, verdict.on_gpu) == (placement.nodes, placement.delegated)
    assert verdict.on_gpu < verdict.taken or verdict.partitions == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["face_detection_front", "iris_landmark", "okay_nabu"])
def test_the_engine_takes_what_the_rules_say_of_files_of_other_makers(engine, name):
    verdict = gpu.ml_drift(read(foreign(name).read_bytes(), name), ())
    placement = engine.placement(foreign(name), "gpu")
    assert (verdict.operators, verdict.on_gpu) == (placement.nodes, placement.delegated)
