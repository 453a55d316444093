"""Files of an earlier version are still read, with the same figures: run, release, results.

`tests/fixtures/first_version` was made by the first version: a small ShiftResNet-20 on digits,
timed and scored on a host, with made-up lines of a phone; and what its commands printed about it.
"""

import json
import re
import shlex
import shutil

import pytest

from tests.conftest import ROOT
from zoo import runs
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_manifest, read_records
from zoo.schema.measurement import Measurement

OLD = ROOT / "tests" / "fixtures" / "first_version"


@pytest.fixture
def output(tmp_path):
    """A copy, since commands write into it."""
    return shutil.copytree(OLD, tmp_path / "output")


def rows(text):
    """The lines about the models, with their figures."""
    return [line.split() for line in text.splitlines() if line.startswith("tiny-")]


def figures(text):
    """The numbers in the text, with sizes in the former unit."""
    text = re.sub(r"([\d.]+) kB", lambda size: f"{float(size[1]) / 1000:.3f} MB", text)
    return re.findall(r"\d+(?:\.\d+)?", text)


def test_its_report_is_the_same(command, output):
    done = command("report", f"--output={output}", COLUMNS="300")
    assert done.returncode == 0, done.stderr
    before = (OLD / "report.txt").read_text()
    assert len(rows(before)) == 2
    # Of a cell that tells a failure only the start is shown, and its words may change.
    assert [row[:13] for row in rows(done.stdout)] == [row[:13] for row in rows(before)]
    assert "failed: the delegate refused QUANTIZE" in done.stdout


def test_its_recommendation_is_the_same(command, output):
    done = command("recommend", f"--output={output}", "--device=a3f19c", "--dataset=digits")
    assert figures(done.stdout) == figures((OLD / "recommend.txt").read_text())


def test_its_uncertainties_are_read():
    lines = (OLD / "results.jsonl").read_text()
    assert lines.count('"net_mj_doubt"') == 2
    records, problems = read_records(OLD / "results.jsonl")
    assert problems == []
    found = [
        record.energy for record in records if isinstance(record, Measurement) and record.energy
    ]
    assert [energy.net_mj_uncertainty for energy in found] == pytest.approx(
        [3.2 * 60 / 2600, 1.1 * 60 / 2600]
    )


def test_its_run_is_rebuilt():
    run = runs.load(OLD / "runs" / "tiny")
    model = runs.keras_model(run, OLD / "runs" / "tiny")
    assert model.count_params() == 10_034


def test_its_release_is_searched_downloaded_and_run(command, output, tmp_path):
    source, cache = f"--source={output / 'release'}", {"MODEL_ZOO_CACHE": str(tmp_path / "cache")}
    done = command("search", source, COLUMNS="300")
    engines = slice(4, 6)  # columns that the table of then did not have
    found = rows(done.stdout)
    assert {tuple(row[engines]) for row in found} == {("–", "–")}
    for row in found:
        del row[engines]
    assert found == rows((OLD / "search.txt").read_text())
    done = command("download", source, "--all", "--precision=float32,int8,checkpoint", **cache)
    assert done.returncode == 0, done.stderr
    done = command("classify", "tiny-int8", str(ROOT / "docs" / "ankle_boot.png"), **cache)
    assert done.returncode == 0, done.stderr
    old = (OLD / "release" / "artifacts" / "tiny-int8.json").read_text()
    assert '"grey"' in old  # codespell:ignore grey
    former = "licence_code"  # codespell:ignore licence
    artifact = read_manifest(OLD / "release" / "artifacts" / "tiny-int8.json", Artifact, "")
    assert artifact.preprocessing["channels"] == "gray"
    assert artifact.released is not None
    assert artifact.released.license_code == json.loads(old)["released"][former]


def test_its_commands_are_still_understood(command, output):
    """As far as that takes no time: the cases of a measurement are listed."""
    for line in commands(OLD / "results.jsonl", "scripts.benchmark"):
        _, _, module, *flags = shlex.split(line)
        flags = [flag for flag in flags if not flag.startswith("--output")]
        name = module.removeprefix("scripts.")
        done = command(name, *flags, "--dry_run", f"--output={output}")
        assert done.returncode == 0, done.stderr
        assert " int8: " in done.stdout


@pytest.mark.slow
def test_the_commands_of_its_manifest_still_run(command, output):
    manifest = json.loads((OLD / "release" / "artifacts" / "tiny-int8.json").read_text())
    _, convert = manifest["released"]["commands"]
    assert "--precisions=float32,int8" in convert
    lines = [convert, *commands(OLD / "results.jsonl", "scripts.benchmark")]
    for line in lines:
        _, _, module, *flags = shlex.split(line)
        flags = [flag for flag in flags if not flag.startswith("--output")]
        done = command(module.removeprefix("scripts."), *flags, f"--output={output}")
        assert done.returncode == 0, done.stderr


def commands(path, module):
    """The distinct commands of a module in result lines."""
    found = {shlex.join(json.loads(line)["command"]) for line in path.read_text().splitlines()}
    return sorted(line for line in found if module in line.split())
