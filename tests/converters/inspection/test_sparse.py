"""Sparse weights and sparse inference: MediaPipe's sparse face model was published for it."""

import dataclasses

import pytest

from converters.inspection import sparse
from converters.tflite import counts
from converters.tflite.reader import read
from tests.support.tflite_samples import foreign, plain_interpreter

SPARSE = "face_detection_full_range_sparse"


def _content(name):
    return foreign(name).read_bytes()


def test_sparse_weights_are_counted_as_litert_unpacks_them():
    content = _content(SPARSE)
    model = read(content, SPARSE)
    found = plain_interpreter(content, keep=True)
    found.invoke()
    dense = {}
    for op in model.main.operators:
        if op.name == "DENSIFY":
            value = found.get_tensor(op.outputs[0])
            dense[op.inputs[0]] = (value.size, int((value == 0).sum()))
    zeros = sum(n for _, n in dense.values())
    for tensor in model.main.tensors:
        if tensor.parameter and len(tensor.shape) > 1 and tensor.index not in dense:
            values = found.get_tensor(tensor.index)
            dense[tensor.index] = (values.size, int((values == 0).sum()))
            zeros += dense[tensor.index][1]
    weights = sum(n for n, _ in dense.values())
    assert counts.count(model).zeros == pytest.approx(zeros / weights)


def test_sparse_model_of_mediapipe_is_eligible_and_less_sparse_ones_are_not(monkeypatch):
    model = read(_content(SPARSE), SPARSE)
    found = sparse.check(model)
    assert found.eligible, found.reasons
    assert found.zeros > 2 / 3
    content = bytearray(model.content)
    for tensor in model.main.tensors:
        if (
            tensor.sparse and tensor.data
        ):  # every stored value zero; some small layers are stored dense
            start, length = tensor.data
            content[start : start + length] = bytes(length)
    assert 0.99 < sparse.check(read(bytes(content), SPARSE)).zeros < 1
    monkeypatch.setattr(sparse, "LEAST_ZEROS", 0.7)
    assert "69.5 % zeros" in sparse.check(model).reasons[0]
    dense = sparse.check(read(_content("iris_landmark"), "iris"))
    assert not dense.eligible
    assert "sparse form" in dense.reasons[0]


def test_sparse_inference_needs_its_start_its_end_and_its_zeros():
    model = read(_content(SPARSE), SPARSE)
    graph = model.main

    def check(change):
        operators = [changed for op in graph.operators if (changed := change(op)) is not None]
        other = dataclasses.replace(graph, operators=tuple(operators))
        return sparse.check(dataclasses.replace(model, graphs=(other,))).reasons

    def stride_1(op):
        changed = {**op.options, "stride_h": 1, "stride_w": 1}
        return dataclasses.replace(op, options=changed) if op.name == "CONV_2D" else op

    assert "no initial 3×3 CONV_2D" in check(stride_1)[0]
    assert any(
        "no final DEPTH_TO_SPACE or MEAN" in why
        for why in check(lambda op: _unless(op, "DEPTH_TO_SPACE"))
    )
    pooled = check(
        lambda op: dataclasses.replace(op, name="MAX_POOL_2D") if op.name == "ADD" else op
    )
    assert "not among the operators with sparse support" in pooled[0]


def _unless(op, name):
    return None if op.name == name else op
