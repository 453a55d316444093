"""Augmentation: what it may change of an image, and that it depends on seed and step alone."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import data
from zoo.training import augment
from zoo.training.augment import Augmentation, Draw, seed_of
from zoo.training.schedule import TrainingPlan, batches


@pytest.fixture(scope="module")
def dataset():
    return data.load("digits", 16, 200)


def pixels(count=64, height=6, width=8, channels=2):
    """Every pixel another number, none of them zero."""
    size = count * height * width * channels
    return (1 + np.arange(size, dtype=np.int32)).reshape(count, height, width, channels)


def seed(number=1):
    return seed_of(number, tf.constant(7, tf.int64), Draw.CROP)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**20))
def test_a_crop_is_the_image_moved_by_at_most_the_padding(padding, number):
    images = pixels()
    found = augment.cropped(tf.constant(images), padding, seed(number)).numpy()
    moves = set()
    for image, crop in zip(images, found, strict=True):
        padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
        places = [
            (y, x)
            for y in range(2 * padding + 1)
            for x in range(2 * padding + 1)
            if np.array_equal(padded[y : y + 6, x : x + 8], crop)
        ]
        assert places
        moves.add(places[0])
    assert len(moves) > 4, "each image moves by its own"


def test_mirroring_turns_about_half_of_the_images_and_changes_none_else():
    images = pixels(400)
    found = augment.mirrored(tf.constant(images), seed()).numpy()
    turned = [np.array_equal(f, i[:, ::-1]) for f, i in zip(found, images, strict=True)]
    kept = [np.array_equal(f, i) for f, i in zip(found, images, strict=True)]
    assert all(np.logical_xor(turned, kept))
    assert 150 < sum(turned) < 250


def test_what_is_erased_is_a_rectangle_of_some_images():
    images = np.zeros((400, 32, 32, 3), np.float32)
    seeds = (seed_of(1, tf.constant(3), Draw.ERASE), seed_of(1, tf.constant(3), Draw.NOISE))
    found = augment.erased(tf.constant(images), 0.5, *seeds).numpy()
    areas = []
    for image in found:
        noisy = image.any(axis=-1)
        if noisy.any():
            rows, columns = np.flatnonzero(noisy.any(1)), np.flatnonzero(noisy.any(0))
            assert noisy[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
            assert noisy.sum() == len(rows) * len(columns)
            areas.append(noisy.mean())
    assert 150 < len(areas) < 250
    # Section 3.2: 2 to 40 % of the area; whole pixels and the image's border move that a little.
    assert min(areas) > 0.01 and max(areas) < 0.45
    assert 0.15 < np.mean(areas) < 0.25
    noise = found[found != 0]
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02


def test_mixing_keeps_labels_in_step_with_images():
    images = np.zeros((4, 2, 2, 1), np.float32)
    images += np.arange(4, dtype=np.float32)[:, None, None, None]
    labels = np.eye(4, dtype=np.float32)
    x, y = (t.numpy() for t in augment.mixed(images, labels, 0.4, seed()))
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(x[:, 0, 0, 0], y @ np.arange(4), rtol=1e-5)
    assert 0 < y[0, 0] < 1


def test_rand_augment_changes_pictures_and_leaves_their_form():
    change = Augmentation(randaugment=0.5).geometry(1)
    for channels in (1, 3):
        images = tf.constant(np.random.default_rng(1).integers(0, 256, (8, 16, 16, channels)))
        images = tf.cast(images, tf.uint8)
        found = change(images, tf.constant(4, tf.int64))
        assert (found.shape, found.dtype) == (images.shape, tf.uint8)
        assert (found.numpy() != images.numpy()).any()
        again = change(images, tf.constant(4, tf.int64))
        np.testing.assert_array_equal(found, again)
        assert (change(images, tf.constant(5, tf.int64)).numpy() != found.numpy()).any()


ALL = Augmentation(flip=True, crop=2, erase=0.5, mixup=0.2)
SCHEDULE = TrainingPlan(epochs=2, batch_size=32, learning_rate=0.1, seed=3, augmentation=ALL)


def collected(dataset, first, end, worker=0, workers=1, schedule=SCHEDULE):
    found = batches(dataset, schedule, first, end, True, worker, workers)
    return [(x.numpy(), y.numpy()) for x, y in found]


def test_a_step_is_the_same_wherever_one_begins(dataset):
    whole, part = collected(dataset, 0, 6), collected(dataset, 4, 6)
    for (x, y), (again, labels) in zip(whole[4:], part, strict=True):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, labels)
    assert any((whole[0][0] != whole[1][0]).ravel())


def test_an_epoch_has_every_image_once_and_workers_share_it(dataset):
    plain = TrainingPlan(epochs=1, batch_size=40, learning_rate=0.1)
    steps = plain.steps_per_epoch(len(dataset.train))
    assert steps == 30
    own = sorted(dataset.normalize(image).tobytes() for image in dataset.train.images)
    for workers in (1, 2, 4):
        seen = []
        for worker in range(workers):
            for x, _ in collected(dataset, 0, steps, worker, workers, plain):
                assert len(x) == 40 // workers
                seen += [image.tobytes() for image in x]
        assert sorted(seen) == own
