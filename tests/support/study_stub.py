"""`scripts.study` with the trainer of `tests.support.sweep_stub`, to hold and end it at will."""

from __future__ import annotations

from scripts import study
from scripts.common import cli
from zoo.sweeps.study.runner import Runner

if __name__ == "__main__":
    Runner.trainer = "tests.support.sweep_stub"
    cli.run(study.main, positional=True)
