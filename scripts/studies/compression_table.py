"""Reproduces the compression table of SqueezeNet's paper, and goes below it.

    python -m scripts.studies.compression_table --weights=squeezenet_v1_0_deep_compressed \\
        --images=../shared/data/imagenet_sample_1000.tar --markdown=docs/compression.md

Parts, of which --parts chooses:

imagenet  SqueezeNet 1.0 with its real weights (--weights) on real pictures (--images): recoded
          without loss, clustered, and quantized for rate and distortion to given sizes.
alexnet   AlexNet's published rows: sizes from the published densities and bits of each layer;
          accuracies of a small AlexNet's runs under OUTPUT/runs.
runs      squeezenet_v1_1 and mobilenet_v2_cse_mix trained on Fashion-MNIST and CIFAR-10 (JPEG):
          runs under OUTPUT/runs, quantized for rate and distortion.

The page says which commands make the runs; one that is missing is a row that says so.

Files that OUTPUT/compression_table has are not made again; a part's rows are kept in
OUTPUT/compression_table/PART.json, and with --table_only the page is made of those.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from absl import flags
from pydantic import Field

from android_bench.host import bench
from converters.studies.compression_table.commands import commands
from converters.studies.compression_table.rows import CompressionRow, markdown
from scripts.common import cli
from zoo.io.files import write_text
from zoo.io.provenance import Provenance
from zoo.io.tf_import import import_tensorflow
from zoo.pretrained import initial
from zoo.schema.base import Strict
from zoo.schema.json_files import read_model

FLAGS = flags.FLAGS
_PARTS = ("imagenet", "alexnet", "runs")
cli.define_output()
flags.DEFINE_list("parts", list(_PARTS), "which parts to make")
flags.DEFINE_string("weights", None, "public weights of SqueezeNet 1.0, or a FILE.net")
flags.DEFINE_string("weights_file", None, "a copy of the named weights (default: the cache)")
flags.DEFINE_string("images", None, "an uncompressed .tar or a folder of JPEGs named by synset")
flags.DEFINE_string("markdown", None, "write the table to this file")
flags.DEFINE_bool("table_only", False, "make nothing, only the page")


class _Part(Strict):
    """A part's rows as they are kept."""

    made_by: str
    rows: Annotated[tuple[CompressionRow, ...], Field(max_length=1000)]


def main(_: list[str]) -> None:
    """Makes the wanted parts, then the page of all parts that are there."""
    folder = cli.output() / "compression_table"
    if not FLAGS.table_only:
        wanted = cli.choices("parts", _PARTS)
        import_tensorflow()
        for name in wanted:
            part = _Part(made_by=_made_by(), rows=tuple(_rows(name, folder)))
            write_text(folder / f"{name}.json", part.model_dump_json(indent=1) + "\n")
    found = [
        read_model(folder / f"{name}.json", _Part, "a part's rows", "make the part again")
        for name in _PARTS
        if (folder / f"{name}.json").exists()
    ]
    page = _page(found)
    if FLAGS.markdown:
        write_text(Path(FLAGS.markdown), page)
    cli.say(page)


def _rows(name: str, folder: Path) -> list[CompressionRow]:
    if name == "imagenet":
        from converters.studies.compression_table import imagenet

        copy = Path(FLAGS.weights_file) if FLAGS.weights_file else None
        start = initial.public(cli.required("weights"), copy)
        return imagenet.rows(start, Path(cli.required("images")), folder, cli.say)
    if name == "alexnet":
        from converters.studies.compression_table import alexnet

        return alexnet.rows(cli.output(), cli.say)
    from converters.studies.compression_table import trained

    return trained.rows(cli.output(), folder, cli.say)


def _made_by() -> str:
    command = " ".join(Provenance.here().command)
    return f"`{command}`, {datetime.now(UTC).date()}, {bench.device().name}"


def _page(parts: list[_Part]) -> str:
    rows = [row for part in parts for row in part.rows]
    made = "\n".join(f"- {part.rows[0].part}: {part.made_by}" for part in parts if part.rows)
    runs = "\n".join(commands().values())
    return f"{_HEADING}\n{made}\n\nThe runs:\n\n```\n{runs}\n```\n\n{markdown(rows)}\n"


_HEADING = """# The compression table

Published figures are the authors': MB are 10⁶ bytes, accuracies are those of ImageNet's 50,000
validation images. Ours stand beside them and are of other pictures, said below each heading, so the
two are not to be subtracted. *Container* is the file as `scripts.pack` ships it, from which
`scripts.unpack` restores the `.tflite` byte for byte. Sizes in brackets are computed, not built.
*× smaller* is the container beside AlexNet's 60,965,224 float32 parameters, 243.9 MB; for what was
trained here, beside its own float32 `.tflite`.

Made by:
"""


if __name__ == "__main__":
    cli.run(main)
