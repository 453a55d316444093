"""The table of what was trained, on a real chain."""

import json
import shutil

import pytest

from converters.packing.pack import pack
from converters.release.page_inputs import extras
from tests.conftest import ROOT
from zoo.report import build


@pytest.mark.slow
def test_the_table_has_what_was_measured(command, digits, tmp_path):
    run = "squeezenet_v1_1-digits"
    shutil.copytree(digits / "runs" / run, tmp_path / "runs" / run)
    output = f"--output={tmp_path}"
    none = command("studies.training_table", output)
    assert none.returncode == 1 and "no results yet" in none.stderr
    done = command("convert", f"--run={run}", "--precision=float16,int8", output)
    assert done.returncode == 0, done.stderr
    assert command("studies.training_table", output).stdout.count("no test accuracy") == 2
    done = command(
        "benchmark", "--device=host", "--runtime=litert", "--delegate=xnnpack", "--processes=1",
        "--min_secs=0.01", "--num_runs=5", output,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    page = tmp_path / "page.md"
    page.write_text("# Title\n\n<!-- table -->\nold\n<!-- /table -->\n\nThe end.\n")
    for _ in range(2):
        done = command("studies.training_table", output, f"--markdown={page}")
        assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.startswith("# Title\n\n<!-- table -->\n") and text.endswith("\n\nThe end.\n")
    assert "old" not in text
    (row,) = [line for line in text.splitlines() if "squeezenet_v1_1" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    records = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    scores = {r["precision"]: r["top1"] for r in records if r["kind"] == "accuracy"}
    for place, precision in ((6, "float16"), (7, "int8")):
        assert cells[place].startswith(f"{100 * scores[precision]:.2f} (")
    times = {r["precision"]: r["latency"]["median_us"] for r in records if r["kind"] == "latency"}
    assert float(cells[10]) == pytest.approx(times["int8"] / times["float16"], abs=0.006)
    (manifest,) = tmp_path.glob("artifacts/*int8.json")
    assert cells[2] == f"{json.loads(manifest.read_text())['parameters']:,}"

    for path in tmp_path.glob("artifacts/*.tflite"):
        path.with_name(f"{path.name}.ztfl").write_bytes(pack(path.read_bytes()).data)
        path.unlink()
    assert row in command("studies.training_table", output).stdout.splitlines()
    found, problems = extras(build.load(tmp_path), tmp_path)
    assert len(found.estimates) == 2 and not problems

    page.write_text("# Title\n")
    done = command("studies.training_table", output, f"--markdown={page}")
    assert done.returncode == 1 and "no place for the table" in done.stderr
    assert page.read_text() == "# Title\n"


def test_float16_that_stands_for_float32_is_marked(command):
    """In the release's own tables."""
    done = command("studies.training_table", f"--output={ROOT / 'release'}")
    assert done.returncode == 0, done.stderr
    _, *questions = done.stdout.split("\n### ")
    marked, first = set(), False
    for question in questions:
        header, _, *rows = [line.split(" | ") for line in question.splitlines() if "|" in line]
        whole = header.index("test %, float32"), header.index("float32 time")
        for place, row in enumerate(rows):
            network = row[0].strip("|` ")
            there = ROOT / "release" / "artifacts" / f"{network}-fashion_mnist-float32.tflite"
            marks = [row[column].endswith(" (float16)") for column in whole]
            assert marks[0] == (not there.is_file())
            if place == 0:
                first = marks[1]
            assert marks[1] == (marks[0] or first)
            marked.add(marks[0])
    assert marked == {True, False}
