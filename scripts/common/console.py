"""The `zoo` command: `zoo train --epochs=3` runs `python -m scripts.train --epochs=3`."""

from __future__ import annotations

import ast
import importlib.metadata
import runpy
import sys
from pathlib import Path

from zoo.errors import UnknownNameError

PROGRAM = "zoo"
_SCRIPTS = Path(__file__).parents[1]
GROUPS = {
    "Set up": ("doctor",),
    "Find a model": ("list", "describe", "search", "recommend", "download"),
    "Use a model": ("classify", "inspect"),
    "Train": ("data", "train", "explore", "study"),
    "Compress": ("compress", "sensitivity", "pack", "unpack", "deep_compression"),
    "Convert": ("convert", "compile", "verify", "prove", "evaluate", "build"),
    "Measure": ("phone", "benchmark", "report"),
    "Publish": ("publish",),
    "Demo": ("demo",),
}
_runs = False


def used() -> bool:
    """Returns whether this process was started as `zoo`, not as `python -m scripts.NAME`."""
    return _runs


def summary(name: str) -> str:
    """Returns the first line of a command's docstring, without importing the command."""
    tree = ast.parse((_SCRIPTS / f"{name}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def overview() -> str:
    """Returns the text of `zoo --help`: all commands in groups, one per line."""
    lines = [
        "Small convolutional networks as TFLite files: trained, compressed, and measured on this "
        "computer or your phone.",
        "",
        f"usage: {PROGRAM} COMMAND [FLAGS]     {PROGRAM} help COMMAND     {PROGRAM} --version",
    ]
    width = max(len(name) for names in GROUPS.values() for name in names)
    for title, names in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:<{width}}  {summary(name)}" for name in names)]
    return "\n".join(lines)


def version() -> str:
    """Returns the installed version."""
    try:
        return importlib.metadata.version("mobile-model-zoo")
    except importlib.metadata.PackageNotFoundError:
        return "unknown (not installed)"


def run() -> None:
    """Runs the command given by the first argument; without arguments, prints the overview."""
    global _runs
    name, *rest = sys.argv[1:] or ["--help"]
    if name == "--version":
        print(version())
        return
    if name == "help" and rest:
        name, rest = rest[0], ["--help"]
    if name in ("--help", "-h", "help"):
        print(overview())
        return
    known = {name for names in GROUPS.values() for name in names}
    script = name.replace("-", "_")
    if script not in known:
        print(f"error: {UnknownNameError('command', name, known)}", file=sys.stderr)
        sys.exit(2)
    _runs = True
    sys.argv[1:] = rest
    # As __main__, so that result lines record a command that also works without installing.
    runpy.run_module(f"scripts.{script}", run_name="__main__", alter_sys=True)
