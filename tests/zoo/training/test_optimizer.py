"""The solver against what the papers' frameworks compute, in NumPy; averages; teachers."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from zoo.errors import UnknownNameError, ZooError
from zoo.training import optimizer as solver
from zoo.training.distillation import Distillation


def rates(steps=100, per_epoch=10, **how):
    rate = solver.WarmupDecay(0.5, steps, per_epoch, **how)
    return np.array([float(rate(tf.constant(step))) for step in range(steps)])


def test_rates():
    linear = rates(decay="linear")
    np.testing.assert_allclose(linear, 0.5 * (1 - np.arange(1, 101) / 100), atol=1e-7)
    steps = rates(decay="steps", at=(0.5, 0.75), factor=0.1)
    assert np.unique(steps.round(6)).tolist() == [0.005, 0.05, 0.5]
    assert steps[49] == pytest.approx(0.5) and steps[50] == pytest.approx(0.05)
    assert steps[74] == pytest.approx(0.05) and steps[75] == pytest.approx(0.005)
    exponential = rates(decay="exponential", factor=0.98)
    np.testing.assert_allclose(exponential, 0.5 * 0.98 ** (np.arange(100) // 10), rtol=1e-5)
    cosine = rates(decay="cosine", warmup=0.2)
    np.testing.assert_allclose(cosine[:19], 0.5 * np.arange(1, 20) / 20, rtol=1e-5)
    assert cosine.argmax() in (19, 20) and cosine[-1] == pytest.approx(0, abs=1e-6)
    assert cosine[59] == pytest.approx(0.25, abs=1e-3), "half of it half-way down"


@pytest.mark.parametrize("text", ["", "0.5,", "0.75,0.5", "0.5;0.75", "0", "1", "half"])
def test_shares_that_are_none(text):
    with pytest.raises(ZooError, match="--decay_at"):
        solver.shares(text)


def test_unknown_decay():
    with pytest.raises(UnknownNameError, match="did you mean cosine"):
        solver.WarmupDecay(1, 1, 1, decay="cosin")


def network():
    image = tf_keras.layers.Input((3,))
    return tf_keras.Model(image, tf_keras.layers.Dense(2)(image))


def stepped(gradients, **how):
    """Kernel and bias after a step for each gradient, which is all of its kernel's and bias's."""
    model = network()
    kernel = np.array([[1, -2], [3, -4], [5, -6]], np.float32)
    model.set_weights([kernel, np.array([1, -1], np.float32)])
    optimizer = solver.sgd(model, solver.WarmupDecay(0.1, 10**6, 10**6, decay="linear"), **how)
    for gradient in gradients:
        optimizer.apply_gradients(
            [(tf.fill(v.shape, gradient), v) for v in model.trainable_variables]
        )
    return model, optimizer, kernel


@pytest.mark.parametrize("nesterov", [False, True])
def test_coupled_decay_is_pytorchs(nesterov):
    """torch.optim.SGD's rule: g += decay·w; v = m·v + g; w -= rate·(g + m·v, or v)."""
    gradients = (0.3, -0.2, 0.5, 0.1)
    model, _, w = stepped(gradients, coupled_decay=True, weight_decay=0.5, nesterov=nesterov)
    bias, v, bias_v = np.array([1.0, -1.0]), np.zeros_like(w), np.zeros(2)
    for gradient in gradients:
        g = gradient + 0.5 * w
        v = 0.9 * v + g
        w = w - 0.1 * (g + 0.9 * v if nesterov else v)
        bias_v = 0.9 * bias_v + gradient  # a bias does not decay
        bias = bias - 0.1 * (gradient + 0.9 * bias_v if nesterov else bias_v)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4)
    np.testing.assert_allclose(model.get_weights()[1], bias, rtol=1e-4)


def test_plain_decay_is_beside_the_momentum():
    model, _, w = stepped([0.0, 0.0, 0.0], weight_decay=0.5)
    np.testing.assert_allclose(model.get_weights()[0], w * 0.95**3, rtol=1e-4)
    coupled, _, _ = stepped([0.0] * 3, weight_decay=0.5, coupled_decay=True, nesterov=False)
    assert (np.abs(coupled.get_weights()[0]) < np.abs(model.get_weights()[0])).all()


