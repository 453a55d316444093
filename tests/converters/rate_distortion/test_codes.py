"""The codes of rate–distortion quantization, and the statistics that they are chosen by."""

import functools
import itertools
import math
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.rate_distortion import codes, write
from converters.rate_distortion.layer_statistics import Statistics, collect
from converters.rate_distortion.replay import Replay
from zoo.errors import ZooError

layers = tf_keras.layers
FEW = settings(max_examples=30, deadline=None)


# Codes


@st.composite
def problems(draw):
    """A layer's weights with a few large ones, some correlated inputs, a price, and a step."""
    seed = draw(st.integers(0, 2**32 - 1))
    groups, filters, k = draw(st.integers(1, 3)), draw(st.integers(1, 8)), draw(st.integers(1, 12))
    random = np.random.default_rng(seed)
    weights = random.standard_t(3, (groups, filters, k))
    inputs = random.standard_normal((groups, k, k))
    metric = inputs @ inputs.transpose(0, 2, 1) / k + 0.01 * np.eye(k)
    price = draw(st.sampled_from([0.0, 1e-3, 0.03, 0.3]))
    return codes.Problem(weights, metric, price), draw(st.sampled_from([0.02, 0.1, 0.5, 2.0]))


def rounded(task, step):
    return np.clip(np.rint(task.weights / step), -codes.LARGEST, codes.LARGEST).astype(int)


def error_of(task, step, found):
    """The sum over filters, one by one."""
    total = 0.0
    for group, filters in enumerate(task.weights - step * found):
        for row in filters:
            total += float(row @ task.metric[group] @ row)
    return total


def bits_of(found):
    """By the definition of entropy."""
    counts = Counter(found.reshape(-1).tolist()).values()
    return -sum(count * math.log2(count / found.size) for count in counts)


@FEW
@given(problems())
def test_a_solution_costs_no_more_than_rounding(case):
    task, step = case
    found = codes.solve(task, step)
    plain = rounded(task, step)
    assert found.codes.shape == plain.shape
    assert np.abs(found.codes).max() <= codes.LARGEST
    assert found.error == pytest.approx(error_of(task, step, found.codes), rel=1e-9, abs=1e-12)
    assert found.bits == pytest.approx(bits_of(found.codes), abs=1e-6)
    cost = found.error + task.price * found.bits
    rounding = error_of(task, step, plain) + task.price * bits_of(plain)
    assert cost <= rounding * (1 + 1e-9) + 1e-12


@FEW
@given(problems())
def test_without_a_price_and_with_independent_inputs_it_is_rounding(case):
    task, step = case
    metric = np.broadcast_to(np.eye(task.metric.shape[-1]), task.metric.shape)
    found = codes.solve(codes.Problem(task.weights, metric, 0.0), step)
    np.testing.assert_array_equal(found.codes, rounded(task, step))


@pytest.mark.parametrize("start", [0.4, 4.0])
def test_the_search_for_a_step_goes_downhill(start):
    task, chosen = correlated(), []
    for price in (0.003, 0.3):
        priced = codes.Problem(task.weights, task.metric, price)
        found, begun = codes.best(priced, [start], least=0.02), codes.solve(priced, start)
        costs = [each.error + price * each.bits for each in (found, begun)]
        assert costs[0] <= costs[1]
        assert found.step >= 0.02
        chosen.append(found.step)
    assert chosen[0] < chosen[1]  # a dearer bit wants a larger step
    assert codes.best(task, [start], least=5.0).step >= 5


@pytest.mark.parametrize("price", [0.003, 0.03, 0.3])
def test_the_search_for_a_step_begins_at_the_cheapest(price):
    task = codes.Problem(correlated().weights, correlated().metric, price)
    steps = [0.02, 0.1, 0.4, 1.5, 6.0]
    costs = [found.error + price * found.bits for found in (codes.solve(task, s) for s in steps)]
    found = codes.best(task, steps, least=0.01)
    assert found.error + price * found.bits <= min(costs)
    assert found.step == codes.best(task, steps[::-1], least=0.01).step


def correlated(k=40, filters=20):
    random = np.random.default_rng(5)
    weights = random.laplace(size=(1, filters, k))
    shared = random.standard_normal((k, 3))
    return codes.Problem(weights, (shared @ shared.T + 0.1 * np.eye(k))[np.newaxis], 0.0)


