"""What every network of the catalog must be able to do.

Most of it is asked of small networks, or of one that has every layer of ours; of all networks at
their published input's size only by make test-all.
"""

import re

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.support import small_networks
from tests.support.select import some
from zoo import catalog, layers
from zoo.schema.recipe import Recipe
from zoo.schema.run import ModelConfig, PerLayer

# Without the rows that differ from another one only in how many blocks or channels they have; that
# those build, with their published counts, is for `test_catalog.py` to say.
STRUCTURES = [
    name
    for name in catalog.MODELS
    if not re.search(r"^(shiftres|as)net.*_e[169]$|resnet(56|110)|_w50|_w68|shiftnet_b", name)
]

# One of each kind of layer; `test_counts` builds more of them.
ONE_OF_EACH = {"squeezenet_v1_0_complex_bypass", "alexnet", "shiftresnet20_e3"}
SIZES = some(STRUCTURES, *ONE_OF_EACH)
ANY = some(["every_layer", *small_networks.SMALL], "every_layer")


def image(shape, count=2, seed=1):
    return np.random.default_rng(seed).standard_normal((count, *shape)).astype(np.float32)


def small(name, **changes):
    """The network at a quarter of its width, on CIFAR's pictures."""
    usual = {"model": name, "input_shape": (32, 32, 3), "classes": 10, "width": 0.25}
    include_top = changes.pop("include_top", True)
    return catalog.build(ModelConfig.model_validate({**usual, **changes}), include_top=include_top)


@pytest.mark.slow
@pytest.mark.parametrize("name", STRUCTURES)
def test_runs_learns_and_saves(name, tmp_path):
    spec = catalog.model_spec(name)
    model = catalog.build(catalog.published_config(spec))
    assert model.input_shape[1:] == spec.input_shape
    assert model.output_shape[1:] == (spec.classes,)
    runs_learns_and_saves(model, tmp_path / "model.keras")


@pytest.mark.parametrize("family", small_networks.SMALL)
def test_a_small_one_runs_learns_and_saves(family, tmp_path):
    runs_learns_and_saves(small_networks.build(family), tmp_path / "model.keras")


def runs_learns_and_saves(model, path):
    shape, classes = model.input_shape[1:], model.output_shape[-1]
    unreached = {variable.name for variable in model.trainable_variables}
    # A gate over few places has one hidden unit. What it sees hardly varies, so that it may be born
    # dead, and then no gradient reaches its two kernels.
    unreached -= {v.name for v in model.trainable_variables if "_gate_" in v.name and 1 in v.shape}
    # A unit of another gate can be dead for some pictures: others must reach it. Always two: batch
    # norm takes the mean of a single one's maps off, and a gate behind it sees zeros.
    for seed in range(10):
        x = image(shape, count=2, seed=seed)
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf_keras.losses.sparse_categorical_crossentropy([1, 2], logits, from_logits=True)
            loss = tf.reduce_sum(loss) + sum(model.losses)
        assert logits.shape == (2, classes)
        assert logits.dtype == tf.float32
        gradients = tape.gradient(loss, model.trainable_variables)
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            assert gradient is not None, variable.name
            assert np.isfinite(gradient.numpy()).all(), variable.name
            if gradient.numpy().any():
                unreached.discard(variable.name)
        if not unreached:
            break
    assert not unreached

    model.save(path)
    loaded = tf_keras.models.load_model(path)
    assert [w.shape for w in loaded.weights] == [w.shape for w in model.weights]
    before = model(x[:1], training=False).numpy()
    assert before.any()
    np.testing.assert_array_equal(loaded(x[:1], training=False).numpy(), before)


@pytest.mark.parametrize("name", SIZES)
def test_arguments_layers_and_sizes(name):
    model = small(name, dropout=0.125, classes=7)
    assert model.output_shape == (None, 7)
    assert model.input_names == ["image"]
    assert model.count_params() < 0.4 * catalog.model_spec(name).parameters_total
    rates = [layer.rate for layer in model.layers if isinstance(layer, tf_keras.layers.Dropout)]
    assert set(rates) == {0.125}
    known = {value for value in vars(layers).values() if isinstance(value, type)}
    for layer in model.layers:
        kind = type(layer)
        assert kind in known or kind.__module__.startswith("tf_keras."), layer.name
        assert kind.__name__ not in ("Lambda", "TFOpLambda", "SlicingOpLambda"), layer.name
    for size in (32, 224):
        features = small(name, dropout=0.125, input_shape=(size, size, 1), include_top=False)
        _, height, width, _ = features.output_shape
        # Neither so small that the place is lost, nor so large that a step takes minutes.
        assert 2 <= height <= 16
        assert 2 <= width <= 16
        if size == 32:
            # Names must not depend on what else the process has built: weights are stored by them.
            own = [layer.name for layer in features.layers]
            assert own == [layer.name for layer in model.layers][: len(own)]


@pytest.mark.parametrize("name", ANY)
def test_clones_and_saves_as_savedmodel(name, tmp_path):
    model = small_networks.build(name)
    x, _ = small_networks.pictures(model, 2)
    before = model(x, training=False).numpy()

    clone = tf_keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(x, training=False).numpy(), before)

    model.save(tmp_path / "saved", save_format="tf")
    loaded = tf_keras.models.load_model(tmp_path / "saved")
    np.testing.assert_allclose(loaded(x, training=False).numpy(), before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ANY)
def test_xla(name):
    model = small_networks.build(name)
    x = tf.constant(small_networks.pictures(model, 2)[0])

    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x, training=False) ** 2)
        return loss, tape.gradient(loss, model.trainable_variables)

    plain, gradients = tf.function(step)(x)
    compiled, compiled_gradients = tf.function(step, jit_compile=True)(x)
    np.testing.assert_allclose(compiled, plain, rtol=1e-3)
    for one, other in zip(gradients, compiled_gradients, strict=True):
        scale = float(tf.reduce_max(tf.abs(one)))
        np.testing.assert_allclose(other, one, atol=1e-3 * scale + 1e-6)


@pytest.mark.parametrize("name", ANY)
def test_mixed_precision(name):
    reference = small_networks.build(name)
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = small_networks.build(name)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    model.set_weights(reference.get_weights())
    assert {w.dtype for w in model.trainable_weights} == {tf.float32}
    x, _ = small_networks.pictures(model, 1)
    with tf.GradientTape() as tape:
        logits = model(x, training=False)
        loss = tf.reduce_sum(logits**2)
    assert logits.dtype == tf.float32  # the loss needs it
    assert all(g is not None for g in tape.gradient(loss, model.trainable_variables))
    hidden = model.layers[len(model.layers) // 2]
    assert hidden.output.dtype == tf.bfloat16
    exact = reference(x, training=False).numpy()
    assert np.abs(logits.numpy() - exact).max() < 0.1 * np.abs(exact).max() + 0.05


@pytest.mark.parametrize("name", ANY)
def test_prunes(name):
    from zoo.compression import prune
    from zoo.compression.interface import SchemeInput

    model = small_networks.build(name)
    pruning = prune.begin(SchemeInput(model, (), Recipe(name="test"), PerLayer(), 10, 10))
    assert pruning.strip
    pruned = pruning.strip(pruning.model)
    x, _ = small_networks.pictures(model, 2)
    np.testing.assert_array_equal(pruned(x, training=False), model(x, training=False))
