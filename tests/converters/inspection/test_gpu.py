"""The GPU rules on graphs made for each: LiteRT's delegate was seen to refuse or spoil these."""

import pytest

from converters.inspection import gpu
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


def _check(name, tensors, inputs, outputs, kind="builtin", **options):
    op = Operator(0, name, kind, 1, inputs, outputs, options)
    graph = Graph("main", tuple(tensors), (op,), inputs[:1], outputs)
    return gpu.check(Model(b"", 3, "", (graph,), (), ()))


def _convolution(weights="FLOAT32", image="FLOAT32", size=1, stride=1, signature=()):
    tensors = [
        _tensor(0, (1, 8, 8, 4), image, signature=signature),
        _tensor(1, (6, size, size, 4), weights, constant=True),
        _tensor(2, (6,), constant=True),
        _tensor(3, (1, 8 // stride, 8 // stride, 6), image),
    ]
    strides = {"stride_h": stride, "stride_w": stride}
    return _check("CONV_2D", tensors, (0, 1, 2), (3,), **strides)


@pytest.mark.parametrize("weights", ["FLOAT32", "FLOAT16", "INT8", "UINT8"])
def test_convolutions_are_taken(weights):
    assert _convolution(weights).compatible


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (_convolution("INT8", "INT16"), "int16 activations"),
        (_convolution("INT4"), "int4 weights"),
        (_convolution(signature=(-1, 8, 8, 4)), "known only at run time"),
        (_convolution(stride=-1), "stride"),
    ],
)
def test_convolutions_that_are_refused(found, reason):
    assert not found.compatible
    assert reason in found.refusals[0].reason


def test_only_quantized_pointwise_stride_2_is_doubted():
    assert "1×1" in _convolution("INT8", "INT8", 1, 2).warnings[0]
    assert "1×1" in _convolution("INT8", "FLOAT32", 1, 2).warnings[0]
    assert not _convolution("FLOAT32", "FLOAT32", 1, 2).warnings
    assert not _convolution("INT8", "INT8", 3, 2).warnings
    assert not _convolution("INT8", "INT8", 1, 1).warnings


_ONE = [_tensor(0, (1, 4, 4, 2)), _tensor(1, (1, 4, 4, 2))]


@pytest.mark.parametrize(
    ("name", "kind", "options", "reason"),
    [
        ("GATHER", "builtin", {}, "refused"),
        ("SHAPE", "builtin", {}, "not supported by the GPU delegate"),
        ("FlexErf", "flex", {}, "TensorFlow kernel"),
        ("Mine", "custom", {}, "custom operator"),
        ("SOFTMAX", "builtin", {"beta": 2.0}, "beta"),
        ("STRIDED_SLICE", "builtin", {"shrink_axis_mask": 1}, "shrink_axis_mask"),
        ("DEPTH_TO_SPACE", "builtin", {"block_size": 1}, "block size"),
        ("MEAN", "builtin", {}, "axes"),
    ],
)
def test_refusals(name, kind, options, reason):
    found = _check(name, _ONE, (0,), (1,), kind, **options)
    assert reason in found.refusals[0].reason
    assert found.taken == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [("SOFTMAX", {"beta": 1.0}), ("LOGISTIC", {}), ("DEPTH_TO_SPACE", {"block_size": 2})],
)
def test_single_operators_are_taken(name, options):
    assert _check(name, _ONE, (0,), (1,), **options).compatible


@pytest.mark.parametrize(
    ("left", "right", "fits"),
    [((1, 4, 4, 2), (4, 2), True), ((1, 4, 4, 2), (3, 2), False), ((1, 4, 4, 2), (2,), True)],
)
def test_broadcasting(left, right, fits):
    tensors = [_tensor(0, left), _tensor(1, right), _tensor(2, left)]
    assert _check("ADD", tensors, (0, 1), (2,)).compatible is fits


def test_rank_5_is_refused():
    tensors = [_tensor(0, (1, 2, 2, 2, 2)), _tensor(1, (1, 2, 2, 2, 2))]
    assert "rank 5" in _check("RELU", tensors, (0,), (1,)).refusals[0].reason


def test_mediapipes_models_made_for_the_gpu():
    """Published for this delegate; their weights, widened from float16, count as constants."""
    for name in ("face_detection_front", "iris_landmark"):
        assert gpu.check(read(foreign(name).read_bytes(), name)).compatible
    found = gpu.check(read(foreign("face_detection_full_range_sparse").read_bytes(), "sparse"))
    assert {each.operator for each in found.refusals} == {"DENSIFY"}
