"""`scripts.study` with the trainer of `tests.support.sweep_stub`, to hold and end it at will."""

from __future__ import annotations

from scripts import study
from scripts.common import cli
from zoo.sweeps.study.runner import Runner

if __name__ == "__main__":
    study._yield_to_others = lambda: None  # else a busy computer would hardly run it
    Runner.trainer = "tests.support.sweep_stub"
    cli.run(study.main, positional=True)
