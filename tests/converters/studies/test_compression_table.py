"""The compression table: its page, the arithmetic of AlexNet's rows, sizes, and halves."""

import io
import json
import zipfile

import numpy as np
import pytest

from converters.packing.pack import pack
from converters.rate_distortion.replay import Replay
from converters.studies.compression_table import alexnet, imagenet, trained
from converters.studies.compression_table.commands import DATASETS, MODELS, commands
from converters.studies.compression_table.published import ALEXNET_BYTES, LAYERS, PUBLISHED
from converters.studies.compression_table.rows import (
    CompressionRow,
    ImageAccuracy,
    Size,
    against,
    markdown,
    size_of,
)
from tests.support.tiny_tflite import tiny_model
from zoo import runtime
from zoo.catalog import model_spec
from zoo.container.unpack import unpack_bytes
from zoo.stats import paired

MADE_UP = (
    CompressionRow(
        part="One",
        name="SqueezeNet, Deep Compression, 8 bit",
        how="bit by bit",
        size=Size(flatbuffer=5_000_000, zip=800_000, container=487_722),
        accuracies=(
            ImageAccuracy(pictures=1000, top1=0.6231, top5=0.8412),
            ImageAccuracy(
                pictures=500, top1=0.6, top5=0.83, difference=-0.0042, low=-0.0912, high=0.0834,
                note="one half",
            ),
        ),
    ),
    CompressionRow(part="Two", name="ours alone", reason="no such run | where: runs/ours"),
    CompressionRow(part="One", name="AlexNet", how="parameters", computed=ALEXNET_BYTES),
)  # fmt: skip


def cells(page, name):
    line = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_ours_stands_beside_what_was_published():
    page = markdown(MADE_UP)
    assert page.count("## One") == page.count("## Two") == 1
    assert page.index("AlexNet |") < page.index("## Two")
    found = cells(page, "SqueezeNet, Deep Compression, 8 bit")
    assert found[1] == "0.66 (364×), 57.5 / 80.3"  # the paper has 363 times, of 240 MB
    assert found[2:6] == ["5.000", "0.800", "**0.488**", "500"]
    assert found[6] == "62.3 / 84.1<br>60.0 / 83.0 (one half)"
    assert found[7] == "<br>-0.42 (-9.12 to +8.34)"
    assert found[8] == "bit by bit"
    assert cells(page, "AlexNet")[4:6] == ["(243.9)", "1"]
    assert cells(page, "AlexNet")[1].startswith("240 (1×)")


def test_a_row_that_failed_says_why_and_breaks_no_table():
    page = markdown(MADE_UP)
    assert r"no such run \| where: runs/ours |" in page
    counts = {line.count("|") for line in page.replace(r"\|", "").splitlines() if line}
    assert counts == {0, 10}  # headings, and the columns of all rows alike


def test_alexnets_layers_are_the_networks():
    weights = sum(layer.weights for layer in LAYERS.values())
    assert weights + alexnet._BIASES == 60_965_224 == model_spec("alexnet").parameters
    assert ALEXNET_BYTES == 4 * 60_965_224


def test_alexnets_computed_sizes_are_near_the_published():
    assert alexnet.pruned_bytes() == pytest.approx(27e6, rel=0.15)
    assert alexnet.deep_compression_bytes() == pytest.approx(6.9e6, rel=0.25)
    # Of all weights 11 % are left (Han et al. 2015, table 4).
    left = sum(layer.weights * layer.density for layer in LAYERS.values())
    assert left / 60_965_224 == pytest.approx(0.11, abs=0.005)
    assert PUBLISHED["AlexNet, pruning"].size_mb == 27
    assert PUBLISHED["AlexNet, Deep Compression"].size_mb == 6.9


def test_runs_that_are_missing_are_rows_with_reasons(tmp_path):
    said: list[str] = []
    found = alexnet.rows(tmp_path, said.append)
    named = {row.name: row for row in found}
    assert named["AlexNet"].computed == ALEXNET_BYTES
    assert named["AlexNet, SVD"].reason
    small = [row for row in found if row.part == alexnet.SMALL]
    assert len(small) == 8
    assert all(
        f"`{commands()[name]}`" in row.reason and row.size is None
        for row, name in zip(small, [n for n in commands() if n.startswith("alexnet")], strict=True)
    )

    found = trained.rows(tmp_path, tmp_path, said.append)
    assert {row.name for row in found} == {
        f"{model}-{dataset}" for model in MODELS for dataset in DATASETS
    }
    assert all("no such run" in row.reason for row in found)
    assert said == []
    assert list(tmp_path.iterdir()) == []
    markdown(found)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.tflite").read_bytes()


