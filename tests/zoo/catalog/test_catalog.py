"""Every catalog row against what its paper or its authors' code says."""

import json

import pytest

from tests.support.select import some
from zoo import catalog
from zoo.errors import UnknownNameError, ZooError
from zoo.models import macs
from zoo.schema.run import ModelConfig

# Trainable parameters by number of classes: published, or counted on a public artifact. The one
# exception is marked: those layouts are ours, within 1 % of the printed count.
COUNTS = {
    "squeezenet_v1_0": {1000: 1_248_424, 10: 740_554},
    "squeezenet_v1_1": {1000: 1_235_496, 10: 727_626},
    "squeezenet_v1_0_simple_bypass": {1000: 1_248_424},
    "squeezenet_v1_0_complex_bypass": {1000: 1_589_672},
    "alexnet": {1000: 60_965_224},
    "shiftresnet20_e1": {10: 34_906, 100: 34_906 + 5_850},
    "shiftresnet20_e3": {10: 95_642, 100: 95_642 + 5_850},
    "shiftresnet20_e6": {10: 186_746, 100: 186_746 + 5_850},
    "shiftresnet20_e9": {10: 277_850, 100: 277_850 + 5_850},
    "shiftresnet56_e1": {10: 102_106, 100: 102_106 + 5_850},
    "shiftresnet56_e3": {10: 294_554, 100: 294_554 + 5_850},
    "shiftresnet56_e6": {10: 583_226, 100: 583_226 + 5_850},
    "shiftresnet56_e9": {10: 871_898, 100: 871_898 + 5_850},
    "shiftresnet110_e1": {10: 202_906, 100: 202_906 + 5_850},
    "shiftresnet110_e3": {10: 592_922, 100: 592_922 + 5_850},
    "shiftresnet110_e6": {10: 1_177_946, 100: 1_177_946 + 5_850},
    "shiftresnet110_e9": {10: 1_762_970, 100: 1_762_970 + 5_850},
    "shiftnet_a": {1000: 4_188_680},
    "shiftnet_b": {1000: 1_183_480},
    "asnet16_e1": {10: 35_386, 100: 35_386 + 5_850},
    "asnet16_e3": {10: 97_466, 100: 97_466 + 5_850},
    "asnet16_e6": {10: 190_586, 100: 190_586 + 5_850},
    "asnet16_e9": {10: 283_706, 100: 283_706 + 5_850},
    "as_resnet_w32": {1000: 901_256},
    "as_resnet_w50": {1000: 1_962_950},
    "as_resnet_w68": {1000: 3_424_460},
    # The grouped shift's network and two more for each of 2,016 shifted channels.
    "sslresnet20_e6": {10: 186_746 + 2 * 2_016},
    "ssl_as_resnet_w32": {1000: 901_256},
    # ShiftResNet-20's skeleton at expansion 3, with 1,008 shifted channels.
    "dwresnet20_e3": {10: 95_642 + 9 * 1_008},
    "asresnet20_e3": {10: 95_642 + 2 * 1_008},
    "sslresnet20_e3": {10: 95_642 + 2 * 1_008},
    "mobilenet_v2_cifar": {10: 2_255_258},
    "mobilenet_v2_cse_mix": {10: 363_026, 100: 478_316},
    "mobilenet_v2_cse_mix_a": {10: 362_994, 100: 478_284},
    "mobilenet_v2_cse_mix_imagenette": {10: 444_210},
    "mobilenet_v1": {1000: 4_231_976},
    "mobilenet_v2": {1000: 3_504_872},
    "mobilenet_v3_small": {1000: 2_542_856},
    "mobilenet_v3_large": {1000: 5_483_032},
    "resnet20": {10: 272_474},
    "resnet56": {10: 855_770},
    "resnet50": {1000: 25_583_592},
    "se_resnet20": {10: 274_847},
    "se_resnet50": {1000: 28_088_024},
    "shufflenet_v2": {1000: 2_278_604},
    "efficientnet_lite0": {1000: 4_652_008},
}

# The papers' structure is not public; printed count by classes, and how near ours must be.
PRINTED = {
    "mobilenet_v2_cse_only": {10: 228_000},
    "mobilenet_v2_cse_only_imagenette": {10: 453_000},
    "mobilenet_v2_optimized_cifar": {10: 425_000, 100: 541_000},
}
NEAR = 0.01

# With the statistics of batch normalization, where that is published.
TOTALS = {
    "mobilenet_v2_cse_mix_a": 375_938,
    "mobilenet_v1": 4_253_864,
    "mobilenet_v2": 3_538_984,
    "mobilenet_v3_small": 2_554_968,
    "mobilenet_v3_large": 5_507_432,
    "resnet50": 25_636_712,
}

