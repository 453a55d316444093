"""The rows of a study in files: what is kept, and what is left to do."""

import pytest

from converters.studies.accelerator_rows import AcceleratorRow
from converters.studies.coverage_files import CoverageFiles
from converters.studies.coverage_table import CoverageRow
from zoo.errors import ZooError
from zoo.io.files import sha256_of
from zoo.runtime.engines import version

GPU = ("litert_gpu",)
LIMIT_S = 300.0


@pytest.fixture
def study(tmp_path):
    """A study with a file in int8 and a failed conversion to int16x8."""
    rows = CoverageFiles(tmp_path / "study")
    rows.files.mkdir(parents=True)
    converted = CoverageRow(model="a", precision="int8", sha256="0" * 64)
    rows.path(converted).write_bytes(b"any")
    converted = converted.model_copy(update={"sha256": sha256_of(rows.path(converted))})
    rows.add(converted)
    rows.add(CoverageRow(model="a", precision="int16x8", reason="the quantizer refuses it"))
    return rows


def result(row, **fields):
    versions = {"ai-edge-litert": version("litert")}
    return AcceleratorRow(
        **({"versions": versions, "limit_s": LIMIT_S} | fields),
        model=row.model, precision=row.precision, sha256=row.sha256, delegate="gpu",
    )  # fmt: skip


def left(study, limit_s=LIMIT_S):
    row = study.conversions["a", "int8"]
    return study.to_run(row, GPU, limit_s), study.to_convert("a", ["int8", "int16x8"], GPU, limit_s)


def test_a_file_that_is_there_is_not_converted_anew(study):
    assert left(study) == ([("litert_gpu", "gpu")], [])
    study.add(result(study.conversions["a", "int8"]))
    assert left(study) == ([], [])
    assert study.to_convert("a", ["float32"], GPU, LIMIT_S) == ["float32"]


@pytest.mark.parametrize("content", [None, b"another"])
def test_a_file_that_is_gone_is_converted_if_an_engine_needs_it(study, content):
    row = study.conversions["a", "int8"]
    study.path(row).unlink()
    if content:
        study.path(row).write_bytes(content)
    assert left(study) == ([("litert_gpu", "gpu")], ["int8"])
    assert study.to_convert("a", ["int8"], (), LIMIT_S) == []
    study.add(result(row))
    assert left(study) == ([], [])


def test_a_result_counts_for_its_file_and_versions(study):
    row = study.conversions["a", "int8"]
    study.add(result(row, versions={"ai-edge-litert": "2.0.0"}))
    study.add(result(row.model_copy(update={"sha256": "0" * 64})))
    assert left(study)[0] == [("litert_gpu", "gpu")]


def test_what_failed_is_tried_again_with_more_time(study):
    study.add(result(study.conversions["a", "int8"], reason="it timed out"))
    assert left(study) == ([], [])
    assert left(study, 2 * LIMIT_S)[0] == [("litert_gpu", "gpu")]


def test_rows_are_read_back_and_the_last_one_counts(study, tmp_path):
    row = study.conversions["a", "int8"]
    for reason in ("it timed out", None):
        study.add(result(row, reason=reason))
    read = CoverageFiles(tmp_path / "study")
    assert read.conversions == study.conversions
    assert read.accelerators == study.accelerators == {result(row).key: result(row)}
    with (tmp_path / "study" / "accelerators.jsonl").open("a") as log:
        log.write('{"model": 1}\n')
    with pytest.raises(ZooError, match=r"the rows are not valid.*accelerators\.jsonl"):
        CoverageFiles(tmp_path / "study")
