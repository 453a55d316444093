"""Every scheme on every family: trains, converts to int8, runs, and keeps its property there.

Here low_rank, prune and cluster; qat, pqat, cqat and pcqat are in `test_qat.py`. The three follow
each other on one network of a family, so that each must also keep what came before it, and each
one's network is converted.
"""

import functools
import re

import numpy as np
import pytest
import tf_keras
from ai_edge_litert.tools import flatbuffer_utils

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from tests.support import small_networks
from tests.support.select import some
from zoo import runtime
from zoo.compression import cluster, kernels, low_rank, prune
from zoo.compression.interface import SchemeInput
from zoo.schema.recipe import Recipe
from zoo.schema.run import PerLayer

CLUSTERS = 5
SPARSITY = 0.5
RECIPE = Recipe(name="test", prune_sparsity=SPARSITY, cluster_count=CLUSTERS, low_rank_keep=0.7)


def tuned(begin, model, scheme=(), recipe=RECIPE, per_layer=None):
    """The scheme's network after two training steps of four pictures, and how it was begun."""
    start = SchemeInput(model, scheme, recipe, per_layer or PerLayer(), steps=2, per_epoch=2)
    tuning = begin(start)
    tuning.model.compile(
        tf_keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True, jit_compile=False),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # two steps: tracing a graph would take longer
    )
    before = {name: k.copy() for name, k in kernels.values(tuning.model).items()}
    images, labels = small_networks.pictures(model)
    tuning.model.fit(
        images, labels, batch_size=4, shuffle=False, verbose=0, callbacks=list(tuning.callbacks)
    )
    after = kernels.values(tuning.model)
    assert any((after[name] != before[name]).any() for name in after)
    return tuning, tuning.strip(tuning.model) if tuning.strip else tuning.model


# A grouped convolution's weights have no name of their own, but its batch norm has. What stands
# before a shift is stored in two parts.
_NAMED = re.compile(rb"/(\w+?)(?:_bn)?(?:_moved|_still)?/(?:Conv2D|MatMul|FusedBatchNormV3)")


def int8_kernels(content):
    """Layer name → int8 weights of its convolution or dense layer, (filters, ...)."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    graph = model.subgraphs[0]
    found: dict[str, list[np.ndarray]] = {}
    for operator in graph.operators:
        name = flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)
        if name not in ("CONV_2D", "FULLY_CONNECTED", "MUL"):
            continue
        tensor = graph.tensors[operator.inputs[1]]
        raw = model.buffers[tensor.buffer].data
        names = tensor.name + b";" + graph.tensors[operator.outputs[0]].name
        named = _NAMED.search(names)
        shape = tensor.shape
        if name == "MUL":
            # A dense layer of one input is stored as a product; other products are no layers.
            if raw is None or named is None:
                continue
            shape = (-1, 1)
        assert named, names
        weights = np.frombuffer(bytes(raw), np.int8).reshape(shape)
        found.setdefault(named[1].decode(), []).append(weights)
    return {layer: np.concatenate(parts) for layer, parts in found.items()}


def zeros_by_filter(kernel, axis):
    """Zeros in each filter, sorted: lowering may order the channels around a shift anew."""
    return np.sort((np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1) == 0).sum(1))


@functools.lru_cache(maxsize=1)
def split(family):
    """The split network, and its layers' ranks."""
    whole = small_networks.build(family)
    named = PerLayer()
    if not low_rank_usual(whole):
        # Small kernels, of which low rank saves nothing by itself: one is named.
        named = PerLayer(layers=dict([next(worth_splitting(whole))]))
    tuning, network = tuned(low_rank.begin, whole, per_layer=named)
    assert tuning.low_rank.ranks
    assert network.count_params() < whole.count_params()
    return network, tuning.low_rank.ranks


@functools.lru_cache(maxsize=1)
def pruned(family):
    """The split network, pruned, and where its kernels are zero."""
    tuning, network = tuned(prune.begin, split(family)[0], ("low_rank",))
    assert "50" in tuning.reached(network)
    return network, {n: k == 0 for n, k in kernels.values(network).items() if (k == 0).any()}


@functools.lru_cache(maxsize=1)
def stored_and_run(scheme, family):
    """The scheme's network and its int8 kernels; LiteRT has given what Keras gives."""
    if scheme == "cluster":
        tuning, network = tuned(cluster.begin, pruned(family)[0], ("low_rank", "prune"))
        assert f"at most {CLUSTERS} distinct values" in tuning.reached(network)
    else:
        network = (split if scheme == "low_rank" else pruned)(family)[0]
    images, _ = small_networks.pictures(network)
    content = Conversions(network, Calibration(images, -1, 1)).flatbuffer("int8")
    running = runtime.load(content, "litert", "xnnpack", 1, "test")
    logits = np.stack([running.run(image) for image in images]).reshape(len(images), -1)
    wanted = network(images, training=False).numpy()
    assert np.corrcoef(logits.ravel(), wanted.ravel())[0, 1] > 0.9
    stored = int8_kernels(content)
    assert set(stored) >= set(kernels.plain(network))
    return network, stored


def check_ranks(network, stored, ranks):
    for name, rank in ranks.items():
        assert stored[f"{name}{low_rank.SUFFIX}"].shape[0] == rank == stored[name].shape[-1]


def check_zeros(network, stored, zero):
    own = kernels.values(network)
    for name, mask in zero.items():
        np.testing.assert_array_equal(own[name] == 0, mask)
        wanted = zeros_by_filter(~mask, axis=-1)
        assert (zeros_by_filter(stored[name], axis=0) >= wanted).all(), name


@pytest.mark.parametrize("scheme", ["low_rank", "prune", "cluster"])
@pytest.mark.parametrize("family", some(small_networks.SMALL, "squeezenet"))
def test_the_int8_file_keeps_what_the_schemes_made(family, scheme):
    network, stored = stored_and_run(scheme, family)
    check_ranks(network, stored, split(family)[1])
    if scheme == "low_rank":
        # Nothing else was done to it.
        assert kernels.zeros(network) < 0.2
        return
    zero = pruned(family)[1]
    assert set(zero) == set(kernels.plain(network)[1:-1])
    for mask in zero.values():
        assert mask.mean() == pytest.approx(SPARSITY, abs=1 / mask.size)
    check_zeros(network, stored, zero)
    if scheme == "cluster":
        for name in kernels.plain(network):
            assert np.unique(kernels.values(network)[name]).size <= CLUSTERS
            assert max(np.unique(part).size for part in stored[name]) <= CLUSTERS


def low_rank_usual(model):
    return low_rank._ranks(SchemeInput(model, (), RECIPE, PerLayer(), 2, 2))


def worth_splitting(model):
    for name in kernels.plain(model):
        spectrum = low_rank.spectrum(model.get_layer(name), spatial=False)
        if getattr(model.get_layer(name), "groups", 1) == 1 and spectrum.largest:
            yield name, spectrum.largest
