"""Reproduces and extends the compression table of the SqueezeNet paper.

    python -m scripts.studies.compression_table --weights=squeezenet_v1_0_deep_compressed \\
        --images=IMAGES.tar --markdown=docs/compression.md

Parts, selected by --parts:

imagenet  SqueezeNet 1.0 with its ImageNet weights (--weights) on ImageNet images (--images):
          recoded without loss, clustered, and quantized for rate and distortion to given sizes.
alexnet   The published rows of AlexNet: sizes computed from the published density and bits of each
          layer; accuracies of a small AlexNet from runs in OUTPUT/runs.
runs      squeezenet_v1_1 and mobilenet_v2_cse_mix trained on Fashion-MNIST and CIFAR-10 (JPEG):
          runs in OUTPUT/runs, quantized for rate and distortion.

The page lists the commands that train the runs. If a run is missing, its row says so.

Files that already exist in OUTPUT/compression_table are reused. The rows of a part are stored in
OUTPUT/compression_table/PART.json; --table_only writes the page from them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from absl import flags
from pydantic import Field

from converters.studies.compression_table.commands import commands
from converters.studies.compression_table.rows import CompressionRow, markdown
from scripts.common import cli
from zoo.io.files import write_text
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.pretrained import initial
from zoo.runtime import host
from zoo.schema.base import Strict
from zoo.schema.json_files import read_model

FLAGS = flags.FLAGS
_PARTS = ("imagenet", "alexnet", "runs")
cli.define_output()
flags.DEFINE_list("parts", list(_PARTS), "parts to compute")
flags.DEFINE_string("weights", None, "public weights of SqueezeNet 1.0 or a FILE.net")
flags.DEFINE_string("weights_file", None, "local copy of the public weights (default: the cache)")
flags.DEFINE_string("images", None, "uncompressed .tar or folder of JPEGs named by synset")
flags.DEFINE_string("markdown", None, "write the page to this file")
flags.DEFINE_bool("table_only", False, "compute nothing, only write the page")


class _Part(Strict):
    """Stored rows of a part.

    Attributes:
        made_by: Command, date and computer, in Markdown.
        rows: Rows of the table.
    """

    made_by: str
    rows: Annotated[tuple[CompressionRow, ...], Field(max_length=1000)]


def main(_: list[str]) -> None:
    """Computes the requested parts, then prints the page with all stored parts."""
    folder = cli.output() / "compression_table"
    if not FLAGS.table_only:
        names = cli.choices("parts", _PARTS)
        import_tensorflow()
        for name in names:
            part = _Part(made_by=_made_by(), rows=tuple(_rows(name, folder)))
            write_text(folder / f"{name}.json", part.model_dump_json(indent=1) + "\n")
    parts = [
        read_model(folder / f"{name}.json", _Part, "the rows of a part", "compute the part again")
        for name in _PARTS
        if (folder / f"{name}.json").exists()
    ]
    page = _page(parts)
    if FLAGS.markdown:
        write_text(Path(FLAGS.markdown), page)
    cli.say(page)


def _rows(name: str, folder: Path) -> list[CompressionRow]:
    if name == "imagenet":
        from converters.studies.compression_table import imagenet

        file = Path(FLAGS.weights_file) if FLAGS.weights_file else None
        start = initial.public(cli.required("weights"), file)
        return imagenet.rows(start, Path(cli.required("images")), folder, cli.say)
    if name == "alexnet":
        from converters.studies.compression_table import alexnet

        return alexnet.rows(cli.output(), cli.say)
    from converters.studies.compression_table import trained

    return trained.rows(cli.output(), folder, cli.say)


def _made_by() -> str:
    command = " ".join(Provenance.here().command)
    return f"`{command}`, {datetime.now(UTC).date()}, {host.device().name}"


def _page(parts: list[_Part]) -> str:
    rows = [row for part in parts for row in part.rows]
    made_by = "\n".join(f"- {part.rows[0].part}: {part.made_by}" for part in parts if part.rows)
    runs = "\n".join(commands().values())
    return f"{_HEADING}\n{made_by}\n\nThe runs:\n\n```\n{runs}\n```\n\n{markdown(rows)}\n"


_HEADING = """# Compression, beside the papers' figures

Published figures are the papers', with accuracies on the 50,000 validation images of ImageNet. Ours
are on other images: those of `--images` for SqueezeNet 1.0 ([imagenet.md](imagenet.md)), and the
10,000 test images of the row's dataset for networks trained here. Compare our accuracies with each
other, not with the published ones. MB are 10⁶ bytes. *Container* is the file written by `zoo pack`,
from which `zoo unpack` restores the `.tflite` byte for byte. Sizes in parentheses are computed; no
file was built. *× smaller* compares the container with AlexNet's 60,965,224 float32 parameters
(243.9 MB), and for networks trained here with their own float32 `.tflite`.

Generated by these commands, whose paths exist only on our computer:
"""


if __name__ == "__main__":
    cli.run(main)
