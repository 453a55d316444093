"""Teachers: what may be one, and what knows other pictures or classes."""

import dataclasses

import numpy as np
import pytest

from zoo import catalog, data
from zoo.catalog.preprocessing import TORCH
from zoo.errors import ZooError
from zoo.pretrained import checkpoint, transfer
from zoo.schema.run import ModelConfig
from zoo.training import teacher as teachers

RECIPE = dataclasses.replace(catalog.recipe("digits_quick"), image_size=16)
CONFIG = ModelConfig(model="resnet20", input_shape=(16, 16, 1), classes=10, width=0.25)


@pytest.fixture(scope="module")
def digits_set():
    return data.of(RECIPE)


def published(path, dataset, config=CONFIG, **changes):
    """A network's checkpoint at `path`, and the network."""
    model = catalog.build(config)
    weights = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    initial = transfer.Initial(
        "a run", "0" * 64, config.model, weights, transfer.of_dataset(dataset),
        labels=dataset.labels,
    )  # fmt: skip
    initial = dataclasses.replace(initial, **changes)
    path.write_bytes(checkpoint.encode("a run", config, initial))
    return model


def test_a_checkpoint_is_rebuilt(tmp_path, digits_set):
    path = tmp_path / "taught.safetensors"
    model = published(path, digits_set)
    read = checkpoint.read(path)
    assert (read.config, read.labels) == (CONFIG, digits_set.labels)
    recipe = dataclasses.replace(RECIPE, teacher=str(path))
    teacher = teachers.load(recipe, digits_set, tmp_path, "mine")
    assert teacher.sha256 == read.sha256
    x = digits_set.normalize(digits_set.test.images[:4])
    expected, got = model(x).numpy(), teacher.network()(x).numpy()
    np.testing.assert_allclose(got, expected, atol=5e-3 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": tuple("abcdefghij")}, "trained on different classes.*'a', 'b'"),
        pytest.param(
            {"config": CONFIG.model_copy(update={"classes": 7}), "labels": ()},
            "a different number of classes.*got: 7",
            marks=pytest.mark.slow,
        ),
        (
            {"config": CONFIG.model_copy(update={"input_shape": (24, 24, 1)})},
            r"images of a different shape.*expected: \(16, 16, 1\).*got: \(24, 24, 1\)",
        ),
        ({"preprocessing": TORCH}, "differently normalized images"),
    ],
)
def test_one_that_knows_something_else_is_refused(tmp_path, digits_set, change, message):
    path = tmp_path / "taught.safetensors"
    published(path, digits_set, **change)
    recipe = dataclasses.replace(RECIPE, teacher=str(path))
    with pytest.raises(ZooError, match=message) as caught:
        teachers.load(recipe, digits_set, tmp_path, "mine")
    assert "\n" not in str(caught.value)
