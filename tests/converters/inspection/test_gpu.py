"""The rules of both GPU engines on graphs made for each."""

import pytest

from converters.inspection import cautions, gpu
from converters.tflite.model import Graph, Model, Operator, Tensor, TensorQuantization
from converters.tflite.reader import read
from tests.support.tflite_samples import foreign

_SCALED = TensorQuantization((0.1,), (0,), 0)


def _tensor(index, shape, kind="FLOAT32", constant=False, signature=()):
    scaled = _SCALED if "INT" in kind else None
    return Tensor(
        index,
        f"t{index}",
        shape,
        signature,
        kind,
        (0, 1) if constant else None,
        scaled,
        False,
        False,
    )


def _model(name, tensors, inputs, outputs, kind="builtin", version=1, **options):
    op = Operator(0, name, kind, version, inputs, outputs, options)
    graph = Graph("main", tuple(tensors), (op,), inputs[:1], outputs)
    return Model(b"", 3, "", (graph,), (), ())


def _check(*operator, engine=gpu.ml_drift, **options):
    model = _model(*operator, **options)
    return engine(model, cautions.check(model))


def _both(*operator, **options):
    return [_check(*operator, engine=each, **options) for each in (gpu.ml_drift, gpu.classic)]


def _convolution(weights="FLOAT32", image="FLOAT32", size=1, stride=1, signature=(), version=1):
    tensors = [
        _tensor(0, (1, 8, 8, 4), image, signature=signature),
        _tensor(1, (6, size, size, 4), weights, constant=True),
        _tensor(2, (6,), constant=True),
        _tensor(3, (1, 8 // stride, 8 // stride, 6), image),
    ]
    strides = {"stride_h": stride, "stride_w": stride}
    return _both("CONV_2D", tensors, (0, 1, 2), (3,), version=version, **strides)


@pytest.mark.parametrize("weights", ["FLOAT32", "FLOAT16", "INT8", "UINT8"])
def test_convolutions_are_taken_by_both(weights):
    assert all(found.compatible for found in _convolution(weights))


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (_convolution("INT8", "INT16"), "int16 activations"),
        (_convolution(version=7), "version 7, above 6"),
        (_convolution(stride=-1), "stride"),
    ],
)
def test_convolutions_that_both_refuse(found, reason):
    for each in found:
        assert not each.compatible
        assert reason in each.refusals[0].reason
        assert each.on_gpu == 0


def test_int4_weights_are_of_ml_drift_only():
    ml_drift, classic = _convolution("INT4")
    assert ml_drift.compatible
    assert not classic.refusals and classic.failure == "CONV_2D: weights of less than 8 bits"
    assert not classic.compatible and classic.on_gpu == 0


def test_a_batch_size_known_only_at_run_time_is_taken():
    assert all(found.compatible for found in _convolution(signature=(-1, 8, 8, 4)))


_ONE = [_tensor(0, (1, 4, 4, 2)), _tensor(1, (1, 4, 4, 2))]


@pytest.mark.parametrize(
    ("name", "kind", "options", "reason"),
    [
        ("SHAPE", "builtin", {}, "not supported"),
        ("FlexErf", "flex", {}, "TensorFlow kernel"),
        ("Mine", "custom", {}, "custom operator"),
        ("SOFTMAX", "builtin", {"beta": 2.0}, "beta"),
        ("STRIDED_SLICE", "builtin", {"shrink_axis_mask": 1}, "shrink_axis_mask"),
        ("DEPTH_TO_SPACE", "builtin", {"block_size": 1}, "block size"),
        ("MEAN", "builtin", {}, "axes"),
    ],
)
def test_refusals_of_both(name, kind, options, reason):
    for found in _both(name, _ONE, (0,), (1,), kind, **options):
        assert reason in found.refusals[0].reason
        assert found.taken == 0


def _cast(source, target):
    tensors = [_tensor(0, (1, 4), source), _tensor(1, (1, 4), target)]
    return [found.compatible for found in _both("CAST", tensors, (0,), (1,))]


@pytest.mark.parametrize(
    ("source", "target", "classic"),
    [
        ("FLOAT32", "INT32", True),
        ("INT32", "FLOAT32", True),
        ("FLOAT16", "BOOL", True),
        ("UINT8", "FLOAT32", False),
        ("FLOAT32", "UINT8", False),
        ("INT32", "BOOL", False),
        ("FLOAT16", "FLOAT32", False),
    ],
)
def test_ml_drift_casts_more_types_than_the_classic_delegate(source, target, classic):
    assert _cast(source, target) == [True, classic]