# Published multiply-accumulates in millions, at that height and width.
MACS = {
    "squeezenet_v1_0": (818.9, 224),
    "squeezenet_v1_1": (349.2, 224),
    "alexnet": (724, 227),
    "mobilenet_v2_cse_mix_a": (81.4, 32),
    "mobilenet_v1": (568.7, 224),
    "mobilenet_v2": (300.8, 224),
    "mobilenet_v3_small": (56.5, 224),
    "mobilenet_v3_large": (216.6, 224),
    "resnet50": (3858, 224),
    "se_resnet50": (3880, 224),
    "resnet20": (40.81, 32),
    "resnet56": (125.75, 32),
    "shufflenet_v2": (146, 224),
    "shiftnet_b": (371, 224),
}
# Published with more than products in it, so that ours is lower: by how much at most.
MACS_WITH_MORE = {"se_resnet20": (41.34, 32, 0.02), "efficientnet_lite0": (407, 224, 0.06)}


def test_every_model_is_in_a_table():
    assert set(catalog.MODELS) == set(COUNTS) | set(PRINTED)


def test_rows_have_the_published_counts():
    for name, published in COUNTS.items():
        spec = catalog.model_spec(name)
        assert spec.parameters == published.get(spec.classes, spec.parameters), name
        assert spec.parameters_total == TOTALS.get(name, spec.parameters_total), name


# Of each family and kind of block the cheapest to build; of the others make test reads the rows.
BUILT = {
    "squeezenet_v1_1", "squeezenet_v1_0_complex_bypass", "alexnet", "shiftresnet20_e3",
    "shiftnet_b", "asnet16_e3", "as_resnet_w32", "sslresnet20_e6", "dwresnet20_e3",
    "asresnet20_e3", "sslresnet20_e3", "mobilenet_v2_cifar", "mobilenet_v2_cse_mix",
    "mobilenet_v2_cse_only", "mobilenet_v1",
    "mobilenet_v3_small", "resnet20", "se_resnet20", "shufflenet_v2", "efficientnet_lite0",
}  # fmt: skip


@pytest.mark.parametrize("name", some(catalog.MODELS, *BUILT))
def test_counts(name):
    spec = catalog.model_spec(name)
    model = counted(name, spec.classes)
    assert spec.parameters == macs.trainable_parameters(model)
    assert spec.parameters_total == model.count_params()
    assert spec.macs == macs.macs(model)
    assert TOTALS.get(name, model.count_params()) == model.count_params()


OTHER_CLASSES = [
    (name, classes)
    for name, published in {**COUNTS, **PRINTED}.items()
    for classes in published
    if classes != catalog.model_spec(name).classes
]


@pytest.mark.parametrize(("name", "classes"), some(OTHER_CLASSES, ("squeezenet_v1_1", 10)))
def test_counts_with_other_classes(name, classes):
    counted(name, classes)


def counted(name, classes):
    """A network at its published size, which has the published number of parameters."""
    shape = catalog.model_spec(name).input_shape
    model = catalog.build(ModelConfig(model=name, input_shape=shape, classes=classes))
    assert macs.trainable_parameters(model) == pytest.approx(
        {**COUNTS, **PRINTED}[name][classes], rel=NEAR if name in PRINTED else 0, abs=0
    )
    return model


def macs_at(name, size):
    spec = catalog.model_spec(name)
    if size == spec.input_shape[0]:
        return spec.macs  # which `test_counts` has counted
    config = ModelConfig(model=name, input_shape=(size, size, 3), classes=spec.classes)
    return macs.macs(catalog.build(config))


@pytest.mark.parametrize("name", some(MACS, "squeezenet_v1_1", "resnet20", "mobilenet_v1"))
def test_macs_within_one_percent_of_the_published(name):
    millions, size = MACS[name]
    assert macs_at(name, size) == pytest.approx(millions * 1e6, rel=0.01)


@pytest.mark.parametrize("name", MACS_WITH_MORE)
def test_macs_below_a_published_figure_that_counts_more(name):
    millions, size, most = MACS_WITH_MORE[name]
    assert (1 - most) * millions * 1e6 < macs_at(name, size) < millions * 1e6
    spec = catalog.model_spec(name)
    assert "MAC" in spec.derivation + spec.not_reproducible  # a reader must not be left wondering


