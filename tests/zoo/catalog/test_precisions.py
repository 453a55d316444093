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
# Files or folders that may name a precision, and why. In the first, only words that are dtypes.
_DTYPES = {
    "zoo/models/": "dtype of a layer",
    "zoo/runtime/": "what an accelerator computes in",
    "zoo/schema/measurement.py": "what an accelerator computes in",
    "converters/parity/signals.py": "what an accelerator computes in",
    "converters/inspection/": "dtype of a tensor",
    "converters/release/": "dtype of an input or output",
}
_CHOICES = {
    "converters/conversion/quantize.py": "what it makes",
    "converters/conversion/weights_only.py": "what it makes",
    "converters/parity/limits.py": "example in an error message",
    "converters/studies/": "what a table compares",
    "scripts/compress.py": "its default",
    "scripts/convert.py": "example in the help",
    "scripts/demo.py": "what the demo compares with",
    "scripts/studies/": "what a table compares",
    "zoo/compression/qat.py": "what a network can't be, in an error message",
    "zoo/sweeps/study/runner.py": "what studies are scored in",
}


def _is_dtype(name: str) -> bool:
    try:
        return bool(np.dtype(name))
    except TypeError:
        return False


def _named(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Yields the lines in which a file names a precision, what they say, and whether it is a dtype.

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
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        if anywhere.fullmatch(node.value):
            yield node.lineno, node.value, False
        elif id(node) not in docs and alone.fullmatch(node.value):
            yield node.lineno, node.value, True


def test_no_other_file_names_a_precision():
    used = set()
    wrong = []
    for package in ("zoo", "converters", "android_bench", "scripts"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name in _HOMES:
                continue
            for line, text, dtype in _named(path):
                places = {**_CHOICES, **_DTYPES} if dtype else _CHOICES
                allowed = {place for place in places if name.startswith(place)}
                used |= allowed
                if not allowed:
                    wrong.append(f"{name}:{line}: {text[:60]!r}")
    assert wrong == [], "take it from zoo.catalog.precisions, or say above why it stands there"
    assert used == {*_DTYPES, *_CHOICES}, "no longer needed"


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