def test_each_pass_lowers_the_error_where_inputs_are_correlated():
    task, step = correlated(), 0.5
    plain = rounded(task, step)
    bits = np.zeros(2 * codes.LARGEST + 1)
    ordered = codes._in_order(task, step, bits)
    swept = plain.copy()
    assert codes._sweep(task, step, swept, bits) == (swept != plain).sum() > 0
    before = error_of(task, step, plain)
    assert error_of(task, step, ordered) < 0.5 * before
    assert error_of(task, step, swept) < 0.5 * before
    first = error_of(task, step, ordered)
    codes._sweep(task, step, ordered, bits)
    assert error_of(task, step, ordered) <= first


def test_blocks_of_the_first_pass_do_not_show(monkeypatch):
    """The later columns get a block's errors at once, or one by one: it is the same."""
    task = correlated(k=30)
    bits = np.zeros(2 * codes.LARGEST + 1)
    whole = codes._in_order(task, 0.4, bits)
    monkeypatch.setattr(codes, "_BLOCK", 7)
    np.testing.assert_array_equal(codes._in_order(task, 0.4, bits), whole)


def test_a_dearer_bit_gives_fewer_bits_and_more_zeros():
    task = correlated()
    found = [
        codes.solve(codes.Problem(task.weights, task.metric, price), 0.3)
        for price in (0.0, 0.05, 0.5, 1e6)
    ]
    assert all(a.bits > b.bits and a.error < b.error for a, b in itertools.pairwise(found))
    zeros = [(each.codes == 0).mean() for each in found]
    assert zeros == sorted(zeros)
    assert zeros[-1] == 1


def test_the_problem_of_a_layer_with_a_bias_leaves_the_mean_error_out():
    random = np.random.default_rng(1)
    inputs = random.normal([3, 0, -2, 0], 1, (500, 4))
    mean, covariance = inputs.mean(0), np.cov(inputs.T, bias=True)
    statistics = Statistics(mean[np.newaxis], covariance[np.newaxis], 0.5)
    off = random.standard_normal(4)
    weights = np.zeros((1, 1, 4))
    for biased, wanted in ((True, (inputs @ off).var()), (False, ((inputs @ off) ** 2).mean())):
        task = codes.problem(weights, statistics, 2e-3, biased)
        damping = task.metric[0] - np.array([covariance, inputs.T @ inputs / 500])[1 - biased]
        np.testing.assert_allclose(damping, damping[0, 0] * np.eye(4), atol=1e-9)
        assert off @ task.metric[0] @ off == pytest.approx(wanted, rel=0.1)
        assert task.price == pytest.approx(2 * 2e-3 / 0.5)
    np.testing.assert_array_equal(statistics.covariance[0], covariance)


@FEW
@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=20))
def test_a_rounded_bias_has_eight_bits(values):
    given_ = np.array(values, np.float32)
    found = write.rounded_bias(given_)
    assert found.dtype == np.float32
    for value, was in zip(found.tolist(), given_.tolist(), strict=True):
        if value:
            numerator, _ = float(value).as_integer_ratio()
            while numerator % 2 == 0:
                numerator //= 2
            assert abs(numerator) < 2**8
        assert abs(value - was) <= abs(was) * 2**-8 + 1e-45


# Statistics


def tiny():
    tf_keras.utils.set_random_seed(4)
    image = layers.Input((7, 6, 2), name="image")
    x = layers.Conv2D(5, 3, strides=2, padding="same", activation="relu", name="conv")(image)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, activation="relu", name="depthwise")(x)
    x = layers.Flatten()(x)
    return tf_keras.Model(image, layers.Dense(3, name="dense")(x), name="tiny")


@functools.cache
def measured():
    """The tiny network, its replay, pictures for two batches, and what was collected of them."""
    model = tiny()
    for variable in model.trainable_variables:
        variable.assign(0.6 * variable + 0.05)  # probabilities that are neither even nor certain
    replay = Replay(
        Conversions(model, Calibration(np.zeros((0, 1, 1, 1), np.float32), 0, 1)).flatbuffer(
            "float32"
        ),
        "tiny",
    )
    images = np.random.default_rng(6).normal(0.3, 1, (21, 7, 6, 2)).astype(np.float32)
    found = collect(replay, images, seed=9)
    return model, replay, images, {each.kind: found[each.weight] for each in replay.layers}


