"""Rows of precisions, and that what they say stands nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from zoo.catalog import precisions
from zoo.errors import UnknownNameError
from zoo.runtime import RUNTIMES

_HOMES = ("zoo/catalog/precisions.py", "converters/conversion/makers.py")
# Files or folders that may name a precision, and why.
_ALLOWED = {
    "zoo/models/": "dtype of a layer",
    "zoo/runtime/": "what an accelerator computes in",
    "zoo/schema/measurement.py": "what an accelerator computes in",
    "converters/parity/engines.py": "what an accelerator computes in",
    "converters/inspection/": "dtype of a tensor",
    "converters/release/": "dtype of an input or output",
    "converters/conversion/quantize.py": "what it makes",
    "converters/conversion/weights_only.py": "what it makes",
    "converters/parity/limits.py": "example in an error message",
    "zoo/compression/qat.py": "what its networks can't be, in an error message",
    "zoo/sweeps/study/runner.py": "choice: what studies are scored in",
    "scripts/compress.py": "choice: the default",
    "scripts/convert.py": "example in the help",
    "scripts/demo.py": "choice: what the demo compares with",
    "scripts/studies/": "choice: what a table compares",
    "converters/studies/": "choice: what a table compares",
}


def _is_dtype(name: str) -> bool:
    try:
        return bool(np.dtype(name))
    except TypeError:
        return False


def _named(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines in which a file names a precision, with what they say.

    Words that are dtypes as well count only where they stand alone, or behind a sign, as in
    `--precision=int8`. Of docstrings, only the other words count.
    """
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    words = "|".join(precisions.PRECISIONS)
    alone = re.compile(rf"({words})|.*[-=,:]({words})\b.*", re.DOTALL)
    others = [name for name in precisions.PRECISIONS if not _is_dtype(name)]
    anywhere = re.compile(rf".*\b({'|'.join(others)})\b.*", re.DOTALL)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if anywhere.fullmatch(node.value) or (
                id(node) not in docs and alone.fullmatch(node.value)
            ):
                yield node.lineno, node.value


def test_no_other_file_names_a_precision():
    used = set()
    wrong = []
    for package in ("zoo", "converters", "android_bench", "scripts"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name in _HOMES:
                continue
            allowed = {place for place in _ALLOWED if name.startswith(place)}
            for line, text in _named(path):
                used |= allowed
                if not allowed:
                    wrong.append(f"{name}:{line}: {text[:60]!r}")
    assert wrong == [], "take it from zoo.catalog.precisions, or say in _ALLOWED why it stands here"
    assert used == set(_ALLOWED), "no longer needed"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('x = ("float16", 1)', True),
        ('x = f"{name}-int8"', True),
        ('x = "--precision=int8"', True),
        ('"""Also for int16x8."""', True),
        ('"""Weights in int8."""', False),
        ('x = "a float32 file"', False),
        ('x = "bfloat16"', False),
    ],
)
def test_what_names_a_precision(tmp_path, code, found):
    path = tmp_path / "some.py"
    path.write_text(f"{code}\n")
    assert bool(list(_named(path))) is found


def test_rows_are_consistent():
    assert len(set(precisions.PRECISIONS)) == len(precisions.ROWS)
    for row in precisions.ROWS:
        assert set(row.engines) <= set(RUNTIMES)
        assert not (row.needs_calibration and row.after_qat)
        assert row.integers == (row.needs_calibration or row.after_qat)
        assert (row.largest_drop is None) == (row.name == precisions.BASE)
        assert 0 < row.min_agreement <= 1 and 0 < row.max_relative < 1
        assert _is_dtype(row.weights) and _is_dtype(row.activations)
        assert precisions.precision(row.name) is row
        # Names of artifacts end with it, behind a dash.
        assert re.fullmatch(r"[a-z0-9_]+", row.name)
    with pytest.raises(UnknownNameError, match="did you mean int8"):
        precisions.precision("int9")


def test_documents_have_the_rows():
    conversion = (ROOT / "docs" / "conversion.md").read_text()
    engines = {"litert_gpu": "GPU", "litert_npu": "NPU"}
    for row in precisions.ROWS:
        needs = "calibration images" * row.needs_calibration + "a QAT run" * row.after_qat
        accelerators = ", ".join(engines[name] for name in row.engines)
        cells = (f"`{row.name}`", row.weights, row.activations, needs, accelerators, row.note)
        assert f"| {' | '.join(cells)} |".replace("|  |", "| |") in conversion
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    assert f"are stored: {', '.join(precisions.PRECISIONS)}." in glossary
