"""The stand-in for `benchmark_model`: the file to push, its behavior, its journal."""

from __future__ import annotations

import io
import json
import shlex
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tests.virtual_phone.profile import PhoneProfile

JOURNAL = "/system/stub/state/benchmarks.jsonl"
_PACKAGE = Path(__file__).with_name("benchmark_model")
_MAIN = """import runpy, sys
sys.path += {packages}
runpy.run_module('benchmark_model', run_name='__main__')
"""


def stand_in_binary(
    folder: Path, name: str = "benchmark_model", tool: Literal["tflite", "litert"] = "tflite"
) -> Path:
    """Writes `folder/name`: one executable file that needs only this Python and LiteRT.

    It is a program for this computer's virtual phones; a real phone cannot run it. `tool` says
    whose tool it stands for.
    """
    left_out = "tflite.py" if tool == "litert" else "litert.py"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packages = [path for path in sys.path if path.endswith("-packages")]
        packed.writestr("__main__.py", _MAIN.format(packages=packages))
        for source in sorted(_PACKAGE.glob("*.py")):
            if source.name != left_out:
                packed.write(source, f"benchmark_model/{source.name}")
    # Python runs a zip whatever stands before it. A shell line instead of `#!python`: no limit of
    # length. -I: neither its folder nor PYTHON… variables decide what it imports; -S: what isn't
    # needed by a tool that only sleeps is not looked for.
    header = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -ISB "$0" "$@"\n'
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(header.encode() + archive.getvalue())
    path.chmod(0o755)
    return path


def behavior_json(profile: PhoneProfile, journal: str, changes: Mapping[str, object]) -> str:
    """What the program reads of its phone: fields of the profile, with some changed.

    Raises:
        ValueError: a change is not about the program.
    """
    names = (
        "gpu", "gpu_partitions", "gpu_error", "nnapi", "external", "build_percentiles",
        "build_output_filepath", "crash_exit", "crash_after_runs", "fail_invoke", "slow_ms",
        "litert",
    )  # fmt: skip
    fields = {name: getattr(profile, name) for name in names}
    unknown = changes.keys() - fields.keys()
    if unknown:
        raise ValueError(f"not about benchmark_model: {sorted(unknown)}")
    return json.dumps({**fields, **changes, "journal": journal})


def read_journal(path: Path) -> list[dict[str, object]]:
    """Each finished run.

    `arguments`, `status`, `mask`, `seconds` of the process, `ended_s` (monotonic); `times_us` if
    there are any.
    """
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]
