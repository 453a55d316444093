"""The stand-in for `benchmark_model`: its executable file, its behavior and its journal."""

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
    """Writes the stand-in to `folder/name`, an executable that needs only this Python and LiteRT.

    It runs on virtual phones of this computer, not on real ones.

    Args:
        folder: Folder to write to; created if missing.
        name: File name.
        tool: Whether it stands in for the tool of TFLite or of LiteRT.

    Returns:
        Path of the file.
    """
    excluded = "tflite.py" if tool == "litert" else "litert.py"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packages = [path for path in sys.path if path.endswith("-packages")]
        packed.writestr("__main__.py", _MAIN.format(packages=packages))
        for source in sorted(_PACKAGE.glob("*.py")):
            if source.name != excluded:
                packed.write(source, f"benchmark_model/{source.name}")
    # Python runs a zip archive with any prefix. A shell line has no length limit, unlike `#!…`.
    # -I makes imports independent of the current folder and of PYTHON… variables; -S skips the
    # search for packages, which a tool that only sleeps does not need.
    header = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -ISB "$0" "$@"\n'
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(header.encode() + archive.getvalue())
    path.chmod(0o755)
    return path


def behavior_json(profile: PhoneProfile, journal: str, changes: Mapping[str, object]) -> str:
    """Returns the settings that the stand-in reads, as JSON.

    Args:
        profile: Profile with the settings.
        journal: Path of the journal, as seen on the phone.
        changes: Fields that differ from the profile.

    Raises:
        ValueError: if a change is not a setting of the stand-in.
    """
    names = (
        "gpu", "gpu_partitions", "gpu_error", "nnapi", "external", "build_percentiles",
        "build_output_filepath", "crash_exit", "crash_after_runs", "fail_invoke", "slow_ms",
        "litert",
    )  # fmt: skip
    fields = {name: getattr(profile, name) for name in names}
    unknown = changes.keys() - fields.keys()
    if unknown:
        raise ValueError(f"not settings of benchmark_model: {sorted(unknown)}")
    return json.dumps({**fields, **changes, "journal": journal})


def read_journal(path: Path) -> list[dict[str, object]]:
    """Returns one entry for each finished run of the stand-in.

    Each has `arguments`, `status` (exit code), `mask`, `seconds` (run time of the process) and
    `ended_s` (monotonic clock), and `times_us` if the run has latencies.
    """
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]
