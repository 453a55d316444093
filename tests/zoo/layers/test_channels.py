"""Channel mean, split and shuffle against NumPy, and through everything a layer must survive."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from zoo.errors import ZooError
from zoo.layers.channels import ChannelMean, ChannelShuffle, ChannelSplit

SHAPE = (2, 3, 5, 12)


@pytest.fixture(scope="module")
def maps():
    return np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)


def shuffled(maps, groups):
    """Channel by channel, as the paper's picture has it: one of each group in turn."""
    each = maps.shape[-1] // groups
    order = [group * each + index for index in range(each) for group in range(groups)]
    return maps[..., order]


def network(height=3, width=5):
    """All three layers in one model, so that one file holds them."""
    image = tf_keras.layers.Input((height, width, 12), name="image")
    x = ChannelShuffle(3, name="shuffle")(image)
    left, right = ChannelSplit(name="split")(x)
    gate = ChannelMean(name="mean")(right)
    return tf_keras.Model(image, tf_keras.layers.Multiply(name="out")([left, gate]))


def expected(maps):
    x = shuffled(maps, 3)
    return x[..., :6] * x[..., 6:].mean(axis=-1, keepdims=True)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 12])
def test_shuffle(maps, groups):
    np.testing.assert_array_equal(ChannelShuffle(groups)(maps), shuffled(maps, groups))


def test_two_groups_interleave():
    maps = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)
    assert ChannelShuffle(2)(maps).numpy().ravel().tolist() == [0, 2, 1, 3]


def test_split(maps):
    left, right = ChannelSplit()(maps)
    np.testing.assert_array_equal(left, maps[..., :6])
    np.testing.assert_array_equal(right, maps[..., 6:])


def test_mean(maps):
    mean = ChannelMean()(maps)
    assert mean.shape == (2, 3, 5, 1)
    np.testing.assert_allclose(mean[..., 0], maps.mean(axis=-1), rtol=1e-5, atol=1e-6)


def test_unknown_size(maps):
    model = network(None, None)
    assert model.output_shape == (None, None, None, 6)
    np.testing.assert_allclose(model(maps), expected(maps), rtol=1e-5, atol=1e-6)


def test_shapes_agree_with_what_comes_out(maps):
    for layer in (ChannelMean(), ChannelSplit(), ChannelShuffle(4)):
        shapes = layer.compute_output_shape(SHAPE)
        out = layer(maps)
        if isinstance(out, list):
            assert [part.shape for part in out] == shapes
        else:
            assert out.shape == shapes


@pytest.mark.parametrize("layer", [ChannelSplit, lambda: ChannelShuffle(2)])
def test_odd_channels_are_refused(layer):
    with pytest.raises(ZooError, match="multiple of 2"):
        layer()(np.zeros((1, 2, 2, 5), np.float32))


def test_bad_groups():
    with pytest.raises(ZooError, match="groups"):
        ChannelShuffle(0)


@pytest.mark.parametrize("file", ["model.keras", "model.h5", "saved_model"])
def test_save_and_load(maps, tmp_path, file):
    path = tmp_path / file
    network().save(path)
    loaded = tf_keras.models.load_model(path)
    assert loaded.get_layer("shuffle").groups == 3
    np.testing.assert_allclose(loaded(maps), expected(maps), rtol=1e-5, atol=1e-6)


def test_clone(maps):
    clone = tf_keras.models.clone_model(network())
    assert isinstance(clone.get_layer("shuffle"), ChannelShuffle)
    np.testing.assert_allclose(clone(maps), expected(maps), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(maps, policy):
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        model = network()
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
    out = model(maps)
    assert out.dtype == policy.removeprefix("mixed_")
    np.testing.assert_allclose(tf.cast(out, tf.float32), expected(maps), rtol=0.1, atol=0.05)


def test_xla_and_gradient(maps):
    model = network()

    @tf.function(jit_compile=True)
    def forward_and_back(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)
            loss = tf.reduce_sum(y)
        return y, tape.gradient(loss, x)

    out, gradient = forward_and_back(tf.constant(maps))
    np.testing.assert_allclose(out, expected(maps), rtol=1e-5, atol=1e-6)
    # d(left · mean(right)): the mean for the left half, the left half's sum / 6 for the right.
    x = shuffled(maps, 3)
    left = np.broadcast_to(x[..., 6:].mean(axis=-1, keepdims=True), (2, 3, 5, 6))
    right = np.broadcast_to(x[..., :6].sum(axis=-1, keepdims=True) / 6, (2, 3, 5, 6))
    wanted = np.concatenate([left, right], axis=-1)
    np.testing.assert_allclose(shuffled(gradient.numpy(), 3), wanted, rtol=1e-5, atol=1e-5)
