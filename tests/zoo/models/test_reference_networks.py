"""The reference networks: map sizes, classes, and the rebuilt ones against the originals.

Their published counts are in `test_catalog.py`.
"""

import dataclasses
import functools
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras.src.applications import resnet as keras_resnet

from tests.support.select import some
from zoo import catalog
from zoo.errors import ZooError
from zoo.models import applications, efficientnet_lite, resnet, shufflenet_v2
from zoo.schema.run import ModelConfig

REBUILT = list(applications._ORIGINS)
FAMILIES = ("applications", "resnet", "shufflenet_v2", "efficientnet_lite")
NAMES = [name for name, spec in catalog.MODELS.items() if spec.family in FAMILIES]
# The cheapest of each way to build them.
SMALL = ("mobilenet_v3_small", "se_resnet20", "shufflenet_v2", "efficientnet_lite0")


@functools.cache
def made(name, input_shape=None, classes=None, width=1.0, dropout=None):
    spec = catalog.model_spec(name)
    config = ModelConfig(
        model=name,
        input_shape=input_shape or spec.input_shape,
        classes=classes or spec.classes,
        width=width,
        dropout=dropout,
    )
    return catalog.build(config)


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_resnet_50_without_gates_is_torchvisions():
    model = resnet.build(
        design="imagenet",
        repeats=(3, 4, 6, 3),
        squeeze_excite=False,
        input_shape=(64, 64, 3),
        classes=1000,
    )
    assert trainable(model) == 25_557_032


@pytest.mark.parametrize(
    ("name", "per_class"),
    some(
        [
            ("mobilenet_v1", 1025),
            ("mobilenet_v2", 1281),
            ("mobilenet_v3_small", 1025),
            ("resnet20", 65),
            ("shufflenet_v2", 1025),
            ("efficientnet_lite0", 1281),
        ],
        ("mobilenet_v1", 1025),
        ("resnet20", 65),
    ),
)
def test_classes_change_the_classifier_only(name, per_class):
    # The weights have the same shapes at every input size, so that small ones will do.
    spec = catalog.model_spec(name)
    expected = spec.parameters - (spec.classes - 12) * per_class
    assert trainable(made(name, (32, 32, 3), 12)) == expected


def halvings(model):
    """Heights of the maps, each once, in the order in which they shrink."""
    sizes: list[int] = []
    for layer in model.layers:
        shape = layer.output_shape
        # Gates work on 1×1 maps, and padding layers add a row before the next stride.
        if isinstance(shape, list) or len(shape) != 4 or shape[1] == 1:
            continue
        if isinstance(layer, tf_keras.layers.ZeroPadding2D):
            continue
        if not sizes or shape[1] < sizes[-1]:
            sizes.append(shape[1])
    return sizes


@pytest.mark.parametrize(
    "name", some(NAMES, "resnet20")
)  # the MACs in `test_counts` depend on them too
def test_feature_maps_halve_as_published(name):
    cifar = "20" in name or "56" in name
    expected = [32, 16, 8] if cifar else [112, 56, 28, 14, 7]
    assert halvings(made(name)) == expected


@pytest.mark.parametrize("name", some(NAMES, *SMALL))
def test_small_inputs_end_at_4(name):
    cifar = "20" in name or "56" in name
    model = made(name, (32, 32, 1), 10, 0.5)
    assert halvings(model) == ([32, 16, 8] if cifar else [32, 16, 8, 4])
    assert model.output_shape == (None, 10)
    assert trainable(model) < 0.5 * catalog.model_spec(name).parameters
    out = model(np.ones((2, 32, 32, 1), np.float32), training=False)
    assert out.dtype == tf.float32
    assert np.isfinite(out).all()


@pytest.mark.parametrize("name", some(["resnet20", "se_resnet20"], "resnet20"))
def test_cifar_network_at_224(name):
    assert halvings(made(name, (224, 224, 3))) == [112, 56, 28, 14]


@pytest.mark.parametrize("name", some(NAMES, *SMALL))
def test_only_plain_layers(name):
    model = made(name, (32, 32, 1), 10, 0.5)
    for layer in model.layers:
        assert type(layer).__name__ not in ("TFOpLambda", "SlicingOpLambda", "Lambda")
        module = type(layer).__module__
        assert module.startswith(("tf_keras.src.layers", "tf_keras.src.engine.input", "zoo."))
    assert model.layers[0].name == "image"
    assert model.get_layer("classifier").compute_dtype == "float32"
    assert not any("/" in layer.name for layer in model.layers)


def randomize(model):
    """Weights and statistics under which every layer matters."""
    random = np.random.default_rng(1)
    weights = []
    for variable in model.weights:
        value = variable.numpy()
        if "moving_variance" in variable.name or "gamma" in variable.name:
            value = random.uniform(0.5, 1.5, value.shape)
        elif value.ndim == 1:
            value = random.normal(0, 0.3, value.shape)
        weights.append(value)
    model.set_weights(weights)


@pytest.mark.parametrize("network", some(REBUILT, "mobilenet_v1"))
def test_rebuilt_equals_the_original(network):
    shape = (96, 128, 3)
    origin = applications._ORIGINS[network]
    original = origin.function(
        input_shape=shape,
        weights=None,
        classes=5,
        classifier_activation=None,
        **origin.arguments,
    )
    randomize(original)
    rebuilt = applications.build(network=network, input_shape=shape, classes=5)
    assert [w.shape for w in rebuilt.weights] == [w.shape for w in original.weights]
    rebuilt.set_weights(original.get_weights())
    image = np.random.default_rng(2).uniform(-1, 1, (2, *shape)).astype(np.float32)
    wanted = original(image, training=False).numpy()
    assert np.ptp(wanted) > 1e-3
    np.testing.assert_allclose(
        rebuilt(image, training=False), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max()
    )


