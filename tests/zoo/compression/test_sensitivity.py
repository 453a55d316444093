"""The sensitivity scan: its proposal against brute force, its curves against NumPy, its command."""

import functools
import itertools
import json
import math
import re
import shutil

import numpy as np
import pytest
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.compression import schemes
from zoo.compression.sensitivity import chart, report
from zoo.compression.sensitivity.proposal import ScanPoint, propose
from zoo.compression.sensitivity.scan import SCAN_KINDS, Scan, int8_bytes
from zoo.data.dataset import Dataset
from zoo.data.split import Split
from zoo.errors import ZooError
from zoo.report.inputs import scans

layers = tf_keras.layers
FEW = settings(max_examples=60, deadline=None)


# The proposal


def point(layer, size, nats):
    return ScanPoint(layer, level=size, value=size, bytes=size, accuracy=1.0, nats=nats / 100)


@st.composite
def curves(draw):
    """Up to four layers, up to four smaller forms of each: any curve, convex or not."""
    whole, points = {}, []
    for name in "abcd"[: draw(st.integers(1, 4))]:
        whole[name] = float(draw(st.integers(1, 60)))
        pairs = st.tuples(st.integers(0, 80), st.integers(0, 300))
        points += [point(name, *pair) for pair in draw(st.lists(pairs, max_size=4))]
    return whole, points


def choices(whole, points):
    """(bytes, nats) of every choice: each layer unchanged, or at one of its points."""
    for forms in itertools.product(
        *([(size, 0.0), *((p.bytes, p.nats) for p in points if p.layer == name)]
          for name, size in whole.items())
    ):  # fmt: skip
        yield sum(size for size, _ in forms), sum(nats for _, nats in forms)


@FEW
@given(curves(), st.floats(0, 250))
def test_a_proposal_is_the_least_divergence_of_its_size(case, target):
    whole, points = case
    smallest = min(size for size, _ in choices(whole, points))
    if target < smallest:
        with pytest.raises(ZooError, match="no combination"):
            propose(whole, points, target)
        return
    found = propose(whole, points, target)
    chosen = [found.points.get(name) for name in whole]
    sizes = [p.bytes if p else whole[name] for p, name in zip(chosen, whole, strict=True)]
    assert found.bytes == pytest.approx(sum(sizes))
    assert found.bytes <= target
    nats = sum(p.nats for p in chosen if p)
    assert nats == pytest.approx(
        min(n for size, n in choices(whole, points) if size <= found.bytes), abs=1e-9
    )
    assert all(p.layer == name and p in points for name, p in found.points.items())


@FEW
@given(curves())
def test_nothing_is_changed_where_all_fits(case):
    whole, points = case
    assert propose(whole, points, sum(whole.values())).points == {}


def test_layers_that_save_most_for_their_loss_are_changed_first():
    whole = {"cheap": 100.0, "dear": 100.0}
    points = [point("cheap", 50, 1), point("cheap", 20, 2), point("dear", 50, 30)]
    assert [p.bytes for p in propose(whole, points, 160).points.values()] == [50]
    assert {n: p.bytes for n, p in propose(whole, points, 121).points.items()} == {"cheap": 20}
    assert propose(whole, points, 70).bytes == 70
    with pytest.raises(ZooError, match=r"at least 70 bytes.*got: 69") as raised:
        propose(whole, points, 69)
    assert "\n" not in str(raised.value)


# The scan


def network():
    """A branch that a zero kernel cuts off, one that counts, and a classifier."""
    tf_keras.utils.set_random_seed(3)
    image = layers.Input((8, 8, 2), name="image")
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="unused")(image)
    x = layers.Conv2D(12, 1, kernel_initializer="zeros", name="shut")(x)
    y = layers.Conv2D(12, 3, padding="same", activation="relu", name="used")(image)
    y = layers.DepthwiseConv2D(3, name="depthwise")(layers.Add()([x, y]))
    y = layers.Dense(16, activation="relu", name="hidden")(layers.GlobalAveragePooling2D()(y))
    model = tf_keras.Model(image, layers.Dense(4, name="classifier")(y), name="branches")
    for variable in model.trainable_variables:
        variable.assign(3 * variable)  # certain enough for its classes to differ
    return model


def pictures(count=40):
    images = np.random.default_rng(0).standard_normal((count, 8, 8, 2)).astype(np.float32)
    return images, np.arange(count, dtype=np.int32) % 4


@functools.cache
def scanned(what):
    model = network()
    images, labels = pictures()
    labels[::2] = model(images).numpy().argmax(1)[::2]
    before = [w.copy() for w in model.get_weights()]
    scan = Scan(model, images, labels)
    said: list[str] = []
    points = scan.points(SCAN_KINDS[what], said.append)
    return model, before, scan, points, said, labels


def curve(points, layer):
    return [point for point in points if point.layer == layer]