def test_counting_agrees_with_tensorflows_profiler():
    # An independent count on the traced graph. The profiler counts a product and its addition as
    # two, and also counts biases, batch normalization and activations, which are far below 1 %.
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2_as_graph,
    )
    from tensorflow.python.profiler import model_analyzer, option_builder

    config = ModelConfig(model="squeezenet_v1_1", input_shape=(224, 224, 3), classes=1000)
    model = catalog.build(config)
    infer = tf.function(lambda x: model(x, training=False))
    concrete = infer.get_concrete_function(tf.TensorSpec((1, 224, 224, 3)))
    _, graph = convert_variables_to_constants_v2_as_graph(concrete)
    with tf.Graph().as_default() as copy:
        tf.import_graph_def(graph, name="")
        options = option_builder.ProfileOptionBuilder(
            option_builder.ProfileOptionBuilder.float_operation()
        )
        profile = model_analyzer.profile(copy, options=options.with_empty_output().build())
    assert macs.macs(model) == pytest.approx(profile.total_float_ops / 2, rel=0.01)


def test_a_layer_without_a_rule_is_not_counted_as_free():
    import tf_keras

    image = tf_keras.Input((8, 8, 3))
    model = tf_keras.Model(image, tf_keras.layers.SeparableConv2D(4, 3)(image))
    with pytest.raises(ZooError, match="no rule"):
        macs.macs(model)


def test_unknown_names_say_what_is_near():
    with pytest.raises(UnknownNameError, match="did you mean squeezenet_v1_1"):
        catalog.model_spec("squeezenet_v11")
    with pytest.raises(UnknownNameError, match="digits_quick"):
        catalog.recipe("digit_quick")


def test_list_json(command):
    done = command("list", "--json")
    assert done.returncode == 0
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert list(rows) == list(catalog.MODELS)
    assert {name: rows[name]["parameters_total"] for name in TOTALS} == TOTALS
    assert rows["alexnet"]["float32_bytes"] == 243_860_896


def test_list_shows_the_first_accuracy_of_a_dataset_and_describe_all(command):
    (row,) = [line for line in command("list", "--name=alexnet").stdout.splitlines()
              if "alexnet" in line]  # fmt: skip
    assert "57.2 ImageNet" in row and "57.1" not in row
    described = command("describe", "alexnet").stdout
    assert "57.2 %" in described and "57.1 %" in described


def test_list_filters_and_sorts(command):
    flags = ("--dataset=CIFAR-10", "--max_parameters=300e3", "--sort=top1", "--descending")
    done = command("list", "--json", *flags)
    rows = json.loads(done.stdout)
    best = [p["top1"] for row in rows for p in row["published"] if p["dataset"] == "CIFAR-10"]
    assert len(best) > 5
    assert best == sorted(best, reverse=True)
    assert all(row["parameters"] <= 300_000 for row in rows)

    rows = json.loads(command("list", "--json", "--name=shift", "--sort=macs").stdout)
    assert all("shift" in row["name"] for row in rows)
    assert [row["macs"] for row in rows] == sorted(row["macs"] for row in rows)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--sort=size"], "unknown --sort 'size'"),
        (["--sort=top1"], "--dataset="),
        (["--family=squeeznet"], "did you mean squeezenet"),
        (["--max_parameters=1"], "no model passes"),
        (["--dataset=CIFAR10"], "did you mean CIFAR-10"),
    ],
)
def test_list_refuses(command, flags, message):
    done = command("list", *flags)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_describe(command):
    done = command("describe", "--model=mobilenet_v2_cse_mix", "--preset=cifar100", "--json")
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout)
    assert sum(row["trainable"] for row in described["layers"]) == 478_316
    assert described["layers"][-1]["output"] == [100]

    done = command("describe", "mobilenet_v2_cse_mix")
    assert done.stdout == command("describe", "--model=mobilenet_v2_cse_mix").stdout
    assert "363,026" in done.stdout
    assert "90.03" in done.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--model is required"),
        (["resnet2"], "did you mean"),
        (["resnet20", "--model=resnet50"], "more than one model"),
        (["resnet20", "resnet50"], "more than one model | expected: one MODEL | got: resnet20 re"),
        (["--model=squeezenet"], "did you mean"),
        (["--model=resnet20", "--input_shape=32"], "32x32x3"),
        (["--model=resnet20", "--preset=cifar"], "did you mean"),
        (["--model=resnet20", "--classes=0"], "--classes"),
        (["--model=resnet20", "--width=0"], "--width"),
        (["--model=squeezenet_v1_1", "--input_shape=8x8x3"], "too small"),
    ],
)
def test_describe_refuses(command, flags, message):
    done = command("describe", *flags)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