def test_sizes_are_those_of_files_that_can_be_opened(tiny):
    found = size_of(tiny)
    packed = pack(tiny).data
    assert unpack_bytes(packed) == tiny
    assert (found.flatbuffer, found.container) == (len(tiny), len(packed))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr("model.tflite", tiny)
    assert zipfile.ZipFile(zipped).read("model.tflite") == tiny
    assert found.zip == len(zipped.getvalue()) < len(tiny)


def test_each_half_is_scored_by_the_file_that_has_not_seen_it():
    even = np.arange(10) % 2 == 0
    reference = np.zeros((10, 2), int)
    # Each file is right on the pictures that it has not seen, and third on the others.
    fitted_to_even = np.where(even, 3, 0)[:, np.newaxis].repeat(2, axis=1)
    fitted_to_odd = np.where(even, 0, 7)[:, np.newaxis].repeat(2, axis=1)
    every, on_odd, on_even = imagenet._accuracies([fitted_to_even, fitted_to_odd], reference)
    assert (every.pictures, on_odd.pictures, on_even.pictures) == (10, 5, 5)
    for accuracy in (every, on_odd, on_even):
        assert (accuracy.top1, accuracy.top5, accuracy.difference) == (1, 1, 0)
    assert "fitted to even, scored on odd" in on_odd.note
    every, on_odd, on_even = imagenet._accuracies([fitted_to_odd, fitted_to_even], reference)
    assert [accuracy.top1 for accuracy in (every, on_odd, on_even)] == [0, 0, 0]
    assert [accuracy.top5 for accuracy in (every, on_odd, on_even)] == [0.5, 0, 1]
    assert every.difference == -1


def test_one_file_is_scored_on_every_picture():
    reference = np.array([[0, 0], [0, 9], [9, 9], [4, 0]])
    places = np.array([[0, 9], [0, 9], [0, 9], [4, 4]])
    (found,) = imagenet._accuracies([places], reference)
    assert (found.top1, found.top5) == (3 / 8, 5 / 8)
    right, before = np.array([0.5, 0.5, 0.5, 0]), np.array([1, 0.5, 0, 0.5])
    assert (found.difference, found.low, found.high) == paired(right, before)
    assert found.difference == pytest.approx((right - before).mean())


def test_the_baselines_are_what_they_are_called(tiny):
    before = Replay(tiny, "tiny")
    image = np.random.default_rng(0).standard_normal((16, 16, 1)).astype(np.float32)
    for content, values in ((imagenet._clustered(tiny, 8), 8), (imagenet._uniform(tiny), 0)):
        after = Replay(content, "changed")
        for layer in before.layers:
            old, new = before.constants[layer.weight], after.constants[layer.weight]
            assert (old != new).any()
            if values:
                assert np.unique(new).size == values
                continue
            steps = new.astype(np.float64) / (0.15 * old.std())
            np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
            assert np.abs(new - old).max() <= 0.0751 * old.std()
        shares = runtime.load(content, "litert", "xnnpack", 1, "changed").run(image)
        assert shares.sum() == pytest.approx(1, abs=1e-5)


def test_a_run_beside_the_float_network():
    right, reference = np.arange(8) < 5, np.arange(8) < 6
    found = against(right, reference, "half")
    assert (found.pictures, found.top1, found.difference) == (8, 5 / 8, -1 / 8)
    assert found.low < found.difference < found.high
    assert (found.note, found.top5) == ("half", None)


def test_the_page_is_made_of_the_parts_that_are_there(command, tmp_path):
    folder = tmp_path / "compression_table"
    folder.mkdir()
    rows = [row.model_dump() for row in MADE_UP]
    (folder / "alexnet.json").write_text(json.dumps({"made_by": "a command", "rows": rows}))
    page = tmp_path / "table.md"
    done = command(
        "studies.compression_table", "--table_only", f"--output={tmp_path}", f"--markdown={page}"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == page.read_text().strip()
    assert markdown(MADE_UP) in page.read_text()
    assert "- One: a command" in page.read_text()

    (folder / "runs.json").write_text('{"made_by": "x", "rows": [{"part": "One"}]}')
    done = command("studies.compression_table", "--table_only", f"--output={tmp_path}")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "runs.json" in done.stderr