def test_the_average_is_there_within_and_gone_after():
    model, optimizer, kernel = stepped([], ema=0.25, nesterov=False, momentum=0.0)
    average, weights = kernel.copy(), [kernel]
    for step, gradient in enumerate((1.0, 2.0, 3.0)):
        optimizer.apply_gradients(
            [(tf.fill(v.shape, gradient), v) for v in model.trainable_variables]
        )
        weights.append(model.get_weights()[0])
        kept = min(0.25, (1 + step) / (10 + step))  # 1/10, 2/11, 1/4
        average = kept * average + (1 - kept) * weights[-1]
    with solver.averaged(model, optimizer):
        np.testing.assert_allclose(model.get_weights()[0], average, rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[0], weights[-1])


def test_statistics_of_batch_normalization_join_the_average():
    image = tf_keras.layers.Input((3,))
    norm = tf_keras.layers.BatchNormalization(momentum=0.5)
    model = tf_keras.Model(image, tf_keras.layers.Dense(2)(norm(image)))
    optimizer = solver.sgd(model, solver.WarmupDecay(0.1, 10, 10, decay="linear"), ema=0.25)
    model.compile(optimizer, "mse")
    averages = [norm.moving_mean.numpy(), norm.moving_variance.numpy()]
    random = np.random.default_rng(1)
    for step in range(3):
        x = random.normal(step, 1 + step, (8, 3)).astype(np.float32)
        model.train_on_batch(x, np.ones((8, 2), np.float32))
        kept = min(0.25, (1 + step) / (10 + step))
        now = norm.moving_mean.numpy(), norm.moving_variance.numpy()
        averages = [kept * a + (1 - kept) * s for a, s in zip(averages, now, strict=True)]
    with solver.averaged(model, optimizer):
        np.testing.assert_allclose(norm.moving_mean.numpy(), averages[0], rtol=1e-5)
        np.testing.assert_allclose(norm.moving_variance.numpy(), averages[1], rtol=1e-5)
    np.testing.assert_array_equal(norm.moving_mean.numpy(), now[0])
    np.testing.assert_array_equal(norm.moving_variance.numpy(), now[1])
    assert abs(averages[0] - now[0]).max() > 0.1


def test_an_average_changes_nothing_that_is_trained():
    """An epoch is a `fit` of its own, and tf_keras's leaves the averages in the weights."""
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(32, 3)), draw.normal(size=(32, 2))
    trained = []
    for ema in (0.0, 0.9):
        model, optimizer, _ = stepped([], ema=ema)
        model.compile(optimizer, "mse", jit_compile=False)
        for _ in range(2):
            model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
            with solver.averaged(model, optimizer):
                pass
        trained.append(model.get_weights())
    for plain, averaged in zip(*trained, strict=True):
        np.testing.assert_array_equal(averaged, plain)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def case():
    draw = np.random.default_rng(1)
    student, teacher = draw.normal(0, 2, (2, 6, 5))
    labels = np.arange(6) % 5
    y = np.stack([np.eye(5)[labels], teacher], 1).astype(np.float32)
    hard = -np.log(softmax(student)[np.arange(6), labels])
    return y, student.astype(np.float32), teacher, labels, hard


def test_distillation_is_hintons():
    y, student, teacher, _, hard = case()
    p, q = softmax(teacher / 3), softmax(student / 3)
    wanted = 0.25 * hard + 0.75 * 9 * (p * np.log(p / q)).sum(1)
    found = Distillation("kd", weight=0.75, temperature=3).call(tf.constant(y), student)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_decoupled_distillation_is_zhaos():
    """Section 3: b are the probabilities of the target and of all others, p̂ those among these."""
    y, student, teacher, labels, hard = case()
    target = np.eye(5)[labels].astype(bool)
    p, q = softmax(teacher / 4), softmax(student / 4)
    of_target = np.zeros(6)
    among = np.zeros(6)
    for i in range(6):
        a, b = p[i, target[i]][0], q[i, target[i]][0]
        of_target[i] = a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))
        rest, own = p[i, ~target[i]] / (1 - a), q[i, ~target[i]] / (1 - b)
        among[i] = (rest * np.log(rest / own)).sum()
    wanted = hard + 16 * (0.5 * of_target + 6 * among)
    found = Distillation("dkd", alpha=0.5, beta=6).call(tf.constant(y), student)
    np.testing.assert_allclose(found, wanted, rtol=1e-3)
    # Zhao's equation: kd's divergence is the target's plus (1 - p_t) times the others'.
    kd = Distillation("kd", weight=1.0).call(tf.constant(y), student)
    np.testing.assert_allclose(kd, 16 * (of_target + (1 - p[target]) * among), rtol=1e-3)
