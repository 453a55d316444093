"""Comparisons, the roofline and sensitivity scans: what the page says of them."""

from __future__ import annotations

import json

import pytest

from tests.support.report_samples import artifact, scored, sha256, timed
from zoo.report.comparisons import comparisons
from zoo.report.estimates import roofline, roofline_chart, scan_table
from zoo.report.inputs import Estimated, EstimatedChip, Extras, scans
from zoo.report.rows import build
from zoo.schema.recipe import Recipe

CHIP = EstimatedChip(
    "a chip", gflops=1000, gbps=50, source="its maker", above="no chip holds its peaks"
)
SCAN = {
    "run": "net", "dataset": "digits", "images": 40, "what": "sparsity", "accuracy": 0.9,
    "whole": {"conv": 100.0, "dense": 50.0},
    "points": [
        {"layer": layer, "level": level, "bytes": 10, "accuracy": 0.9 - lost, "nats": 0.1,
         "value": level}
        for layer, losses in (("conv", (0.0, 0.05)), ("dense", (0.25, 0.5)))
        for level, lost in zip((0.5, 0.9), losses, strict=True)
    ],
    "uniform_level": 0.5,
    "uniform": {"levels": {"conv": 0.5, "dense": 0.5}, "bytes": 75, "accuracy": 0.6, "nats": 1.0},
    "proposed": {"levels": {"conv": 0.9}, "bytes": 70, "accuracy": 0.8, "nats": 0.5},
    "values": {"conv": 0.9},
}  # fmt: skip


def made(model, precision="int8", epochs=20, **changes):
    name = f"{model}-{precision}"
    recipe = Recipe(name="test", epochs=epochs)
    return artifact(name, precision, model=model, recipe=recipe, parent_run=model, **changes)


def compared(artifacts, lines=(), extras=None):
    report = build(lines, artifacts)
    places = {id(row): f"file-{row.sha256[:12]}" for row in report.rows}
    return comparisons(report, places, extras or Extras())


def test_networks_of_a_question_stand_beside_each_other():
    files = [
        made("shiftresnet20_e3"),
        made("dwresnet20_e3"),
        made("dwresnet20_e3", "float16"),
        made("resnet20"),
    ]
    names = [file.name for file in files]
    lines = [scored(names[0], 0.9), scored(names[1], None), timed(names[0], 0.25)]
    lines.append(timed(names[1], None))
    estimates = {sha256(names[0]): Estimated(macs=12_345_678, bytes=1, us=1, bound="memory")}
    (table,) = compared(files, lines, Extras(estimates=estimates))
    assert table["title"].startswith("Shift operators: ResNet-20")
    assert table["title"].endswith("(Fashion-MNIST)") and table["unequal"] == ""
    assert [(line["model"], line["precision"]) for line in table["lines"]] == [
        ("dwresnet20_e3", "float16"), ("dwresnet20_e3", "int8"), ("shiftresnet20_e3", "int8"),
    ]  # fmt: skip
    untested, failed, good = table["lines"]
    assert untested["accuracy"] == untested["latency"] == untested["macs"] == "–"
    assert failed["failed"] == "the interpreter crashed"
    assert failed["untimed"] == "the delegate refused QUANTIZE" and failed["latency"] == "–"
    assert good["accuracy"] == "90.00" and good["between"] == "89.40 to 90.57"
    assert (good["macs"], good["latency"], good["trained"]) == ("12.3", "0.250", "20, 1")
    assert table["timed"] == "Test CPU, litert, 1 thread, XNNPACK"


def test_the_picture_is_of_latency_or_else_of_size():
    files = [made(model, each) for model in ("dwresnet20_e3", "shiftresnet20_e3")
             for each in ("float32", "int8")]  # fmt: skip
    lines = [scored(file.name, 0.9) for file in files]
    (table,) = compared(files, lines)
    assert table["panel"].x_title == "Size (kB)" and len(table["panel"].points) == 4
    times = [timed(file.name, 0.25) for file in files[:3]]
    (table,) = compared(files, [*lines, *times])
    assert [(p.x, p.label) for p in table["panel"].points] == [
        (0.25, ""), (0.25, "dwresnet20_e3"), (0.25, ""),
    ]  # fmt: skip
    (table,) = compared(files)
    assert table["panel"] is None


def test_one_network_or_other_data_is_no_comparison():
    assert compared([made("dwresnet20_e3"), made("dwresnet20_e3", "float16")]) == []
    other = made("shiftresnet20_e3", dataset="digits")
    assert compared([made("dwresnet20_e3"), other]) == []
    assert compared([made("dwresnet20_e3"), made("shiftresnet20_e3", scheme=("prune",))]) == []


def test_unequal_training_is_said():
    tables = compared([made("squeezenet_v1_0"), made("squeezenet_v1_0_simple_bypass", epochs=8)])
    assert tables[0]["unequal"] == "epochs 8, 20"


def test_the_roofline_lies_on_the_roof():
    report = build([], [made("resnet20"), made("alexnet")])
    macs = {"resnet20-int8": 40_000_000, "alexnet-int8": 1_000_000}
    estimates = {}
    for name, count in macs.items():  # 2 µs a million MACs, 20 µs a million bytes
        us = max(2 * count / 1e6, 20.0)
        bound = "compute" if us > 20 else "memory"
        estimates[sha256(name)] = Estimated(count, 1_000_000, us, bound)
    places = {id(row): row.name for row in report.rows}
    shown = roofline(report, places, Extras(CHIP, estimates))
    assert [(line["name"], line["us"], line["bound"]) for line in shown["lines"]] == [
        ("resnet20-int8", "80.0", "arithmetic"), ("alexnet-int8", "20.0", "memory"),
    ]  # fmt: skip
    rows = [(estimates[row.sha256], row) for row in report.rows]
    for spot in roofline_chart(CHIP, rows)["layer"][1]["data"]["values"]:
        assert spot["y"] == pytest.approx(min(CHIP.gflops, spot["x"] * CHIP.gbps))
    assert roofline(report, places, Extras())["chip"] is None


def test_scans_are_read_and_a_broken_one_is_told(tmp_path):
    folder = tmp_path / "sensitivity"
    folder.mkdir()
    (folder / "net-sparsity.json").write_text(json.dumps(SCAN))
    (folder / "broken.json").write_text(json.dumps({**SCAN, "accuracy": "much"}))
    found, problems = scans(tmp_path)
    assert len(found) == len(problems) == 1 and "broken.json" in problems[0]
    table = scan_table(found[0])
    conv, dense = table["layers"]
    assert table["levels"] == ["0.5", "0.9"]
    assert [cell["mark"] + cell["text"] for cell in conv["cells"]] == ["○ 0.00", "● 5.00"]
    assert [cell["text"] for cell in dense["cells"]] == ["25.00", "50.00"]
    assert conv["cells"][0]["color"] == "#ffffff" != conv["cells"][1]["color"]
    assert dense["cells"][0]["color"] == dense["cells"][1]["color"]  # as bad as it gets
