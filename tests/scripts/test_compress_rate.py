"""`scripts.compress --scheme=rate` as a user types it."""

import numpy as np
import pytest

from converters.packing.pack import packed_size
from zoo import data, runtime

RUN = "squeezenet_v1_1-digits"


@pytest.fixture(scope="module")
def output(command, tmp_path_factory):
    """A narrow network's run, and what rate made of it: a tenth, in float32 and int8."""
    folder = tmp_path_factory.mktemp("rate")
    for name, *flags in (
        ("train", "--recipe=digits_quick", "--image_size=16", "--width=0.25"),
        ("convert", f"--run={RUN}", "--precision=float32"),
        ("compress", f"--run={RUN}", "--scheme=rate", "--rate_ratio=10"),
    ):
        done = command(name, *flags, f"--output={folder}")
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_artifacts_are_as_small_as_wanted_and_as_right(output):
    whole, small, integers = (
        output / "artifacts" / f"{RUN}{name}.tflite"
        for name in ("-float32", "-rate-float32", "-rate-int8")
    )
    assert packed_size(small.read_bytes()) <= whole.stat().st_size / 10
    assert packed_size(integers.read_bytes()) <= 1.1 * whole.stat().st_size / 10
    dataset = data.load("digits", 16, 200)
    images = dataset.normalize(dataset.test.images)
    right = []
    for path in (whole, small, integers):
        running = runtime.load(path.read_bytes(), "litert", "xnnpack", 1, path)
        guessed = np.array([running.run(image).argmax() for image in images])
        right.append((guessed == dataset.test.labels).mean())
    assert min(right) > right[0] - 0.02


@pytest.mark.parametrize("flag", ["--layers=conv1:3", "--plan=plan.json", "--name=mine"])
def test_flags_of_other_schemes_are_refused(digits, command, flag):
    done = command("compress", f"--run={RUN}", "--scheme=rate", flag, f"--output={digits}")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert flag.split("=")[0] in done.stderr
    assert "--rate_ratio" in done.stderr
