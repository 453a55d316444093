"""The study of GPU rules: its cases, what it asks the engine, and what it finds."""

import json

import pytest

from converters.parity.tensor_inputs import random_inputs
from converters.studies.gpu_rules import compare, engine, page
from converters.studies.gpu_rules.cases import all_cases
from converters.studies.gpu_rules.engine import EngineAnswer, Engines
from converters.tflite.reader import read
from tests.conftest import ROOT
from tests.support.engines import working
from tests.support.processes import HANG_S
from zoo.runtime.sandbox import Sandbox

CASES = {case.name: case for case in all_cases()}
# Taken and right, taken and wrong, refused by version, by type and by option.
SOME = (
    "CONV_2D dynamic_int4, 3×3, stride 1",
    "CONV_2D float32, 3×3, version 7",
    "CONV_2D int8, 1×1, stride 2",
    "CONV_2D int16x8, 1×1, stride 1",
    "LOG float32",
    "PRELU float32, one slope",
)


@pytest.fixture(scope="module")
def engines():
    with Sandbox("litert", HANG_S) as cpu:
        for gpu in working("litert_gpu"):
            yield Engines(cpu, gpu)


def test_cases_are_many_and_have_names_of_their_own():
    assert len(CASES) == len(all_cases()) > 700
    for case in list(CASES.values())[::50]:
        operators = read(case.content, case.name).main.operators
        assert operators[0].name == case.operator


def test_the_same_cases_are_made_again():
    """Otherwise the engine would be asked again for known ones."""
    assert [case.content for case in all_cases()] == [case.content for case in CASES.values()]


def _asked(names, engines):
    cases = [CASES[name] for name in names]
    found = list(engine.ask(cases, set(), engines, lambda _: None))
    answers = {(row.sha256, row.version): row for row in found}
    return cases, answers


def test_rules_and_engine_agree_on_some_cases(engines):
    cases, answers = _asked(SOME, engines)
    rows = compare.compare(cases, answers, engines.gpu.version)
    assert [row.case.name for row in rows] == list(SOME)
    assert compare.disagreements(rows) == []
    assert [row.whole for row in rows] == [True, False, True, False, True, False]
    assert [row.wrong for row in rows if row.whole] == [False, True, False]
    assert list(engine.ask(cases, set(answers), engines, lambda _: None)) == []


@pytest.mark.slow
def test_rules_and_engine_agree_on_a_part_of_the_cases(engines):
    cases, answers = _asked(list(CASES)[::9], engines)
    assert compare.disagreements(compare.compare(cases, answers, engines.gpu.version)) == []


def test_the_cpu_runs_a_part_of_the_cases(tmp_path):
    with Sandbox("litert", HANG_S) as cpu:
        for case in list(CASES.values())[::20]:
            path = tmp_path / "case.tflite"
            path.write_bytes(case.content)
            assert cpu.run_tensors(path, random_inputs(path, 1)), case.name


def _answer(name, **fields):
    answer = EngineAnswer(name=name, sha256="0" * 64, version="2.3.0", nodes=1, **fields)
    return compare.compared(CASES[name], answer)


@pytest.mark.parametrize(
    ("name", "fields", "rules", "told"),
    [
        ("ABS float32", {"taken": 0, "refused": ("ABS: no.",)}, "1 of 1 on the GPU", "0 of 1"),
        ("SHAPE float32", {"taken": 1}, "SHAPE: not supported", "1 of 1 (no refusal)"),
        ("ABS float32", {"taken": 1, "db": 3.0}, "no caution", "departs from the CPU: 3.0 dB"),
        ("LEAKY_RELU float32, slope 1.5", {"taken": 1, "db": 99.0}, "caution: ", "as the CPU"),
        ("ABS float32", {"taken": 1, "problem": "it died"}, "runs", "it died"),
    ],
)
def test_a_disagreement_is_a_row(name, fields, rules, told):
    (row,) = compare.disagreements([_answer(name, **fields)])
    assert row.name == name and row.reason == ""
    assert rules in row.rules and told in row.engine


def test_the_page_shows_unknown_disagreements():
    rows = [
        _answer("ABS float32", taken=0, refused=("ABS: no.",), cpu_db=99.0),
        _answer("CEIL float32", taken=1, db=120.0, cpu_db=99.0),
        _answer("LEAKY_RELU float32, slope 1.5", taken=1, db=5.0, cpu_db=99.0),
    ]
    fields = {
        "version": "2.3.0",
        "device": "a GPU",
        "release": "r",
        "inferences": 3,
        "made_by": "By.",
    }
    text = page.markdown(rows, rows[1:2], compare.disagreements(rows), fields)
    assert "agree with the engine on 3 of 4 files" in text
    assert "| ABS float32 | 1 of 1 on the GPU | 0 of 1 (ABS: no.) | **unknown** |" in text
    assert "| CEIL | 1 | 1 |  | not supported |" in text
    assert "| LEAKY_RELU | with a slope above 1 |" in text


def test_the_committed_page_has_no_unknown_row():
    text = (ROOT / "docs" / "gpu_rules.md").read_text()
    assert "**unknown**" not in text
    assert f" {len(CASES)} files of a single operator" in text.replace("\n", " ")


def test_the_command_refuses_answers_that_are_none(command, tmp_path):
    (tmp_path / "gpu_rules.jsonl").write_text(json.dumps({"name": 1}) + "\n")
    done = command("studies.gpu_rules", f"--output={tmp_path}", f"--release={tmp_path}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: invalid answers | where: ")