def test_neither_casts_int64():
    assert _cast("INT64", "FLOAT32") == [False, False]


def test_the_classic_delegate_casts_bool_only_between_two_operators():
    shape = (1, 4)
    kinds = ("FLOAT32", "BOOL", "FLOAT32", "FLOAT32")
    tensors = tuple(_tensor(i, shape, kind) for i, kind in enumerate(kinds))
    operators = (
        Operator(0, "GREATER", "builtin", 1, (0, 0), (1,), {}),
        Operator(1, "CAST", "builtin", 1, (1,), (2,), {}),
        Operator(2, "ABS", "builtin", 1, (2,), (3,), {}),
    )

    def taken(count):
        graph = Graph("", tensors, operators[:count], (0,), (count,))
        return gpu.classic(Model(b"", 3, "", (graph,), (), ()), ()).taken

    assert [taken(count) for count in (1, 2, 3)] == [0, 1, 3]


def test_what_only_one_engine_takes():
    two = [_tensor(0, (2, 8)), _tensor(1, (), "INT32", True), _tensor(2, (2, 3))]
    ranked = [*two, _tensor(3, (2, 3), "INT32")]
    assert [found.compatible for found in _both("TOPK_V2", ranked, (0, 1), (2, 3))] == [True, False]
    assert [each.compatible for each in _both("RELU_0_TO_1", _ONE, (0,), (1,))] == [False, True]
    numbers = [_tensor(0, (1, 4), "INT32"), _tensor(1, (1, 4), "INT32")]
    assert [each.compatible for each in _both("ABS", numbers, (0,), (1,))] == [True, False]


def test_what_fails_takes_the_other_operators_along():
    """The classic delegate takes a PRELU of one slope and cannot initialize it."""
    tensors = (*_ONE, _tensor(2, (1, 1, 1), constant=True), _tensor(3, (1, 4, 4, 2)))
    operators = (
        Operator(0, "ABS", "builtin", 1, (0,), (1,), {}),
        Operator(1, "PRELU", "builtin", 1, (1, 2), (3,), {}),
    )
    model = Model(b"", 3, "", (Graph("", tensors, operators, (0,), (3,)),), (), ())
    classic, ml_drift = gpu.classic(model, ()), gpu.ml_drift(model, ())
    assert classic.failure == "PRELU: slopes that are not per channel or per value"
    assert (classic.taken, classic.on_gpu, classic.compatible) == (2, 0, False)
    assert (ml_drift.taken, ml_drift.on_gpu, ml_drift.failure) == (1, 1, None)


@pytest.mark.parametrize(
    ("name", "options"),
    [("SOFTMAX", {"beta": 1.0}), ("LOGISTIC", {}), ("DEPTH_TO_SPACE", {"block_size": 2})],
)
def test_single_operators_are_taken_by_both(name, options):
    assert all(found.compatible for found in _both(name, _ONE, (0,), (1,), **options))


@pytest.mark.parametrize(
    ("left", "right", "fits"),
    [((1, 4, 4, 2), (4, 2), True), ((1, 4, 4, 2), (3, 2), False), ((1, 4, 4, 2), (2,), True)],
)
def test_broadcasting(left, right, fits):
    tensors = [_tensor(0, left), _tensor(1, right), _tensor(2, left)]
    assert [each.compatible for each in _both("ADD", tensors, (0, 1), (2,))] == [fits, fits]


def test_rank_5_is_refused():
    tensors = [_tensor(0, (1, 2, 2, 2, 2)), _tensor(1, (1, 2, 2, 2, 2))]
    for found in _both("RELU", tensors, (0,), (1,)):
        assert "rank 5" in found.refusals[0].reason


def _of_file(name):
    model = read(foreign(name).read_bytes(), name)
    return [engine(model, cautions.check(model)) for engine in (gpu.ml_drift, gpu.classic)]


def test_mediapipes_models_made_for_the_gpu():
    """Published for the classic delegate; widened float16 weights count as constants."""
    for name in ("face_detection_front", "iris_landmark"):
        assert all(found.compatible for found in _of_file(name))
    ml_drift, classic = _of_file("face_detection_full_range_sparse")
    assert [(each.operator, each.reason) for each in ml_drift.refusals] == [
        ("DENSIFY", "not supported"),
        ("DEQUANTIZE", "of sparse weights"),
    ]
    assert classic.compatible