@pytest.mark.parametrize("what", SCAN_KINDS)
def test_a_scan_finds_what_counts_and_leaves_the_network_as_it_was(what):
    model, before, scan, points, said, _ = scanned(what)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert old.tobytes() == new.tobytes()
    assert list(dict.fromkeys(p.layer for p in points)) == scan.layers
    assert "depthwise" not in scan.layers
    assert len(points) == len(scan.layers) * len(SCAN_KINDS[what].levels)
    assert len(said) == len(scan.layers)
    for each in curve(points, "unused"):
        assert (each.accuracy, each.nats) == (scan.accuracy, 0)
    for name in ("used", "hidden"):
        found = curve(points, name)
        assert [p.level for p in found] == list(SCAN_KINDS[what].levels)  # from mild to strong
        assert found[-1].nats > 1e-3
        assert found[-1].nats > found[0].nats >= 0
        assert found[-1].bytes < found[0].bytes
    assert set(scan.uniform(SCAN_KINDS[what])) == (
        set(scan.layers) if what == "bits" else set(scan.layers[1:-1])
    )


@pytest.mark.parametrize(
    ("what", "holds"),
    [
        ("sparsity", lambda old, new, value: (new == 0).mean() == pytest.approx(value, abs=0.05)),
        ("bits", lambda old, new, value: np.unique(new).size <= value),
        (
            "rank",
            lambda old, new, value: (
                np.linalg.matrix_rank(new.reshape(-1, new.shape[-1]), 1e-4) == value
            ),
        ),
    ],
)
def test_a_change_is_what_the_plan_says(what, holds):
    old = np.random.default_rng(1).laplace(size=(3, 3, 12, 20)).astype(np.float32)
    errors = []
    for level in SCAN_KINDS[what].levels:
        new, value, size = SCAN_KINDS[what].change(old, level)
        assert (new.shape, new.dtype) == (old.shape, old.dtype)
        assert holds(old, new, value)
        assert 0 < size < old.nbytes
        errors.append(np.square(new - old).sum())
    assert errors == sorted(errors)
    assert errors[-1] < np.square(old).sum()


def test_scores_are_those_of_numpy():
    """The last layer is a product of its inputs, so that its change can be made there."""
    model, _, scan, points, _, labels = scanned("sparsity")
    images, _ = pictures()
    hidden = tf_keras.Model(model.input, model.get_layer("hidden").output)(images).numpy()
    kernel, bias = model.get_layer("classifier").get_weights()

    def log_p(weights):
        logits = hidden.astype(np.float64) @ weights + bias
        return logits - np.log(np.exp(logits).sum(1, keepdims=True))

    right = log_p(kernel)
    assert scan.accuracy == (right.argmax(1) == labels).mean()
    for found in curve(points, "classifier"):
        changed = log_p(SCAN_KINDS["sparsity"].change(kernel, found.level)[0])
        assert found.accuracy == (changed.argmax(1) == labels).mean()
        nats = (np.exp(right) * (right - changed)).sum(1).mean()
        assert found.nats == pytest.approx(nats, rel=1e-3, abs=1e-6)


def test_all_together():
    _, _, scan, points, _, _ = scanned("sparsity")
    what = SCAN_KINDS["sparsity"]
    alone = curve(points, "used")[3]
    assert scan.together(what, {"used": alone.level}) == (alone.accuracy, alone.nats)
    assert scan.together(what, {"used": 0.7, "unused": 0.95}) == (alone.accuracy, alone.nats)
    assert scan.together(what, {}) == (scan.accuracy, 0)
    assert scan.together(what, {"used": 0.7, "hidden": 0.95})[1] != alone.nats


def test_coded_bytes_are_the_entropy_of_int8_codes():
    kernel = np.float32([[1.0, 2.0], [0.5, -2.0], [0.0, 2.0], [-1.0, 2.0]])
    # Filters by their own largest: 127 64 0 -127 and 127 -127 127 127.
    shares = np.array([4, 1, 1, 2]) / 8
    assert int8_bytes(kernel) == pytest.approx(-8 * (shares * np.log2(shares)).sum() / 8)


# The comparison


def dataset():
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8, 2), dtype=np.uint8)
    split = Split(images, np.arange(40, dtype=np.int32) % 4)
    return Dataset("tiny", split, split, split, tuple("abcd"), 128.0, 60.0, "as they are")


@functools.cache
def reported(what="sparsity"):
    wanted = report.ScanRequest(what, uniform=None, target=None, images=30)
    return report.report(network(), dataset(), wanted, "branches", lambda line: None)


def test_the_proposal_is_no_larger_than_the_uniform_recipe():
    found = reported()
    assert found.images == 30
    assert found.uniform.bytes >= found.proposed.bytes
    assert set(found.uniform.levels) == {"shut", "used", "hidden"}
    assert found.values == found.proposed.levels
    assert found.plan() == {"format": 1, "what": "sparsity", "layers": found.values}
    assert found.better == (found.proposed.nats <= found.uniform.nats)
    # What does nothing is pruned as far as it goes, before anything else.
    assert found.values["unused"] == 0.95
    assert json.loads(json.dumps(found.as_json()))["uniform_level"] == found.uniform_level


