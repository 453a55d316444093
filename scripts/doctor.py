"""Checks what works on this computer, and says what to type for what does not.

    zoo doctor
    zoo doctor --quick
    zoo doctor --json

A row each for TensorFlow, the engines that run .tflite files, adb and its phones, Chromium, the
datasets, and the space in the folders of downloads and results. Its first word:

    ok        works: TensorFlow was imported, an engine has computed a network of one operator
    note      works, with a limit
    missing   not here, and only needed for what the row says
    problem   is here and does not work

Every engine runs in a process of its own, so that a broken one costs its own row only. The exit
code is 1 if LiteRT, which most commands need, does not work, or TensorFlow is installed and can't
be imported. Everything else is optional and leaves it 0. `zoo phone doctor` examines phones.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from absl import flags

from scripts.common import cli

if TYPE_CHECKING:
    from android_bench.doctor.diagnosis import Check

FLAGS = flags.FLAGS
# Most of a check is waiting for a process to start; more at once would only delay the first rows.
_AT_ONCE = 4
cli.define_output()
flags.DEFINE_bool("quick", False, "start nothing: only look for packages, programs and files")
flags.DEFINE_bool("json", False, "print one JSON array with an object per row")
flags.DEFINE_float(
    "timeout_secs", 120, "limit of each engine in seconds; then its process is ended", 1
)
flags.DEFINE_string("adb", None, "path of adb (default: adb on PATH, else the one in adbutils)")
flags.DEFINE_string("data_dir", "", "data folder of tensorflow_datasets")


def main(_: list[str]) -> int:
    """Prints the rows as they are known; returns 1 if one of the basics does not work."""
    from scripts.common.setup_checks import BASICS, Setup, checks

    setup = Setup(cli.output(), FLAGS.quick, FLAGS.timeout_secs, FLAGS.adb, FLAGS.data_dir)
    pending = checks(setup)
    width = max(map(len, pending))
    rows: list[Check] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for row in pool.map(lambda check: check(), pending.values()):
            rows.append(row)
            if not FLAGS.json:
                cli.say(row.row(width))
    if FLAGS.json:
        cli.say(json.dumps([_plain(row) for row in rows], indent=1))
    return int(any(row.level == "problem" for row in rows if row.name in BASICS))


def _plain(row: Check) -> dict[str, Any]:
    return {
        "name": row.name, "level": row.level, "found": row.found, "remedy": row.remedy or None
    }  # fmt: skip


if __name__ == "__main__":
    cli.run(main)
