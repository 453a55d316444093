"""What the installed console commands run: `zoo-list` is `python -m scripts.list`."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

PREFIX = "zoo-"


def run() -> None:
    """Runs the script that this program is named after."""
    name = Path(sys.argv[0]).name.removesuffix(".exe").removeprefix(PREFIX).replace("-", "_")
    # As __main__, so that result lines hold the command in the form that the README uses.
    runpy.run_module(f"scripts.{name}", run_name="__main__", alter_sys=True)
