"""Training learned shifts for real: freezing, resuming, reporting, no decay."""

import csv
import dataclasses

import numpy as np
import pytest
import tf_keras

from tests.support.select import some
from zoo.data.dataset import Dataset
from zoo.data.split import Split
from zoo.layers.active_shift import ActiveShift
from zoo.layers.shift import Shift
from zoo.layers.sparse_shift import SparseShift
from zoo.training import loop, shift_callbacks
from zoo.training.augment import Augmentation
from zoo.training.schedule import TrainingPlan

layers = tf_keras.layers
SCHEDULE = TrainingPlan(
    epochs=4,
    batch_size=16,
    learning_rate=0.05,
    warmup=0.2,
    weight_decay=5e-4,
    augmentation=Augmentation(flip=True),
)  # 5 steps an epoch, 20 in all


def dataset():
    rng = np.random.default_rng(1)

    def split(count):
        labels = rng.integers(0, 4, count).astype(np.int32)
        images = rng.integers(0, 100, (count, 8, 8, 1)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 2] += 120  # a bright band tells the class
        return Split(images, labels)

    return Dataset(
        name="bands",
        train=split(80),
        validation=split(40),
        test=split(8),
        labels=tuple("abcd"),
        mean=80.0,
        std=60.0,
        padding="none",
    )


def network(kind, **arguments):
    tf_keras.utils.set_random_seed(1)
    image = layers.Input((8, 8, 1), name="image")
    x = layers.Conv2D(20, 1, name="conv1")(image)
    x = layers.BatchNormalization(name="bn")(x)
    x = kind(name="shift", **arguments)(layers.ReLU(name="relu")(x))
    x = layers.Conv2D(8, 1, activation="relu", name="conv2")(x)
    x = layers.Flatten(name="flatten")(x)
    return tf_keras.Model(image, layers.Dense(4, name="classifier")(x))


def rows(folder):
    with (folder / "epochs.csv").open() as file:
        return list(csv.DictReader(file))


class Shifts(tf_keras.callbacks.Callback):
    """Writes down the shifts after each step."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.model.get_layer("shift").shift.numpy())


def test_sparse_shifts_freeze_half_way_and_the_log_says_their_share(tmp_path):
    model, shifts = network(SparseShift), Shifts()
    lines: list[str] = []
    assert shift_callbacks.unshifted_share(model) < 0.5
    loop.fit(model, dataset(), SCHEDULE, tmp_path, lines.append, callbacks=[shifts])

    layer = model.get_layer("shift")
    assert float(layer.frozen) == 1
    assert len(shifts.seen) == 20
    for one, other in zip(shifts.seen[:9], shifts.seen[1:10], strict=True):
        assert (one != other).any()
    for later in shifts.seen[10:]:
        assert later.tobytes() == shifts.seen[10].tobytes()
    np.testing.assert_array_equal(shifts.seen[10], np.round(shifts.seen[9]))

    share = np.mean(~layer.integer_shifts.any(axis=1))
    assert shift_callbacks.unshifted_share(model) == pytest.approx(share)
    log = rows(tmp_path)
    assert float(log[-1]["unshifted"]) == pytest.approx(share, abs=1e-5)
    assert log[2]["unshifted"] == log[3]["unshifted"]
    assert lines[-1].endswith(f"{100 * share:.1f} % of the channels unshifted")


def test_a_strong_penalty_unshifts(tmp_path):
    model = network(SparseShift, penalty=1.0)
    loop.fit(model, dataset(), SCHEDULE, tmp_path, lambda line: None)
    assert float(rows(tmp_path)[0]["loss"]) > 5, "the penalty of 40 shifts is in the loss"
    assert shift_callbacks.unshifted_share(model) > 0.9


@pytest.mark.parametrize(
    ("kind", "stop_after"),
    some([(SparseShift, 1), (SparseShift, 3), (ActiveShift, 1)], (SparseShift, 3)),
)
def test_resumed_training_ends_with_the_same_weights(kind, stop_after, tmp_path):
    unbroken = network(kind)
    loop.fit(unbroken, dataset(), SCHEDULE, tmp_path / "unbroken", lambda line: None)

    class Killed(Exception):
        pass

    class Kill(tf_keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 5 * stop_after + 3:
                raise Killed

    with pytest.raises(Killed):
        loop.fit(
            network(kind),
            dataset(),
            SCHEDULE,
            tmp_path / "broken",
            lambda line: None,
            callbacks=[Kill()],
        )
    lines: list[str] = []
    resumed = network(kind)
    loop.fit(resumed, dataset(), SCHEDULE, tmp_path / "broken", lines.append)
    assert lines[0].startswith(f"resuming after epoch {stop_after} of 4")
    for one, other in zip(unbroken.weights, resumed.weights, strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes(), one.name
    for one, other in zip(rows(tmp_path / "unbroken"), rows(tmp_path / "broken"), strict=True):
        assert one.get("unshifted") == other.get("unshifted")


def test_shifts_do_not_decay(tmp_path):
    # No gradient and no penalty: only a decay could move these.
    model = network(ActiveShift, learning_rate_multiplier=0.0)
    before = {w.name: w.numpy() for w in model.weights}
    schedule = dataclasses.replace(SCHEDULE, epochs=1, weight_decay=0.5)
    loop.fit(model, dataset(), schedule, tmp_path, lambda line: None)
    after = {w.name: w.numpy() for w in model.weights}
    np.testing.assert_array_equal(after["shift/shift:0"], before["shift/shift:0"])
    assert np.abs(after["conv2/kernel:0"]).mean() < 0.95 * np.abs(before["conv2/kernel:0"]).mean()


@pytest.mark.parametrize("kind", some([Shift, ActiveShift], ActiveShift))
def test_networks_without_sparse_shifts_have_nothing_to_report(kind, tmp_path):
    model = network(kind)
    lines: list[str] = []
    assert shift_callbacks.unshifted_share(model) is None
    assert shift_callbacks.callbacks(model, 4, 5) == []
    loop.fit(model, dataset(), dataclasses.replace(SCHEDULE, epochs=1), tmp_path, lines.append)
    assert "unshifted" not in rows(tmp_path)[0]
    assert "unshifted" not in lines[-1]


def test_nested_networks_are_found():
    inner = network(SparseShift)
    image = layers.Input((8, 8, 1))
    outer = tf_keras.Model(image, inner(image))
    assert len(shift_callbacks.sparse_shifts(outer)) == 1
    assert len(shift_callbacks.shift_variables(outer)) == 1
    assert shift_callbacks.unshifted_share(outer) == shift_callbacks.unshifted_share(inner)


def test_an_odd_schedule_freezes_in_the_middle_of_an_epoch(tmp_path):
    model, shifts = network(SparseShift), Shifts()
    loop.fit(
        model,
        dataset(),
        dataclasses.replace(SCHEDULE, epochs=1),
        tmp_path,
        lambda line: None,
        callbacks=[shifts],
    )
    assert (shifts.seen[0] != shifts.seen[1]).any()
    assert shifts.seen[2].tobytes() == shifts.seen[4].tobytes()
