"""A precision that is added in two files of a copy of the code, and what then knows it."""

import json
import shutil
from functools import partial

import pytest

from tests.conftest import ROOT
from tests.support import processes

RUN = "squeezenet_v1_1-digits-pruned"
NEW = "halves"
ROW = f"""    Precision(
        name="{NEW}", weights="float16", activations="float32", largest_drop=0.3,
        max_relative=0.02, min_agreement=0.97, sound_db=50,
    ),
"""
KNOWN = f"""
import json
from converters.parity.limits import LIMITS
from converters.release.checks import LARGEST_DROP
from zoo.catalog import precisions
from zoo.report.charts.palette import precision_colors

print(json.dumps({{
    "limit": LIMITS["{NEW}"].relative,
    "drop": LARGEST_DROP["{NEW}"],
    "agreement": precisions.precision("{NEW}").engine_agreement,
    "color": precision_colors(precisions.PRECISIONS)["{NEW}"],
    "usual": precisions.USUAL,
}}))
"""


def changed(path, end, text):
    """Writes text before the first line `end` of a file."""
    source = path.read_text()
    assert f"\n{end}\n" in source
    path.write_text(source.replace(f"\n{end}\n", f"\n{text}{end}\n", 1))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs a module of the copy."""
    copy = tmp_path_factory.mktemp("added") / "code"
    for name in ("zoo", "converters", "android_bench", "scripts"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    changed(copy / "zoo" / "catalog" / "precisions.py", ")  # fmt: skip", ROW)
    changed(copy / "converters" / "conversion" / "makers.py", "}", f'    "{NEW}": _float16,\n')
    (copy / "known.py").write_text(KNOWN)
    return partial(processes.run, environment={"PYTHONPATH": str(copy)}, folder=copy)


def test_all_facts_come_from_the_row(run):
    done = run("known")
    assert done.returncode == 0, done.stderr
    known = json.loads(done.stdout)
    assert known == {
        "limit": 0.02,
        "drop": 0.3,
        "agreement": 0.995,
        "color": known["color"],
        "usual": ["float32", "float16", "dynamic_int8", "int8", NEW],
    }
    assert known["color"].startswith("#")


@pytest.mark.parametrize("name", ["convert", "search", "verify"])
def test_help_names_it(run, name):
    assert NEW in run(f"scripts.{name}", "--help").stdout


@pytest.mark.slow
def test_it_goes_the_whole_way(run, digits, tmp_path):
    output, release = tmp_path / "output", tmp_path / "release"
    shutil.copytree(digits / "runs", output / "runs")
    name = f"{RUN}-{NEW}"
    there = f"--output={output}"
    for command, *flags in (
        ("convert", f"--run={RUN}", there),
        ("benchmark", "--device=host", "--runtime=litert", "--nolatency", there),
        ("prove", "--runtime=tflite_runtime", there),
        ("publish", f"--run={RUN}", f"--release={release}", "--engines=tflite_runtime", there),
        ("report", there),
    ):
        done = run(f"scripts.{command}", *flags)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    done = run("scripts.verify", f"--artifact={name}", "--runtime=litert", "--images=50", there)
    assert done.returncode == 0 and name in done.stdout, done.stderr
    assert NEW in (output / "report" / "index.html").read_text()
    done = run("scripts.search", f"--precision={NEW}", "--json", f"--source={release}")
    (entry,) = json.loads(done.stdout)
    assert (entry["name"], entry["precision"]) == (name, NEW)
    # Its limits are those of the row.
    done = run(
        "scripts.verify", f"--artifact={name}", "--runtime=litert", "--images=50",
        f"--max_relative={NEW}:0", there,
    )  # fmt: skip
    assert done.returncode == 1 and "relative error" in done.stdout + done.stderr
