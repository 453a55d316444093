"""Rate–distortion quantization of whole files: size, what changes in them, and what it costs."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.packing.pack import pack, packed_size
from converters.rate_distortion import conversions, write
from converters.rate_distortion.replay import Replay
from converters.rate_distortion.search import Search
from zoo import data, runtime
from zoo.container.unpack import unpack_bytes
from zoo.errors import ZooError
from zoo.stats import entropy_bits

layers = tf_keras.layers
NONE = Calibration(np.zeros((0, 1, 1, 1), np.float32), 0, 1)


def quiet(_):
    pass


@functools.cache
def digits():
    """A float32 file of over 90 % on the last of scikit-learn's digits, and its data.

    A trained network, as what a random one makes of pictures is chance; with smoothed labels, as
    one that is certain of every picture has no information to lose.
    """
    tf_keras.utils.set_random_seed(1)
    dataset = data.load("digits", 8, 200)
    image = layers.Input((8, 8, 1), name="image")
    x = layers.Conv2D(24, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(48, 3, padding="same", strides=2, activation="relu")(x)
    x = layers.Conv2D(48, 3, padding="same", strides=2, activation="relu")(x)
    x = layers.Dense(10)(layers.Flatten()(x))
    model = tf_keras.Model(image, x, name="digits")
    model.compile(
        tf_keras.optimizers.Adam(2e-3, jit_compile=False),
        tf_keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2),
        jit_compile=False,
    )
    images = dataset.normalize(dataset.train.images)
    model.fit(images, np.eye(10)[dataset.train.labels], batch_size=32, epochs=12, verbose=0)
    return Conversions(model, NONE).flatbuffer("float32"), dataset


@functools.cache
def squeezed():
    """The file, pictures, and what a search for an eighth of its size gave."""
    content, dataset = digits()
    images = dataset.normalize(dataset.train.images)[:300]
    wanted = len(content) // 8
    said: list[str] = []
    search = Search(content, images, "digits")
    return content, images, search, wanted, search.to_size(wanted, packed_size, said.append), said


def outputs(content, images):
    running = runtime.load(content, "litert", "xnnpack", 1, "test")
    return np.stack([running.run(image) for image in images])


def log_softmax(logits):
    logits = logits.astype(np.float64)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_a_file_of_a_wanted_size():
    content, images, _, wanted, found, said = squeezed()
    packed = pack(found.content).data
    assert len(packed) <= wanted
    assert len(packed) > 0.8 * wanted  # what may be spent is spent
    assert unpack_bytes(packed) == found.content
    assert said and f"{len(packed):,} bytes" in "".join(said)
    before, after = outputs(content, images), outputs(found.content, images)
    assert np.isfinite(after).all()
    log_p, log_q = log_softmax(before), log_softmax(after)
    nats = (np.exp(log_p) * (log_p - log_q)).sum(1).mean()
    assert 0 < nats < 0.3
    # Predicted to second order, layer by layer: of that size, no more.
    assert found.nats / 4 < nats < 4 * found.nats


def test_its_weights_are_codes_times_steps_and_its_biases_make_up_for_them():
    content, _, _, _, found, _ = squeezed()
    before, after = Replay(content, "before"), Replay(found.content, "after")
    bits, zeros, moved = 0.0, 0, 0
    for layer in after.layers:
        name = after.graph.tensors[layer.weight].name
        values, grid = after.constants[layer.weight], found.layers[name]
        np.testing.assert_array_equal(values, grid.codes * np.float32(grid.step))
        assert grid.codes.shape == before.constants[layer.weight].shape
        assert not np.signbit(values[values == 0]).any()  # -0.0 would be a value more to code
        zeros += int((values == 0).sum())
        bits += entropy_bits(values)
        bias = after.constants[layer.bias]
        moved += int((bias != before.constants[layer.bias]).any())
        np.testing.assert_array_equal(bias, write.rounded_bias(bias))
        np.testing.assert_allclose(bias, before.constants[layer.bias], atol=1.0)
    weights = sum(after.constants[layer.weight].size for layer in after.layers)
    assert bits == pytest.approx(found.coded_bits, rel=1e-6)
    assert bits / 8 < packed_size(found.content)
    assert zeros > 0.05 * weights
    assert moved == len(after.layers)


def test_no_other_tensor_and_no_operator_changes():
    content, _, _, _, found, _ = squeezed()
    before, after = Replay(content, "before"), Replay(found.content, "after")
    changed = {x for layer in before.layers for x in (layer.weight, layer.bias)}
    assert [op.name for op in before.graph.operators] == [op.name for op in after.graph.operators]
    for index in before.constants.keys() - changed:
        np.testing.assert_array_equal(before.constants[index], after.constants[index])


def test_corrected_biases_keep_the_mean_of_each_output():
    """On the pictures that were looked at, of the first layer, whose inputs do not change."""
    content, images, search, *_ = squeezed()
    found = search.at(1e-5)  # coarse: the error must be well above a bias's rounding
    means = []
    for each in (content, found.content):
        replay = Replay(each, "test")
        layer = replay.layers[0]
        patches = replay.patches(layer, tf.constant(images)).numpy()
        out = np.einsum("npgk,gfk->npgf", patches, replay.matrix(layer)).mean((0, 1, 2))
        means.append((out, out + replay.constants[layer.bias]))
    (plain, right), (uncorrected, corrected) = means
    assert np.abs(corrected - right).max() < 2**-8 * np.abs(right).max()
    assert np.abs(uncorrected - plain).max() > 4 * np.abs(corrected - right).max()


def test_a_higher_multiplier_gives_a_smaller_file_and_a_larger_divergence():
    search = squeezed()[2]
    found = [search.at(multiplier) for multiplier in (1e-6, 1e-4, 1e-2)]
    sizes = [packed_size(each.content) for each in found]
    assert sizes[0] > sizes[1] > sizes[2]
    assert found[0].nats < found[1].nats < found[2].nats


def test_an_impossible_size_is_refused():
    image = layers.Input((4,), name="image")
    content = Conversions(tf_keras.Model(image, layers.Dense(3)(image)), NONE).flatbuffer("float32")
    images = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    search = Search(content, images, "small")
    with pytest.raises(ZooError, match=r"to the requested size.*at most 100 bytes") as raised:
        search.to_size(100, lambda content: 101, quiet)
    assert "\n" not in str(raised.value)


def test_layers_that_do_nothing_become_zeros():
    image = layers.Input((4, 4, 2), name="image")
    x = layers.Conv2D(3, 1, kernel_initializer="zeros", name="nothing")(image)
    x = layers.Dense(3)(layers.Flatten()(layers.Concatenate()([x, image])))
    content = Conversions(tf_keras.Model(image, x, name="half"), NONE).flatbuffer("float32")
    images = np.random.default_rng(0).standard_normal((8, 4, 4, 2)).astype(np.float32)
    images[..., 1] = 0  # a channel that is always empty: its inputs have no variance
    found = Search(content, images, "half").at(1e-4)
    assert np.isfinite(found.nats)
    replay = Replay(found.content, "half")
    first, dense = (replay.constants[layer.weight] for layer in replay.layers)
    assert not first.any()
    assert dense.any()


@pytest.mark.slow
def test_a_tenth_of_the_size_changes_fewer_than_one_answer_in_a_hundred():
    """Over every image: of the 397 test images alone, three or four changed are a point already."""
    content, dataset = digits()
    search = Search(content, squeezed()[1], "digits")
    small = search.to_size(len(content) // 10, packed_size, quiet).content
    assert packed_size(small) <= len(content) / 10
    answers = [
        np.concatenate(
            [outputs(each, dataset.normalize(split.images)).argmax(1) for each in (content, small)]
        ).reshape(2, -1)
        for split in (dataset.test, dataset.train)
    ]
    assert (answers[0][0] == dataset.test.labels).mean() > 0.9
    before, after = np.concatenate(answers, 1)
    assert (before != after).mean() < 0.01


def test_which_images_say_how_much_a_layer_matters(monkeypatch):
    dataset = data.load("digits", 8, 200)
    every = len(dataset.train)
    for most, count in ((100, 100), (every + 1, every)):
        monkeypatch.setattr(conversions, "IMAGES", most)
        chosen = conversions.sample_images(dataset)
        assert len(chosen) == count
        ends = dataset.normalize(dataset.train.images[[0, every - 1]])
        assert np.array_equal(chosen[[0, -1]], ends), "from the whole of the split"
