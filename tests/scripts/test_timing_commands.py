"""The commands that time training and lowered layers: what they compare, not how fast it is."""

import re

import pytest
import tf_keras

from tests.support import small_networks
from tests.support.select import some
from zoo import layers as own
from zoo.training import baselines

FAMILIES = ("shiftresnet", "sparse_shift", "active_shift", "mobilenet_v2_cse")


@pytest.mark.parametrize("family", some(FAMILIES, "sparse_shift", "mobilenet_v2_cse"))
def test_a_twin_has_the_shapes_and_no_shift(family):
    model = small_networks.build(family)
    twin = baselines.plain(model)
    shifts = 0
    for layer, other in zip(model.layers, twin.layers, strict=True):
        assert other.name == layer.name
        assert other.output_shape == layer.output_shape
        if isinstance(layer, own.Shift | own.LearnedShift):
            shifts += 1
            assert type(other) is tf_keras.layers.DepthwiseConv2D
            assert other.depthwise_kernel.shape[:3] == (3, 3, layer.output_shape[-1])
        else:
            assert [w.shape for w in other.weights] == [w.shape for w in layer.weights]
        assert not type(other).__module__.startswith("zoo.layers.") or not isinstance(
            other, own.Shift | own.LearnedShift | own.ChannelMean
        )
    assert (shifts > 0) == (family != "mobilenet_v2_cse")


def test_a_twin_of_a_dilated_and_strided_shift():
    image = tf_keras.Input((12, 12, 25))
    model = tf_keras.Model(image, own.Shift(5, dilation=2, name="far")(image))
    far = baselines.plain(model).get_layer("far")
    assert (far.kernel_size, far.dilation_rate, far.strides) == ((5, 5), (2, 2), (1, 1))
    model = tf_keras.Model(image, own.Shift(3, strides=2, name="half")(image))
    assert baselines.plain(model).get_layer("half").output_shape == (None, 6, 6, 25)


RATIO = r"\d+\.\d\d"
SHORT = ("--steps=1", "--turns=2", "--batch_size=2")


def lines(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_steps_against_the_twins(command):
    flags = ("--what=step", "--model=shiftresnet20_e1", "--image_size=8")
    head, _, row = lines(command("studies.training_speed", *flags, *SHORT))
    assert head.count("|") == row.count("|") == 5
    pattern = rf"\| shiftresnet20_e1 \| {RATIO} \| {RATIO} \| {RATIO} – {RATIO} \|"
    assert re.fullmatch(pattern, row)


@pytest.mark.slow
def test_fit_against_plain_fit(command):
    flags = ("--what=fit", "--model=shiftresnet20_e1", "--dataset=digits", "--recipe=digits_quick")
    *_, row = lines(command("studies.training_speed", *flags, *SHORT))
    assert re.fullmatch(rf"\| shiftresnet20_e1 \| {RATIO} \| {RATIO} \| {RATIO} – {RATIO} \|", row)


@pytest.mark.slow
def test_the_pipeline_alone(command):
    flags = (
        "--what=pipeline",
        "--model=shiftresnet20_e1",
        "--dataset=digits",
        "--recipe=digits_quick",
    )
    text = lines(command("studies.training_speed", *flags, *SHORT))
    assert [line.split(" |")[0] for line in text if re.search(r"\d", line)] == [
        "| digits_quick, not augmented", "| digits_quick", "| shiftresnet20_e1",
    ]  # fmt: skip


def test_the_time_to_build(command):
    *_, row = lines(command("studies.training_speed", "--what=build", "--model=squeezenet_v1_1"))
    assert re.fullmatch(r"\| squeezenet_v1_1 \| 227×227×3 \| \d+\.\d \|", row)


@pytest.mark.parametrize(
    ("name", "flag", "message"),
    [
        ("studies.training_speed", "--what=stepp", "did you mean step"),
        ("studies.training_speed", "--turns=1", "too small | where: --turns | expected: 2 or more"),
        (
            "studies.training_speed",
            "--batch_size=0",
            "too small | where: --batch_size | expected: 1 or more",
        ),
        ("studies.shift_costs", "--runs=0", "too small | where: --runs"),
        ("studies.shift_costs", "--maps=8x64", "invalid size | where: --maps"),
    ],
)
def test_what_can_not_be_timed(command, name, flag, message):
    done = command(name, flag)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


# Each case is a conversion. The few are of each kind of shift, of the chosen forms and of others.
EVERY_CASE = tuple(range(24))
A_FEW = (0, 1, 2, 3, 9, 11, 13, 19, 20)


@pytest.mark.parametrize(
    ("integer", "which"),
    some([(False, A_FEW), (False, EVERY_CASE), (True, EVERY_CASE)], (False, A_FEW)),
)
def test_forms_of_shifts(integer, which, monkeypatch):
    from converters.studies import shift_costs

    assert len(shift_costs._CASES) == len(EVERY_CASE)
    cases = [shift_costs._CASES[number] for number in which]
    monkeypatch.setattr(shift_costs, "_CASES", cases)
    rows = shift_costs.table(9, 12, integer, turns=2, runs=1).splitlines()
    assert len(rows) == len(shift_costs._CASES)
    for row, case in zip(rows, shift_costs._CASES, strict=True):
        _, where, numbers, layer, form, whole, _, placed, goal, _ = row.split("|")
        assert where.strip() == "9²×12"
        assert numbers.strip() == ("int8" if integer else "float32")
        assert layer.strip().startswith(case.layer)
        assert (form.strip() == "**chosen**") == (case.form == "lower")
        taken, nodes, parts = map(int, re.findall(r"\d+", placed))
        if case.chosen:
            assert (taken, parts) == (nodes, 1), row
        assert (goal.strip() != "") == (case.chosen and case.form == "lower")
        if case.layer.startswith("depthwise"):
            assert whole.split() == ["1.00", "(1.00", "–", "1.00)"]