def windows(images, height, width, stride):
    """(n · positions, height, width, channels) of padded images."""
    _, rows, columns, _ = images.shape
    return np.concatenate(
        [
            images[:, y : y + height, x : x + width]
            for y in range(0, rows - height + 1, stride)
            for x in range(0, columns - width + 1, stride)
        ]
    )


def inputs_of(kind):
    """What each weight of a layer is multiplied with, (samples, groups, k), by NumPy's means."""
    model, _, images, _ = measured()
    if kind == "CONV_2D":
        # SAME of 7×6, 3×3 and stride 2: rows need 4·2 + 1 − … = 2 more, columns 1 more, at the end.
        padded = np.pad(images, ((0, 0), (1, 1), (0, 1), (0, 0)))
        return windows(padded, 3, 3, 2).reshape(-1, 1, 18)
    hidden = tf_keras.Model(model.input, [model.get_layer(n).output for n in ("conv", "depthwise")])
    conv, depthwise = (value.numpy() for value in hidden(images))
    if kind == "DEPTHWISE_CONV_2D":
        return windows(conv, 2, 2, 1).reshape(-1, 4, 5).transpose(0, 2, 1)
    return depthwise.reshape(len(images), 1, -1)


KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.mark.parametrize("kind", KINDS)
def test_mean_and_covariance_are_those_of_the_inputs(kind):
    found, wanted = measured()[3][kind], inputs_of(kind)
    np.testing.assert_allclose(found.mean, wanted.mean(0), atol=1e-5)
    for group, covariance in enumerate(found.covariance):
        np.testing.assert_allclose(
            covariance, np.cov(wanted[:, group].T, bias=True), atol=1e-4, err_msg=str(group)
        )


def test_importance_is_that_of_each_pictures_own_gradient():
    """The labels are drawn in the same way; the gradients are Keras' own, one picture a time."""
    model, _, images, found = measured()
    kernels = [model.get_layer(n).weights[0] for n in ("conv", "depthwise", "dense")]
    squares, drawn = np.zeros(3), set()
    for batch, start in enumerate((0, 16)):
        own = images[start : start + 16]
        noise = tf.random.stateless_uniform((len(own), 3), (9, batch), minval=1e-20).numpy()
        labels = (model(own).numpy() - np.log(-np.log(noise))).argmax(1)  # a maximum of Gumbel's
        drawn |= set(labels)
        for image, label in zip(own, labels, strict=True):
            with tf.GradientTape() as tape:
                logits = model(image[np.newaxis])
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits([label], logits)
            squares += [float(tf.reduce_sum(g**2)) for g in tape.gradient(loss, kernels)]
    assert drawn == {0, 1, 2}
    for kind, square, filters in zip(KINDS, squares, (5, 10, 3), strict=True):
        trace = (inputs_of(kind) ** 2).mean(0).sum(1).mean()
        wanted = square / len(images) / (filters * trace)
        assert found[kind].importance == pytest.approx(wanted, rel=1e-4), kind


def test_labels_follow_the_networks_own_probabilities():
    """Of many equal pictures: a dense layer's Fisher information has a closed form."""
    model, replay, images, _ = measured()
    picture = images[:1]
    logits = model(picture).numpy()[0]
    p = np.exp(logits - logits.max())
    p /= p.sum()
    assert p.max() < 0.9
    found = collect(replay, np.repeat(picture, 3200, axis=0), seed=3)
    dense = next(each for each in replay.layers if each.kind == "FULLY_CONNECTED")
    # E |p − e_y|² = 1 − Σ p²; the inputs' squares are those of the trace.
    assert found[dense.weight].importance == pytest.approx((1 - (p**2).sum()) / 3, rel=0.05)


def test_what_can_not_be_measured_is_refused():
    _, replay, images, _ = measured()
    with pytest.raises(ZooError, match="no images to measure"):
        collect(replay, images[:0])
    with pytest.raises(ZooError, match="not finite"):
        collect(replay, np.full_like(images[:1], np.nan))
