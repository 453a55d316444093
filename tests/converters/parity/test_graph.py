"""Which tensor of a file is which: its steps, and their pairs in another file and in Keras."""

import pytest

from converters.parity.graph import ComputedTensor, label, pair, pair_layers, steps
from tests.converters.parity.conftest import chain
from tests.support.tiny_tflite import tiny_model
from zoo.errors import ZooError


def test_steps_of_a_flatbuffer(tmp_path):
    content = tiny_model(tmp_path / "tiny.tflite").read_bytes()
    assert steps(content, "tiny") == (
        ComputedTensor("conv/relu", "CONV_2D", ("image",)),
        ComputedTensor("dense/logits", "FULLY_CONNECTED", ("conv/relu",)),
        ComputedTensor("probabilities", "SOFTMAX", ("dense/logits",)),
    )
    for cut in (0, 3, 8, 100, len(content) // 2):
        with pytest.raises(ZooError, match="tflite"):
            steps(content[:cut], "tiny")


def test_pairs_of_two_files():
    ours = chain("net/a/Relu;net/a/Conv2D1", "net/b/add", "tfl.quantize", "out")
    theirs = chain("net/a/Relu;net/a/Conv2D2", "net/b/add", "net/c/add", "out")
    assert pair(ours, theirs) == {
        "net/a/Relu;net/a/Conv2D1": "net/a/Relu;net/a/Conv2D2",
        "net/b/add": "net/b/add",
        "out": "out",
    }
    twice = chain("x/mul", "x/mul1")
    assert pair(twice, chain("x/mul2", "x/mul3")) == {"x/mul": "x/mul2", "x/mul1": "x/mul3"}
    assert pair(twice, chain("x/mul2")) == {}


def test_pairs_with_layers():
    graph = chain(
        "net/conv_relu/Relu;net/conv_bn/FusedBatchNormV3;net/conv/Conv2D",
        "net/swish/add",
        "net/swish/mul",
        "net/flat/Reshape",
        "StatefulPartitionedCall:0",
    )
    wide, flat, end = (1, 4, 4, 8), (1, 128), (1, 10)
    shapes = dict(zip((s.name for s in graph), (wide, wide, wide, wide, end), strict=True))
    layers: dict[str, tuple[int, ...]] = {"conv": wide, "conv_bn": wide, "conv_relu": wide}
    # A layer may have an operation's name: the end of a path is none.
    layers |= {"swish": wide, "mul": wide, "flat": flat, "dense": end}
    assert pair_layers(graph, shapes, layers) == {
        graph[0].name: "conv_relu",
        "net/swish/mul": "swish",
        "StatefulPartitionedCall:0": "dense",
    }


def test_labels_for_people():
    assert label("net/a_relu/Relu;net/a_bn/FusedBatchNormV3;net/a/Conv2D1") == "a + a_bn + a_relu"
    assert label("net/d/BiasAdd;net/d/MatMul;net/d/BiasAdd/ReadVariableOp1") == "d"
    assert label("net/block/d/MatMul") == "block/d"
    assert label("StatefulPartitionedCall:0") == "StatefulPartitionedCall:0"
