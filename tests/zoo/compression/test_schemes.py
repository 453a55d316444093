"""Pruning patterns and clusters against NumPy; a run that was broken goes on exactly."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.compression import block_pruning, cluster, kernels, prune
from zoo.compression.interface import SchemeInput
from zoo.compression.preserve import Keep
from zoo.data.dataset import Dataset
from zoo.data.split import Split
from zoo.schema.recipe import Recipe
from zoo.schema.run import PerLayer
from zoo.training import loop
from zoo.training.schedule import TrainingPlan

layers = tf_keras.layers
FEW = settings(max_examples=25, deadline=None)


def network():
    """Two hidden layers that a pattern of four takes and one that it does not."""
    tf_keras.utils.set_random_seed(1)
    image = layers.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, activation="relu", name="first")(image)
    x = layers.Conv2D(10, 1, activation="relu", name="narrow")(x)
    x = layers.Conv2D(12, 3, strides=2, padding="same", activation="relu", name="odd")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(16, activation="relu", name="dense")(x)
    return tf_keras.Model(image, layers.Dense(4, name="classifier")(x), name="small")


def dataset():
    draw = np.random.default_rng(0)

    def split(count):
        images = draw.integers(0, 255, (count, 8, 8, 3), dtype=np.uint8)
        return Split(images, draw.integers(0, 4, count).astype(np.int32))

    return Dataset("tiny", split(24), split(8), split(1), tuple("abcd"), 128.0, 60.0, "as they are")


def schedule(epochs):
    return TrainingPlan(
        epochs=epochs, batch_size=4, learning_rate=0.05, warmup=0.2, weight_decay=5e-4
    )


def start(model, scheme=(), steps=12, layers=None, others=True, **recipe):
    wanted = PerLayer(layers=layers or {}, others=others)
    return SchemeInput(model, scheme, Recipe(name="test", **recipe), wanted, steps, steps // 2)


def stepped(tuning, steps=12):
    """The stored network after some training steps of four pictures."""
    tuning.model.compile(
        tf_keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, jit_compile=False),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # for a few steps faster than to trace a graph
    )
    images = np.random.default_rng(0).standard_normal((4 * steps, 8, 8, 3)).astype(np.float32)
    labels = np.arange(4 * steps) % 4
    tuning.model.fit(images, labels, 4, verbose=0, callbacks=list(tuning.callbacks))
    return tuning.strip(tuning.model) if tuning.strip else tuning.model


def trained(tuning, folder, epochs=2, log=lambda line: None):
    outcome = loop.fit(
        tuning.model, dataset(), schedule(epochs), folder, log,
        callbacks=tuning.callbacks, eligible=tuning.eligible,
    )  # fmt: skip
    tuning.model.load_weights(outcome.weights)
    return tuning.strip(tuning.model) if tuning.strip else tuning.model


def test_two_of_four_neighboring_input_channels_are_zero():
    tuning = prune.begin(start(network(), prune_pattern="2:4"))
    found = kernels.values(stepped(tuning))
    for name in ("narrow", "dense"):
        inputs_last = np.moveaxis(found[name], -2, -1).reshape(-1, 4)
        assert (np.count_nonzero(inputs_last, axis=1) == 2).all()
    # 10 input channels: groups of four would reach over two places of the window.
    assert found["odd"].all()
    assert found["first"].all()
    assert found["classifier"].all()
    assert not np.signbit(found["dense"][found["dense"] == 0]).any()  # no -0.0


@pytest.mark.parametrize(("pattern", "block"), [("1x4", (1, 4)), ("4x1", (4, 1))])
def test_blocks_are_zero_as_a_whole(pattern, block):
    tuning = prune.begin(
        start(network(), prune_pattern=pattern, prune_sparsity=0.6, layers={"dense": 0.75})
    )
    found = kernels.values(stepped(tuning))
    dense = found["dense"].T.reshape(16 // block[0], block[0], -1, block[1]).transpose(0, 2, 1, 3)
    filled = np.count_nonzero(dense.reshape(-1, 4), axis=1)
    assert set(filled) == {0, 4}
    assert (filled == 0).mean() == pytest.approx(0.75, abs=1 / filled.size)
    assert (found["odd"] == 0).mean() == pytest.approx(0.6, abs=0.05)
    assert found["first"].all()


@FEW
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 2),
    window=st.sampled_from([(), (1, 1), (3, 2)]),
    block=st.sampled_from([(1, 4), (4, 1), (2, 3)]),
    sparsity=st.floats(0, 1),
)
def test_block_masks(shape, window, block, sparsity):
    kernel = np.random.default_rng(0).standard_normal((*window, *shape)).astype(np.float32)
    mask = block_pruning.blocks_to_keep(kernel, block, sparsity)
    assert mask.shape == kernel.shape
    means: dict[bool, list[float]] = {False: [], True: []}
    place: tuple[int, ...]
    for place in np.ndindex(*window):
        for i in range(0, shape[0], block[1]):
            for o in range(0, shape[1], block[0]):
                part: Any = (*place, slice(i, i + block[1]), slice(o, o + block[0]))
                assert mask[part].all() or not mask[part].any()
                means[bool(mask[part].flat[0])].append(np.abs(kernel[part]).mean())
    total = len(means[False]) + len(means[True])
    assert len(means[False]) == round(sparsity * total)
    assert max(means[False], default=0) <= min(means[True], default=np.inf) + 1e-6


@FEW
@given(st.integers(0, 999), st.integers(1, 300), st.integers(1, 40))
def test_k_means_is_at_rest(seed, size, clusters):
    values = np.random.default_rng(seed).laplace(size=size)
    found = cluster.k_means(values, clusters)
    centers = np.unique(found)
    assert centers.size <= clusters
    nearest = centers[np.abs(values[:, np.newaxis] - centers).argmin(axis=1)]
    np.testing.assert_allclose(found, nearest)
    for center in centers:
        assert center == pytest.approx(values[found == center].mean())


def test_clusters_and_zeros_are_kept_and_trained():
    model = network()
    for variable in kernels.variables(model).values():
        values = variable.numpy()
        values[np.abs(values) < np.median(np.abs(values))] = 0
        variable.assign(values)
    zero = {name: k == 0 for name, k in kernels.values(model).items()}
    wanted = {"first": 0, "dense": 3, "depthwise": 4}
    tuning = cluster.begin(start(model, ("prune",), cluster_count=8, layers=wanted))
    before = kernels.values(tuning.model)
    assert (kernels.values(model)["dense"] != before["dense"]).any()  # its input is left alone
    found = kernels.values(stepped(tuning))
    for name, kernel in found.items():
        np.testing.assert_array_equal(kernel == 0, zero[name], err_msg=name)
        assert np.unique(kernel).size == wanted.get(name, 8) or name == "first"
        assert not np.signbit(kernel[kernel == 0]).any()  # no -0.0
        assert (kernel != before[name]).any()
    assert np.unique(found["first"]).size > 50


def test_clusters_per_channel():
    tuning = cluster.begin(start(network(), cluster_count=4, cluster_per_channel=True))
    model = stepped(tuning)
    for name in kernels.plain(model):
        filters = kernels.values(model)[name].reshape(-1, model.get_layer(name).kernel.shape[-1]).T
        assert max(np.unique(each).size for each in filters) == 4
    assert np.unique(kernels.values(model)["dense"]).size > 16
    assert "4 distinct values per filter" in tuning.reached(model)


def test_projection_is_that_of_the_centroids_gradient():
    """Han et al., section 3.3, with the mean gradient: weights of a cluster move together."""
    model = tf_keras.Sequential([layers.Dense(4, use_bias=False, input_shape=(4,), name="dense")])
    kernel = np.tile(np.float32([0.5, -0.25, 0, 0.5]), (4, 1))
    model.set_weights([kernel])
    model.compile(tf_keras.optimizers.SGD(0.1, jit_compile=False), "mse", run_eagerly=True)
    x = np.random.default_rng(0).standard_normal((1, 4)).astype(np.float32)
    y = np.float32([[1, 2, 3, 4]])
    gradient = 2 * np.outer(x, x @ kernel - y) / 4
    model.fit(x, y, verbose=0, callbacks=[Keep.of(model, zeros=True, clusters=True)])
    wanted = kernel.copy()
    for value in (0.5, -0.25):
        wanted[kernel == value] -= 0.1 * gradient[kernel == value].mean()
    np.testing.assert_allclose(model.get_weights()[0], wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("scheme", "recipe"),
    [
        pytest.param(cluster, {"cluster_count": 6}, marks=pytest.mark.slow),
        pytest.param(prune, {"prune_pattern": "1x4"}, marks=pytest.mark.slow),
    ],
)
def test_a_broken_run_goes_on_and_ends_with_the_same_weights(tmp_path, scheme, recipe):
    class Killed(Exception):
        pass

    def kill(line):
        if line.startswith("epoch 1/"):
            raise Killed

    unbroken = trained(scheme.begin(start(network(), **recipe)), tmp_path / "one")
    with pytest.raises(Killed):
        trained(scheme.begin(start(network(), **recipe)), tmp_path / "two", log=kill)
    said: list[str] = []
    again = trained(scheme.begin(start(network(), **recipe)), tmp_path / "two", log=said.append)
    assert said[0].startswith("resuming after epoch 1 of 2")
    for one, two in zip(unbroken.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)

    figures = [_figures(tmp_path / name / "tensorboard") for name in ("one", "two")]
    assert figures[0] == figures[1]
    assert {epoch for _, epoch in figures[0]} == {1, 2}
    assert {name for name, _ in figures[0]} >= {"loss", "validation_accuracy", "learning_rate"}


def _figures(folder):
    found = {}
    for path in folder.iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                if value.tag not in ("seconds", "cpu_seconds"):
                    found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_xnnpack_says_why_the_network_will_not_run_sparse():
    tuning = prune.begin(start(network(), prune_pattern="xnnpack", prune_sparsity=0.5))
    first, why, zeros = tuning.begun
    assert first == "pruning 1 layers to 50 % zeros, pattern xnnpack"
    assert "will not run this network sparse" in why
    assert "two thirds" in zeros
