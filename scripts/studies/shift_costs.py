"""Measures the relative cost of a shift layer in each form that it can be lowered to.

    python -m scripts.studies.shift_costs --markdown=docs/lowerings.md

Each form stands between two 1×1 convolutions, is converted by TensorFlow and runs on LiteRT with
XNNPACK, one thread. All blocks take turns in random order in one process. Only ratios to the
trained 3×3 depthwise convolution of the same stride are printed, since absolute times depend on
what else the machine does: the ratio for the whole block, and for the time that the layer adds to
the block.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo.errors import ZooError
from zoo.io.files import write_text
from zoo.io.tf_import import import_tensorflow
from zoo.runtime import host

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "markdown", "", "write the table to this file, below its heading; the text above it is kept"
)
flags.DEFINE_list("maps", ["56x64", "28x128", "14x256"], "sizes of the feature maps, SIZExCHANNELS")
flags.DEFINE_integer("turns", 25, "number of turns of each block, after one warmup turn")
flags.DEFINE_integer("runs", 6, "number of inferences per turn")


_HEADING = "## The table"


def main(_: list[str]) -> None:
    """Times every form and prints a Markdown table."""
    for flag, minimum in (("turns", 2), ("runs", 1)):
        if FLAGS[flag].value < minimum:
            raise ZooError("too small", where=f"--{flag}", expected=f"{minimum} or more")
    maps = [_map(text) for text in FLAGS.maps]
    import_tensorflow()
    from converters.studies import shift_costs

    rows = shift_costs.HEADER
    cli.say(rows)
    for size, channels in maps:
        for integer in (False, True):
            lines = shift_costs.table(size, channels, integer, FLAGS.turns, FLAGS.runs)
            cli.say(lines)
            rows += f"\n{lines}"
    if FLAGS.markdown:
        command = f"python -m scripts.studies.shift_costs --turns={FLAGS.turns} --runs={FLAGS.runs}"
        today = datetime.datetime.now(datetime.UTC).date()
        path = Path(FLAGS.markdown)
        above = path.read_text().partition(_HEADING)[0] if path.exists() else ""
        source = f"`{command}` on {host.device().name}, one thread, {today}."
        write_text(path, f"{above}{_HEADING}\n\n{source}\n\n{rows}\n")


def _map(text: str) -> tuple[int, int]:
    size, _, channels = text.partition("x")
    if not (size.isdecimal() and channels.isdecimal()) or min(int(size), int(channels)) < 9:
        raise ZooError(
            "invalid size", where="--maps", expected="SIZExCHANNELS, at least 9x9", got=text
        )
    return int(size), int(channels)


if __name__ == "__main__":
    cli.run(main)
