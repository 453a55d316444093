"""Every catalogue row against its published count, and the errors for what is not there."""

import json

import numpy as np
import pytest
import tf_keras

from zoo import catalog
from zoo.errors import UnknownNameError
from zoo.types import ModelConfig

# Trainable parameters as published (see each row's paper), and with 10 classes.
PUBLISHED = {
    "squeezenet_v1_0": (1_248_424, 740_554),
    "squeezenet_v1_1": (1_235_496, 727_626),
}


def test_every_model_is_in_the_table():
    assert set(PUBLISHED) == set(catalog.MODELS)


@pytest.mark.parametrize("name", catalog.MODELS)
def test_published_count(name):
    spec = catalog.model_spec(name)
    for classes, expected in zip((spec.classes, 10), PUBLISHED[name], strict=True):
        config = ModelConfig(
            model=name, input_shape=spec.input_shape, classes=classes, batch_norm=False
        )
        assert catalog.build(config).count_params() == expected
    assert spec.parameters == PUBLISHED[name][0]


def test_squeezenet_v1_0_layers():
    # Parameters a layer and feature-map sizes of the authors' network at 227×227.
    config = ModelConfig(
        model="squeezenet_v1_0", input_shape=(227, 227, 3), classes=1000, batch_norm=False
    )
    model = catalog.build(config)
    counts = {"conv1": 0, **{f"fire{n}": 0 for n in range(2, 10)}, "conv10": 0}
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.Conv2D):
            counts[layer.name.split("_")[0]] += layer.count_params()
    assert list(counts.values()) == [
        14_208, 11_920, 12_432, 45_344, 49_440, 104_880, 111_024, 188_992, 197_184, 513_000,
    ]  # fmt: skip
    sizes = [model.get_layer(f"pool{n}").output_shape[1] for n in (1, 4, 8)]
    assert sizes == [55, 27, 13]


@pytest.mark.parametrize("height", [32, 97, 112, 113, 224, 227])
def test_caffe_ceil_mode_pools(height):
    config = ModelConfig(
        model="squeezenet_v1_1", input_shape=(height, height, 3), classes=10, batch_norm=False
    )
    model = catalog.build(config)
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.MaxPooling2D):
            size = layer.input_shape[1]
            assert layer.output_shape[1] == -(-(size - 3) // 2) + 1


@pytest.mark.parametrize("batch_norm", [False, True])
def test_small_input_trains_everywhere(batch_norm):
    import tensorflow as tf

    config = ModelConfig(
        model="squeezenet_v1_1", input_shape=(32, 32, 1), classes=10, batch_norm=batch_norm
    )
    model = catalog.build(config)
    assert model.get_layer("fire9_concat").output_shape[1:3] == (4, 4)
    image = np.random.default_rng(1).standard_normal((4, 32, 32, 1)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(image, training=True) ** 2)
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.name


def test_unknown_names_say_what_is_near():
    with pytest.raises(UnknownNameError, match="did you mean squeezenet_v1_1"):
        catalog.model_spec("squeezenet_v11")
    with pytest.raises(UnknownNameError, match="digits_quick"):
        catalog.recipe("digit_quick")


def test_list_json(command):
    done = command("list", "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert {row["name"]: row["parameters"] for row in rows} == {
        name: counts[0] for name, counts in PUBLISHED.items()
    }
