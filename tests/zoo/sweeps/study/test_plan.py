"""Study files: which runs they stand for, in which order, and what is refused."""

import pytest

from zoo.errors import ZooError
from zoo.sweeps.study import plan

FILE = """
title = "Shifts"
recipe = "digits_quick"
threads = 2
[flags]
image_size = 16
learning_rate = 1
[[questions]]
name = "shift"
title = "Shift and depthwise"
models = ["dwresnet20_e3", "shiftresnet20_e3"]
epochs = 3
seeds = {dwresnet20_e3 = [1, 5], shiftresnet20_e3 = [1, 2, 7]}
[[questions]]
name = "design"
title = "Squeeze ratio"
models = ["squeezenet_v1_0"]
epochs = 2
grid = {squeeze_ratio = [0.125, 0.5]}
flags = {flip = true}
files = false
"""


def load(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return plan.load(path)


def test_the_runs_in_their_order(tmp_path):
    study = load(tmp_path, FILE)
    assert [(run.name, run.point.recipe.seed, run.files) for run in study.runs] == [
        ("dwresnet20_e3-digits", 1, True),
        ("shiftresnet20_e3-digits", 1, True),
        ("dwresnet20_e3-digits-seed_5", 5, False),
        ("shiftresnet20_e3-digits-seed_2", 2, False),
        ("shiftresnet20_e3-digits-seed_7", 7, False),
        ("squeezenet_v1_0-digits-squeeze_ratio_0.125", 1, False),
        ("squeezenet_v1_0-digits-squeeze_ratio_0.5", 1, False),
    ]
    first, last = study.runs[0].point, study.runs[-1].point
    assert (first.recipe.epochs, first.recipe.learning_rate, first.recipe.flip) == (3, 1.0, False)
    assert (last.recipe.epochs, last.recipe.image_size, last.recipe.flip) == (2, 16, True)
    assert "--arguments=squeeze_ratio:0.5" in last.flags()
    assert study.file.threads == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"Shifts"', '"Shifts', "not TOML"),
        ("threads = 2", "threads = 0", "threads: Input should be greater"),
        ("threads = 2", "cores = 2", "cores: Extra inputs"),
        ('name = "shift"', 'name = "../shift"', r"questions\.0\.name"),
        ("digits_quick", "digits_slow", "unknown recipe 'digits_slow'"),
        ('"dwresnet20_e3",', '"dwresnet",', "unknown model 'dwresnet'"),
        ("{dwresnet20_e3 = [1, 5]", "{resnet20 = [1, 5]", "unknown model of seeds"),
        ("[1, 5]", "[]", r"questions\.0\.seeds\.dwresnet20_e3"),
        ("flip = true", "flop = true", "did you mean flip"),
        ("flip = true", "seed = 3", "unknown field of the recipe .* question design 'seed'"),
        ("flip = true", 'flip = "yes"', "wrong type .* expected: bool .* got: 'yes'"),
        ("image_size = 16", "image_size = 16.5", "wrong type .* image_size .* expected: int"),
        ("[0.125, 0.5]", "[0.5, 0.5]", "two runs of the same name .*squeeze_ratio_0.5"),
        ("epochs = 2", "epochs = 0", r"questions\.1\.epochs"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(tmp_path, old, new, message):
    assert old in FILE
    with pytest.raises(ZooError, match=message) as error:
        load(tmp_path, FILE.replace(old, new))
    assert "\n" not in str(error.value)
