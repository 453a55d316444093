"""The shift networks' layouts: blocks, counts, sizes of maps."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.select import some
from zoo import catalog
from zoo.errors import ZooError
from zoo.layers.active_shift import LearnedShift
from zoo.layers.shift import Shift
from zoo.models import active_shift, shiftnet, shiftresnet
from zoo.models.macs import layer_counts, trainable_parameters
from zoo.schema.run import ModelConfig

CIFAR = (32, 32, 3)
NAMES = [
    name
    for name, spec in catalog.MODELS.items()
    if spec.family in ("shiftresnet", "shiftnet", "active_shift")
]


def config(name, shape=CIFAR, classes=10, **changes):
    return ModelConfig(model=name, input_shape=shape, classes=classes, **changes)


def test_the_rows_are_there():
    assert set(NAMES) == {
        *(f"shiftresnet{depth}_e{e}" for depth in (20, 56, 110) for e in (1, 3, 6, 9)),
        *("shiftnet_a", "shiftnet_b"),
        *(f"asnet16_e{e}" for e in (1, 3, 6, 9)),
        *(f"as_resnet_w{width}" for width in (32, 50, 68)),
        *("sslresnet20_e6", "ssl_as_resnet_w32"),
        # Not the papers': the other blocks in ShiftResNet-20's skeleton, for a fair comparison.
        *(f"{block}resnet20_e3" for block in ("dw", "as", "ssl")),
    }


@pytest.mark.parametrize(
    "name", some(["shiftresnet20_e1", "shiftresnet20_e9", "asnet16_e3"], "shiftresnet20_e1")
)
def test_cifar100_has_ninety_classes_more(name):
    model = catalog.build(config(name, classes=100))
    assert trainable_parameters(model) == catalog.model_spec(name).parameters + 90 * 65


@pytest.mark.parametrize(
    ("name", "parameters"),
    some(
        [("sslresnet20_e6", 190_778), ("ssl_as_resnet_w32", 901_256)], ("sslresnet20_e6", 190_778)
    ),
)
def test_counts_of_sparse_shifts(name, parameters):
    spec = catalog.model_spec(name)
    model = catalog.build(catalog.published_config(spec))
    shifts = [layer for layer in model.layers if isinstance(layer, LearnedShift)]
    learned = 2 * sum(layer.input_shape[-1] for layer in shifts)
    assert trainable_parameters(model) == spec.parameters == parameters
    if name == "sslresnet20_e6":
        assert parameters == 186_746 + learned
    statistics = sum(
        2 * layer.output_shape[-1] for layer in model.layers if layer.name.endswith("_bn")
    )
    kept = learned + len(shifts)  # a copy of each shift, and a flag a layer: is it frozen?
    assert model.count_params() == spec.parameters_total == parameters + statistics + kept


def test_shiftresnet_block():
    model = catalog.build(config("shiftresnet20_e3"))
    rows = {row.name: row for row in layer_counts(model)}
    first = "stage2_block1"
    assert rows[f"{first}_conv1"].output == (32, 32, 96)  # 3 × 32 channels, before the stride
    assert rows[f"{first}_shift"].output == (16, 16, 96)
    assert rows[f"{first}_shift"].parameters == rows[f"{first}_shift"].macs == 0
    assert rows[f"{first}_conv2"].output == (16, 16, 32)
    assert rows[f"{first}_shortcut"].trainable == 16 * 32
    assert rows[f"{first}_add"].inputs == (f"{first}_conv2_bn", f"{first}_shortcut_bn")
    assert rows["stage2_block2_conv1"].inputs == (f"{first}_add",)  # no ReLU after the sum
    assert "stage1_block1_shortcut" not in rows
    assert sum(isinstance(layer, Shift) for layer in model.layers) == 9


def test_shiftresnet_strides_before_or_after_the_shift_are_equal():
    # The paper's order: shift at stride 1, then a 1×1 convolution of stride 2.
    x = np.random.default_rng(1).standard_normal((2, 8, 8, 20)).astype(np.float32)
    kernel = np.random.default_rng(2).standard_normal((1, 1, 20, 5)).astype(np.float32)
    ours = tf.nn.conv2d(Shift(strides=2)(x), kernel, 1, "SAME")
    paper = tf.nn.conv2d(Shift()(x), kernel, 2, "SAME")
    np.testing.assert_allclose(ours, paper, atol=1e-5)


def test_shiftnet_groups():
    model = catalog.build(config("shiftnet_a", (224, 224, 3), 1000))
    rows = {row.name: row for row in layer_counts(model)}
    shapes = [rows[f"stage{n}_block1_concat"].output for n in (1, 2, 3, 4)]
    assert shapes == [(56, 56, 64), (28, 28, 128), (14, 14, 256), (7, 7, 512)]
    assert [model.get_layer(f"stage{n}_block2_shift").kernel_size for n in (1, 2, 3, 4)] == [
        5, 5, 3, 3
    ]  # fmt: skip
    assert [rows[f"stage{n}_block2_conv1"].output[-1] for n in (1, 2, 3, 4)] == [
        256, 384, 512, 512
    ]  # fmt: skip
    assert rows["stage2_block1_concat"].inputs == ("stage2_block1_conv2", "stage2_block1_pool")
    assert sum(name.endswith("_shift") for name in rows) == 5 + 6 + 7 + 3


def test_active_shift_block():
    model = catalog.build(config("asnet16_e3"))
    rows = {row.name: row for row in layer_counts(model)}
    first = "stage2_block1"
    assert rows[f"{first}_shift"].output == (16, 16, 96)
    assert rows[f"{first}_shift"].trainable == 2 * 96
    assert rows[f"{first}_shortcut"].inputs == (f"{first}_in_relu",)
    assert rows[f"{first}_add"].inputs == (f"{first}_conv2", f"{first}_shortcut")
    assert rows["stage2_block2_add"].inputs == ("stage2_block2_conv2", f"{first}_add")


@pytest.mark.slow  # its MACs in `test_counts` depend on them too
def test_as_resnet_halves_five_times():
    model = catalog.build(config("as_resnet_w32", (224, 224, 3), 1000))
    sizes = [model.get_layer(f"stage{n}_block1_add").output_shape[1:] for n in range(1, 6)]
    assert sizes == [
        (112, 112, 32), (56, 56, 32), (28, 28, 64), (14, 14, 128), (7, 7, 256)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    some(["shiftresnet20_e1", "shiftnet_b", "asnet16_e1", "as_resnet_w32"], "shiftresnet20_e1"),
)
@pytest.mark.parametrize(
    ("shape", "cifar_size", "imagenet_size"),
    some(
        [
            ((32, 32, 3), (8, 8), (4, 4)),
            ((224, 224, 1), (14, 14), (7, 7)),
            ((48, 40, 3), None, None),
        ],
        ((224, 224, 1), (14, 14), (7, 7)),
        ((48, 40, 3), None, None),
    ),
)
def test_last_maps(name, shape, cifar_size, imagenet_size):
    model = catalog.build(config(name, shape), include_top=False)
    cifar = name in ("shiftresnet20_e1", "asnet16_e1")
    size = cifar_size if cifar else imagenet_size
    if size is None:
        size = (12, 10) if cifar else (6, 5)
    assert model.output_shape[1:3] == size
    output = model(np.zeros((1, *shape), np.float32))
    assert output.shape[1:3] == size


@pytest.mark.parametrize(
    ("build", "arguments"),
    [
        (shiftresnet.build, {"depth": 20, "expansion": 1}),
        (shiftnet.build, {"base": 16}),
        (active_shift.build, {"network": "asnet", "base": 16}),
    ],
)
def test_too_small_an_input_is_refused(build, arguments):
    with pytest.raises(ZooError, match="input too small"):
        build(**arguments, input_shape=(7, 32, 3), classes=10)


def test_impossible_depth_is_refused():
    with pytest.raises(ZooError, match="invalid depth"):
        shiftresnet.build(depth=21, expansion=1, input_shape=CIFAR, classes=10)