def test_the_table_and_the_page_hold_every_layer(tmp_path):
    found = reported()
    page = found.markdown(tmp_path / "scan.svg")
    for name in found.whole:
        assert f"\n| {name} |" in page
        assert any(line.startswith(name) for line in found.text().splitlines())
    assert "![sparsity scan](scan.svg)" in page
    assert f"{found.uniform.nats:.4f} nats" in page
    assert "on the first 30 validation images of tiny, without fine-tuning" in page
    assert f"unchanged network's accuracy on them is {100 * found.accuracy:.2f} %" in page
    for name, lost in (
        ("used", curve(found.points, "used")),
        ("shut", curve(found.points, "shut")),
    ):
        cells = [f"{100 * (found.accuracy - p.accuracy):.2f}" for p in lost]
        assert f"| {' | '.join(cells)} |" in next(
            line for line in page.splitlines() if line.startswith(f"| {name} ")
        )


def test_better_means_less_divergence_at_no_more_bytes():
    def compared(size, nats):
        choice = report.LayerPlan({}, size, 1.0, nats)
        one = report.LayerPlan({}, 10.0, 1.0, 0.5)
        return report.SensitivityReport("r", "d", 1, "bits", 1.0, {}, [], 4, one, choice, {}).better

    assert compared(10.0, 0.5)
    assert compared(9.0, 0.4)
    assert not compared(10.0, 0.6)
    assert compared(11.0, 0.6)  # a size that was asked for says nothing of the uniform one


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"uniform": 0.55}, r"--uniform .*0\.3.*0\.95.*got: 0\.55"),
        ({"target": 1.0}, "at least .* bytes"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(change, text):
    wanted = report.ScanRequest(
        **{"what": "sparsity", "uniform": 0.8, "target": None, "images": 8} | change
    )
    with pytest.raises(ZooError, match=text) as raised:
        report.report(network(), dataset(), wanted, "branches", lambda line: None)
    assert "\n" not in str(raised.value)


def test_the_picture_shows_what_is_lost():
    points = [
        ScanPoint("conv1", 0.5, 0.5, 100, 0.9, 0.0), ScanPoint("conv1", 0.9, 0.9, 50, 0.8, 0.4),
        ScanPoint("fc", 0.5, 0.5, 10, 0.91, 0.1), ScanPoint("fc", 0.9, 0.9, 5, 0.1, 2.0),
    ]  # fmt: skip
    svg = chart.svg("sparsity", points, 0.9, {"conv1": 0.5}, {}, "a scan")
    cells = re.findall(r'layer: (\w+); points lost: (\d+)"[^>]* fill="rgb\(([^)]*)', svg)
    shade = {(layer, int(lost)): color for layer, lost, color in cells}
    assert len(cells) == len(points)
    assert set(shade) == {("conv1", 0), ("conv1", 10), ("fc", 0), ("fc", 20)}
    assert shade["conv1", 0] == shade["fc", 0] != shade["conv1", 10] != shade["fc", 20]


# The command


def test_a_plan_that_compress_takes(command, digits, tmp_path):
    run = "squeezenet_v1_1-digits"
    shutil.copytree(digits / "runs" / run, tmp_path / "runs" / run)
    plan, svg, page = (tmp_path / name for name in ("plan.json", "scan.svg", "scan.md"))
    done = command(
        "sensitivity", f"--output={tmp_path}", f"--run={run}", "--images=40", "--uniform=0.9",
        f"--plan={plan}", f"--chart={svg}", f"--markdown={page}", "--json",
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    better = found["proposed"]["nats"] <= found["uniform"]["nats"]
    assert done.returncode == (0 if better else 1), done.stderr
    assert found["proposed"]["bytes"] <= found["uniform"]["bytes"]
    assert len(found["points"]) == 7 * len(found["whole"]) == 7 * 26
    assert math.isclose(found["uniform_level"], 0.9)
    kept, problems = scans(tmp_path)  # as the page reads it
    assert kept[0].model_dump(mode="json") == found and not problems
    picture = svg.read_text()
    assert picture.startswith("<svg") and "fire2_squeeze1x1" in picture
    assert svg.name in page.read_text()

    wanted = json.loads(plan.read_text())
    assert wanted["layers"] == found["values"] != {}
    taken = schemes.per_layer("prune", plan, [])  # as scripts.compress reads it
    assert (taken.layers, taken.others) == (wanted["layers"], False)
    assert taken.layers.keys() <= found["whole"].keys()


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 1, 4, 4), (3, 3, 3, 6), (2, 2), (16, 4)])
def test_no_rank_is_proposed_that_saves_nothing(shape):
    kernel = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    rows, columns = kernel.reshape(-1, shape[-1]).shape
    for level in SCAN_KINDS["rank"].levels:
        changed, rank, _ = SCAN_KINDS["rank"].change(kernel, level)
        assert rank * (rows + columns) < kernel.size
        if rank == 0:
            np.testing.assert_array_equal(changed, kernel)
