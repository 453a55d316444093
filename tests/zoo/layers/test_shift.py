"""The shift layers against plain loops, finite differences, and each other."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.select import some
from zoo.errors import ZooError
from zoo.layers.active_shift import ActiveShift
from zoo.layers.shift import Shift, shifts
from zoo.layers.sparse_shift import SparseShift

KINDS = (Shift, ActiveShift, SparseShift)


def moved(x, table, strides=1):
    """What a shift by whole pixels gives, by a loop over every pixel and channel."""
    batch, height, width, channels = x.shape
    out = np.zeros((batch, -(-height // strides), -(-width // strides), channels), x.dtype)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            for c in range(channels):
                y, z = strides * i + table[c, 0], strides * j + table[c, 1]
                if 0 <= y < height and 0 <= z < width:
                    out[:, i, j, c] = x[:, y, z, c]
    return out


def interpolated(x, table, strides=1):
    """What a bilinear shift gives, as the weighted sum of four whole shifts, in float64."""
    low = np.floor(table).astype(int)
    f = table - low
    total = 0.0
    for dy in (0, 1):
        for dx in (0, 1):
            weight = (f[:, 0] if dy else 1 - f[:, 0]) * (f[:, 1] if dx else 1 - f[:, 1])
            total = total + weight * moved(x.astype(np.float64), low + np.array([dy, dx]), strides)
    return total


def images(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def built(kind, table, **arguments):
    layer = kind(**arguments)
    layer.build((None, None, None, len(table)))
    layer.shift.assign(table)
    return layer


def gradients(layer, x, upstream):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    return [g.numpy() for g in tape.gradient(y, [x, layer.shift], upstream)]


def test_the_nine_directions_of_the_paper():
    table = shifts(11, 3)
    expected = [
        (-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0), (0, 1), (1, -1), (1, 0), (1, 1), (0, 0), (0, 0)
    ]  # fmt: skip
    assert [tuple(row) for row in table] == expected
    assert not shifts(8, 3).any()  # fewer channels than directions: none moves
    assert np.array_equal(shifts(9, 3, 2), 2 * shifts(9, 3))
    assert np.abs(shifts(60, 5)).max() == 2
    assert [tuple(row) for row in shifts(3, (1, 3))] == [(0, -1), (0, 0), (0, 1)]


@pytest.mark.parametrize(
    ("channels", "kernel", "dilation"), [(9, 2, 1), (9, 0, 1), (9, 3, 0), (0, 3, 1), (9, (3, 4), 1)]
)
def test_impossible_shifts_are_refused(channels, kernel, dilation):
    with pytest.raises(ZooError, match="invalid shift"):
        shifts(channels, kernel, dilation)


@pytest.mark.parametrize("arguments", [{"radius": 0}, {"strides": 0}, {"initial_range": 9.0}])
def test_impossible_learned_shifts_are_refused(arguments):
    with pytest.raises(ZooError, match="invalid shift"):
        ActiveShift(**arguments)


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    channels=st.integers(1, 30),
    kernel=st.sampled_from([1, 3, 5, (1, 3), (5, 3)]),
    dilation=st.integers(1, 3),
    strides=st.integers(1, 3),
)
def test_shift_is_the_plain_loop(size, channels, kernel, dilation, strides):
    x = images(2, *size, channels)
    expected = moved(x, shifts(channels, kernel, dilation), strides)
    layer = Shift(kernel, dilation, strides)
    np.testing.assert_array_equal(layer(x), expected)
    assert tuple(layer.compute_output_shape((2, *size, channels))) == expected.shape
    assert layer.weights == []


def test_shift_without_known_sizes():
    x = images(2, 6, 7, 20)
    for strides in (1, 2):
        step = tf.function(Shift(3, strides=strides)).get_concrete_function(
            tf.TensorSpec((None, None, None, 20))
        )
        np.testing.assert_array_equal(step(tf.constant(x)), moved(x, shifts(20, 3), strides))


def test_shift_is_a_one_hot_depthwise_convolution():
    x, table = images(2, 5, 6, 19), shifts(19, 3)
    depthwise = tf_keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)
    depthwise.build(x.shape)
    kernel = np.zeros((3, 3, 19, 1), np.float32)
    kernel[table[:, 0] + 1, table[:, 1] + 1, np.arange(19)] = 1
    depthwise.set_weights([kernel])
    np.testing.assert_array_equal(Shift(3)(x), depthwise(x))


@pytest.mark.parametrize("kernel", [3, 7])
def test_gradient_of_a_shift_is_the_opposite_shift(kernel):
    x, upstream = images(2, 6, 7, 50), images(2, 6, 7, 50, seed=2)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = Shift(kernel)(x)
    np.testing.assert_array_equal(
        tape.gradient(y, x, upstream), moved(upstream, -shifts(50, kernel))
    )


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("kind", [ActiveShift, SparseShift])
def test_whole_numbers_are_exact(kind, strides):
    table = np.random.default_rng(3).integers(-4, 5, (40, 2))
    table[:2] = [[4, -4], [-4, 4]]  # the radius itself
    x = images(2, 6, 7, 40)
    layer = built(kind, table, strides=strides, radius=4)
    np.testing.assert_array_equal(layer(x), moved(x, table, strides))


@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("size", [(6, 6), (5, 8), (3, 2)])
def test_active_shift_is_bilinear(strides, size):
    table = np.random.default_rng(4).uniform(-3, 3, (30, 2)).astype(np.float32)
    x = images(2, *size, 30)
    y = built(ActiveShift, table, strides=strides)(x)
    np.testing.assert_allclose(y, interpolated(x, table.astype(np.float64), strides), atol=1e-6)


@pytest.mark.parametrize("strides", [1, 2])
def test_active_shift_gradients_are_finite_differences(strides):
    rng = np.random.default_rng(5)
    table = rng.uniform(-2, 2, (6, 2))
    table = np.where(np.abs(table - np.round(table)) < 0.05, table + 0.1, table).astype(np.float32)
    x = images(2, 5, 6, 6)
    upstream = images(*moved(x, np.zeros((6, 2), int), strides).shape, seed=6)
    layer = built(
        ActiveShift,
        table,
        strides=strides,
        normalize_gradient=False,
        learning_rate_multiplier=1.0,
    )
    of_inputs, of_shifts = gradients(layer, x, upstream)

    exact = table.astype(np.float64)
    for c in range(6):
        for axis in (0, 1):
            step = np.zeros_like(exact)
            step[c, axis] = 1e-4
            slope = (
                interpolated(x, exact + step, strides) - interpolated(x, exact - step, strides)
            ) / 2e-4
            assert of_shifts[c, axis] == pytest.approx((slope * upstream).sum(), abs=1e-4)
    # The layer is linear in its inputs: the gradient is its transpose.
    other = images(*x.shape, seed=7)
    np.testing.assert_allclose(
        (of_inputs * other).sum(), (interpolated(other, exact, strides) * upstream).sum(), rtol=1e-4
    )


def test_at_whole_numbers_the_gradient_is_the_one_to_the_right():
    table = np.array([[0, 0], [1, -2], [-1, 2]])
    x, upstream = images(1, 6, 6, 3), images(1, 6, 6, 3, seed=14)
    for kind in (ActiveShift, SparseShift):
        layer = built(kind, table, radius=2, normalize_gradient=False, learning_rate_multiplier=1.0)
        here = moved(x, table)
        below, beside = np.array([1, 0]), np.array([0, 1])
        down, right = moved(x, table + below) - here, moved(x, table + beside) - here
        expected = np.stack([(down * upstream).sum((0, 1, 2)), (right * upstream).sum((0, 1, 2))])
        np.testing.assert_allclose(gradients(layer, x, upstream)[1], expected.T, rtol=1e-4)


def test_unit_length_and_multiplier():
    x, upstream = images(2, 5, 5, 12), images(2, 5, 5, 12, seed=8)
    upstream[..., 3] = 0  # no gradient reaches channel 3
    upstream[..., 4] *= 1e-25  # whose square is zero in float32
    table = np.random.default_rng(9).uniform(-1, 1, (12, 2))
    arguments = {"normalize_gradient": False, "learning_rate_multiplier": 1.0}
    true_inputs, true = gradients(built(ActiveShift, table, **arguments), x, upstream)
    inputs, scaled = gradients(built(ActiveShift, table), x, upstream)
    np.testing.assert_array_equal(inputs, true_inputs)
    lengths = np.linalg.norm(scaled, axis=1)
    assert lengths[3] == 0
    np.testing.assert_allclose(np.delete(lengths, 3), 0.01, rtol=1e-5)
    directions = true.astype(np.float64)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-300)
    np.testing.assert_allclose(scaled, 0.01 * directions, atol=1e-6)


@pytest.mark.parametrize("strides", [1, 2])
def test_sparse_shift_rounds_and_passes_the_gradient_straight_through(strides):
    table = np.random.default_rng(10).uniform(-3, 3, (30, 2)).astype(np.float32)
    x = images(2, 6, 7, 30)
    upstream = images(*moved(x, np.zeros((30, 2), int), strides).shape, seed=11)
    sparse = built(SparseShift, table, strides=strides)
    rounded = np.round(table).astype(int)
    np.testing.assert_array_equal(sparse(x), moved(x, rounded, strides))
    np.testing.assert_array_equal(sparse.integer_shifts, rounded)

    active = built(
        ActiveShift,
        table,
        strides=strides,
        normalize_gradient=False,
        learning_rate_multiplier=1.0,
    )
    of_inputs, of_shifts = gradients(sparse, x, upstream)
    np.testing.assert_array_equal(of_shifts, gradients(active, x, upstream)[1])
    active.shift.assign(rounded)
    np.testing.assert_array_equal(of_inputs, gradients(active, x, upstream)[0])


def test_sparse_shift_penalty():
    table = np.random.default_rng(12).uniform(-3, 3, (30, 2)).astype(np.float32)
    layer = built(SparseShift, table, penalty=0.5)
    with tf.GradientTape() as tape:
        (loss,) = layer.losses
    assert float(loss) == pytest.approx(0.5 * np.abs(table).sum(), rel=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, layer.shift), 0.5 * np.sign(table))


def test_the_optimizer_keeps_shifts_within_the_radius():
    for kind in (ActiveShift, SparseShift):
        layer = built(kind, np.full((9, 2), 1.75), radius=2)
        optimizer = tf_keras.optimizers.SGD(1.0)
        optimizer.apply_gradients([(tf.fill((9, 2), -5.0), layer.shift)])
        np.testing.assert_array_equal(layer.shift, np.full((9, 2), 2.0))
        layer.shift.assign(np.full((9, 2), -7.0))  # as loaded from a file, say
        x = images(1, 6, 6, 9)
        np.testing.assert_array_equal(layer(x), moved(x, np.full((9, 2), -2)))


def test_frozen_shifts_do_not_move():
    x, upstream = images(4, 6, 6, 20), images(4, 6, 6, 20, seed=13)
    layer = SparseShift(penalty=0.1)
    layer(x)
    optimizer = tf_keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True, jit_compile=False)

    def step():
        with tf.GradientTape() as tape:
            loss = 10 * tf.reduce_sum(layer(x) * upstream) + sum(layer.losses)
        optimizer.minimize(loss, [layer.shift], tape)

    start = layer.shift.numpy()
    for _ in range(3):
        step()
    learned = layer.shift.numpy()
    assert (learned != start).all()
    before = layer(x).numpy()
    layer.freeze()
    frozen = layer.shift.numpy()
    np.testing.assert_array_equal(frozen, np.round(learned))
    velocity = optimizer.variables[-1].numpy()
    assert np.abs(velocity).max() > 1, "momentum is left that would move the shifts by pixels"
    for _ in range(20):
        step()
        assert layer.shift.numpy().tobytes() == frozen.tobytes()
    layer.freeze()
    assert layer.shift.numpy().tobytes() == frozen.tobytes()
    np.testing.assert_array_equal(layer(x), before)
    assert float(layer.losses[0]) == 0
    assert not gradients(layer, x, upstream)[1].any()


def model_of(kind, **arguments):
    image = tf_keras.Input((6, 7, 20))
    x = kind(strides=2, name="one", **arguments)(image)
    return tf_keras.Model(image, kind(name="two", **arguments)(x))


# `test_architectures.py` asks a network that has all three kinds for a SavedModel, and for XLA.
@pytest.mark.parametrize(
    ("kind", "form"),
    some(
        itertools.product(KINDS, ("clone", "keras", "savedmodel")),
        *itertools.product(KINDS, ("clone", "keras")),
    ),
)
def test_save_load_clone(kind, form, tmp_path):
    arguments = (
        {"kernel_size": (3, 5), "dilation": 2}
        if kind is Shift
        else {"radius": 3, "initial_range": 2.5, "learning_rate_multiplier": 0.5}
    )
    model, x = model_of(kind, **arguments), images(2, 6, 7, 20)
    if kind is SparseShift:
        model.get_layer("two").freeze()
    if form == "clone":
        loaded = tf_keras.models.clone_model(model)
        loaded.set_weights(model.get_weights())
    else:
        path = tmp_path / ("m.keras" if form == "keras" else "m")
        model.save(path, save_format="tf" if form == "savedmodel" else None)
        loaded = tf_keras.models.load_model(path)
    np.testing.assert_array_equal(loaded(x), model(x))
    for layer, own in zip(loaded.layers[1:], model.layers[1:], strict=True):
        assert type(layer) is kind
        assert layer.get_config() == own.get_config()
    if kind is SparseShift:
        assert [float(layer.frozen) for layer in loaded.layers[1:]] == [0, 1]
        assert len(loaded.losses) == 2
        two = loaded.get_layer("two")
        before = two.shift.numpy()
        tf_keras.optimizers.SGD(0.1).apply_gradients([(tf.ones_like(two.shift), two.shift)])
        np.testing.assert_array_equal(two.shift, before)  # the constraint was loaded too


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_precisions(kind, policy):
    x = images(2, 6, 7, 20)
    layer = kind(dtype=tf_keras.mixed_precision.Policy(policy))
    with tf.GradientTape() as tape:
        y = layer(x)
        loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 2)
    assert y.dtype == layer.compute_dtype
    if kind is Shift:
        np.testing.assert_array_equal(y, moved(x, shifts(20, 3)).astype(y.numpy().dtype))
        return
    assert layer.shift.dtype == layer.variable_dtype
    gradient = tape.gradient(loss, layer.shift)
    assert gradient.dtype == layer.variable_dtype
    assert np.isfinite(gradient).all()
    table = layer.shift.numpy().astype(np.float64)
    expected = moved(x, layer.integer_shifts) if kind is SparseShift else interpolated(x, table)
    np.testing.assert_allclose(tf.cast(y, tf.float64), expected, atol=0.06)


@pytest.mark.parametrize("kind", some(KINDS, Shift))
def test_xla(kind):
    model, x = model_of(kind), tf.constant(images(2, 6, 7, 20))

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)
            loss = tf.reduce_sum(y**2) + sum(model.losses)
        return y, tape.gradient(loss, [x, *model.trainable_variables])

    y, plain = tf.function(step)(x)
    compiled_y, compiled = tf.function(step, jit_compile=True)(x)
    np.testing.assert_allclose(compiled_y, y, atol=1e-5 if kind is ActiveShift else 0)
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4)