def rates(model):
    return [layer.rate for layer in model.layers if isinstance(layer, tf_keras.layers.Dropout)]


def test_dropout_of_the_rebuilt():
    assert rates(made("mobilenet_v3_small", (32, 32, 1), 10, 0.5)) == [0.2]
    assert rates(made("mobilenet_v1", (32, 32, 3), 12)) == [1e-3]


@pytest.fixture(scope="module", params=some(["resnet50", "short"], "short"))
def half_a_resnet(request):
    """ResNet-50 with half the width and a dropout; short: with one block in each stage."""
    changes = {}
    if request.param == "short":
        changes["resnet50"] = dataclasses.replace(
            applications._ORIGINS["resnet50"], function=short_resnet
        )
    with mock.patch.dict(applications._ORIGINS, changes):
        return applications.build(
            network="resnet50", input_shape=(32, 32, 1), classes=10, width=0.5, dropout=0.4
        )


def short_resnet(**arguments):
    def stages(x):
        for number, filters in enumerate((64, 128, 256, 512), 2):
            x = keras_resnet.stack1(x, filters, 1, 1 if number == 2 else 2, f"conv{number}")
        return x

    return keras_resnet.ResNet(stages, False, True, **arguments)


def test_dropout_that_the_original_has_not(half_a_resnet):
    assert rates(half_a_resnet) == [0.4]


@pytest.mark.slow
def test_no_dropout():
    assert rates(made("mobilenet_v1", (32, 32, 1), 10, 0.5, dropout=0.0)) == []


def test_batch_norm_settles_quickly(half_a_resnet):
    for model in (made("mobilenet_v3_small", (32, 32, 1), 10, 0.5), half_a_resnet):
        for layer in model.layers:
            if isinstance(layer, tf_keras.layers.BatchNormalization):
                assert layer.momentum == 0.9


def test_widths(half_a_resnet):
    assert half_a_resnet.get_layer("conv5_block1_3_conv").filters == 1024
    assert half_a_resnet.get_layer("conv1_conv").filters == 32
    lite = made("efficientnet_lite0", (32, 32, 1), 10, 0.5)
    assert lite.get_layer("stem_conv").filters == 32
    assert lite.get_layer("stage7_block1_project").filters == 160


def test_squeeze_and_excitation_against_numpy():
    model = made("se_resnet20", (32, 32, 1), 10, 0.5)
    block = "stage3_block2"
    inside = tf_keras.Model(
        model.input,
        [model.get_layer(f"{block}_{part}").output for part in ("conv2_bn", "se", "relu")]
        + [model.get_layer("stage3_block1_relu").output],
    )
    image = np.random.default_rng(3).standard_normal((2, 32, 32, 1)).astype(np.float32)
    maps, gated, out, entry = (output.numpy() for output in inside(image))
    kernel_1, bias_1 = model.get_layer(f"{block}_se_squeeze").get_weights()
    kernel_2, bias_2 = model.get_layer(f"{block}_se_excite").get_weights()
    assert kernel_1.shape == (1, 1, 32, 2)
    hidden = np.maximum(maps.mean(axis=(1, 2)) @ kernel_1[0, 0] + bias_1, 0)
    factor = 1 / (1 + np.exp(-(hidden @ kernel_2[0, 0] + bias_2)))
    np.testing.assert_allclose(gated, maps * factor[:, None, None], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(out, np.maximum(gated + entry, 0), rtol=1e-4, atol=1e-6)


def test_shuffle_unit_passes_half_of_its_input():
    model = made("shufflenet_v2", (32, 32, 1), 10, 0.5)
    inside = tf_keras.Model(
        model.input,
        [
            model.get_layer(name).output
            for name in ("stage3_block1_shuffle", "stage3_block2_shuffle")
        ],
    )
    image = np.random.default_rng(4).standard_normal((1, 32, 32, 1)).astype(np.float32)
    entry, out = (output.numpy() for output in inside(image))
    # Every other channel of the shuffled output is the unit's untouched first half.
    np.testing.assert_array_equal(out[..., ::2], entry[..., : entry.shape[-1] // 2])


@pytest.mark.parametrize(
    "name", some(["mobilenet_v3_small", "se_resnet20", "shufflenet_v2"], "se_resnet20")
)
@pytest.mark.parametrize("policy", some(["mixed_float16", "mixed_bfloat16"], "mixed_float16"))
def test_mixed_precision(name, policy):
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        model = catalog.build(
            ModelConfig(model=name, input_shape=(32, 32, 1), classes=4, width=0.25)
        )
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
    reduced = policy.removeprefix("mixed_")
    kinds = (tf_keras.layers.Conv2D, tf_keras.layers.Rescaling)
    for layer in model.layers:
        if isinstance(layer, kinds) and layer.name != "classifier":
            assert layer.compute_dtype == reduced, layer.name
    out = model(np.ones((1, 32, 32, 1), np.float32), training=False)
    assert out.dtype == tf.float32
    assert np.isfinite(out).all()


def test_too_small():
    for build, minimum in (
        (functools.partial(applications.build, network="mobilenet_v2"), 32),
        (
            functools.partial(resnet.build, design="cifar", repeats=(1,), squeeze_excite=False),
            16,
        ),
        (functools.partial(shufflenet_v2.build, channels=(116, 232, 464), tail=1024), 16),
        (efficientnet_lite.build, 16),
    ):
        with pytest.raises(ZooError, match=f"{minimum}×{minimum}"):
            build(input_shape=(minimum - 1, 40, 3), classes=2)
