"""Published weights: what is written is read, whatever is damaged is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import catalog
from zoo.errors import ZooError
from zoo.pretrained import checkpoint, transfer
from zoo.schema.model import Preprocessing
from zoo.schema.run import ModelConfig

GRAY = Preprocessing(channels="gray", mean=(72.9404,), std=(90.0212,))


def initial(model, name):
    weights = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    return transfer.Initial("a run", "0" * 64, name, weights, GRAY)


@pytest.fixture(scope="module")
def content():
    config = ModelConfig(model="resnet20", input_shape=(16, 16, 1), classes=10, width=0.5)
    return checkpoint.encode("mine", config, initial(catalog.build(config), "resnet20"))


@pytest.mark.parametrize(
    "name",
    [
        "shiftresnet20_e3",
        pytest.param("asnet16_e3", marks=pytest.mark.slow),
        pytest.param("mobilenet_v2_cse_mix", marks=pytest.mark.slow),
    ],
)
def test_a_network_computes_the_same_after_it(name):
    config = ModelConfig(model=name, input_shape=(16, 16, 1), classes=10, width=0.5)
    model, other = catalog.build(config), catalog.build(config)
    noise = np.random.default_rng(2)
    for layer in model.layers:  # statistics and shifts that are not the builder's
        layer.set_weights([w + 0.1 * noise.uniform(size=w.shape) for w in layer.get_weights()])
    content = checkpoint.encode("mine", config, initial(model, name))
    assert content == checkpoint.encode("mine", config, initial(model, name))
    read = checkpoint.decode(content, "mine")
    assert (read.model, read.preprocessing) == (name, GRAY)
    assert transfer.apply(other, name, read, GRAY) == ()
    x = noise.normal(size=(4, 16, 16, 1)).astype(np.float32)
    expected, got = model.predict_on_batch(x), other.predict_on_batch(x)
    assert np.abs(got - expected).max() < 5e-3 * np.abs(expected).max()
    for layer, copy in zip(model.layers, other.layers, strict=True):
        for one, two in zip(layer.get_weights(), copy.get_weights(), strict=True):
            if one.ndim < 2:
                np.testing.assert_array_equal(one, two)


def test_it_is_about_half_as_large(content):
    model = catalog.build(
        ModelConfig(model="resnet20", input_shape=(16, 16, 1), classes=10, width=0.5)
    )
    assert len(content) < 0.65 * 4 * model.count_params()


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damage_is_refused_in_one_line(content, data):
    place = data.draw(st.integers(0, 4000))  # the header; an array's bytes say nothing of damage
    changed = bytearray(content)
    changed[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(content)))
    for damaged in (bytes(changed), content[:cut]):
        try:
            checkpoint.decode(damaged, "mine")
        except ZooError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("key", ["config", "preprocessing"])
def test_a_file_of_others_is_refused(content, key):
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    del header["__metadata__"][key]
    text = json.dumps(header).encode()
    with pytest.raises(ZooError, match="not a valid checkpoint"):
        checkpoint.decode(len(text).to_bytes(8, "little") + text + content[8 + length :], "other")


def test_numbers_that_are_none_are_refused():
    config = ModelConfig(model="resnet20", input_shape=(16, 16, 1), classes=10, width=0.5)
    start = initial(catalog.build(config), "resnet20")
    first = next(iter(start.weights))
    start.weights[first][0][0] = np.nan
    with pytest.raises(ZooError, match="not finite"):
        checkpoint.decode(checkpoint.encode("mine", config, start), "mine")
