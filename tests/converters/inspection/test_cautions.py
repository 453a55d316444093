"""Cautions about operators that an engine computes wrong."""

import pytest

from converters.inspection import cautions, gpu, gpu_classic, gpu_ml_drift
from converters.parity.signals import DEPARTS_DB, worst_db
from converters.parity.tensor_inputs import random_inputs
from converters.studies.gpu_rules.cases import all_cases
from converters.tflite.reader import read
from tests.support.engines import working
from tests.support.processes import HANG_S
from zoo.runtime.sandbox import Sandbox

CASES = {case.name: case for case in all_cases()}
ML_DRIFT, CLASSIC = gpu_ml_drift.NAME, gpu_classic.NAME


def _found(name):
    return cautions.check(read(CASES[name].content, name))


@pytest.mark.parametrize(
    ("name", "engines"),
    [
        ("LEAKY_RELU float32, slope -0.25", {ML_DRIFT, CLASSIC}),
        ("LEAKY_RELU int8, slope -0.25", {ML_DRIFT, CLASSIC, "Qualcomm's NPU"}),
        ("LEAKY_RELU int8, slope 1.5", {ML_DRIFT, CLASSIC}),
        ("CONV_2D int8, 1×1, stride 2", {ML_DRIFT}),
        ("CONV_2D dynamic_int8, 1×1, stride 3", {ML_DRIFT}),
        ("CONV_2D float32, 3×3, TANH", {cautions.CPU}),
        ("DEPTHWISE_CONV_2D float32, 1×1, multiplier 4", {ML_DRIFT}),
        ("ADD int8, maps and a vector of rank 2", {ML_DRIFT}),
        ("MUL int8, maps and a vector of rank 1", {ML_DRIFT}),
        ("FULLY_CONNECTED int8, maps, not flattened", {ML_DRIFT}),
        ("FULLY_CONNECTED float32, computed weights", {ML_DRIFT}),
        ("BATCH_MATMUL float32, constant of rank 2, transposed", {ML_DRIFT, CLASSIC}),
        ("PAD float32, 3×2", {ML_DRIFT, CLASSIC}),
    ],
)
def test_cautions_name_their_engines(name, engines):
    (found,) = [each for each in _found(name) if each.engines[0] != cautions.NPU]
    assert set(found.engines) == engines
    assert found.operator == CASES[name].operator and found.count == 1


@pytest.mark.parametrize(
    "name",
    [
        "LEAKY_RELU float32, slope 0.1",
        "CONV_2D float32, 1×1, stride 2",
        "CONV_2D int8, 2×2, stride 2",
        "CONV_2D int8, 1×1, stride 1",
        "CONV_2D uint8, 1×1, stride 2",
        "DEPTHWISE_CONV_2D float32, 2×2, multiplier 4",
        "DEPTHWISE_CONV_2D float32, 1×1, multiplier 8 of one channel",
        "ADD float32, maps and a vector of rank 2",
        "ADD int8, maps and constant a vector of rank 2",
        "ADD int8, maps and a vector of rank 4",
        "FULLY_CONNECTED float32, each place of maps",
        "PAD float32, 4×2",
    ],
)
def test_neighbors_that_are_computed_right_have_none(name):
    assert not [each for each in _found(name) if each.engines[0] != cautions.NPU]


def test_a_gpu_engines_cautions_are_its_warnings():
    name = "CONV_2D int8, 1×1, stride 2"
    model = read(CASES[name].content, name)
    found = cautions.check(model)
    assert gpu.ml_drift(model, found).warnings == (found[0].text,)
    assert gpu.classic(model, found).warnings == ()
    assert found[0].text == "1 CONV_2D quantized, 1×1, with a stride: wrong values"


def test_dynamic_range_is_not_for_the_npu():
    for name, count in (
        ("CONV_2D dynamic_int8, 3×3, stride 1", 1),
        ("CONV_2D int8, 3×3, stride 1", 0),
    ):
        npu = [each for each in _found(name) if each.engines == (cautions.NPU,)]
        assert len(npu) == count


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("PRELU float32, one slope", True),
        ("PRELU float32, a slope per channel", False),
        ("FULLY_CONNECTED dynamic_int8, a vector", True),
        ("CONV_2D dynamic_int4, 3×3, stride 1", True),
        ("CONV_2D dynamic_int8, 3×3, stride 1", False),
    ],
)
def test_what_the_old_runtime_computes_wrong(tmp_path, name, wrong):
    assert bool([each for each in _found(name) if cautions.OLD in each.engines]) is wrong
    path = tmp_path / "case.tflite"
    path.write_bytes(CASES[name].content)
    inputs = random_inputs(path, 3)
    with Sandbox("litert", HANG_S) as cpu:
        expected = cpu.run_tensors(path, inputs)
    for old in working("tflite_runtime"):
        limit = DEPARTS_DB["integers"]
        assert (not worst_db(expected, old.run_tensors(path, inputs)) >= limit) is wrong
