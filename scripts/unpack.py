"""Restores the file in a container written by `zoo pack`, byte for byte.

    zoo unpack model.ztfl --output_file=model.tflite

The file is written only if its SHA-256 is that of the packed file. Needs NumPy and constriction,
but neither TensorFlow nor LiteRT.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo.container import unpack
from zoo.errors import ZooError
from zoo.io.files import atomic_path

FLAGS = flags.FLAGS
flags.DEFINE_string("output_file", None, "file to write")
flags.DEFINE_integer(
    "limit", unpack.DEFAULT_LIMIT, "maximum size of the file, in bytes", lower_bound=0
)


def main(argv: list[str]) -> None:
    """Unpacks the file."""
    if len(argv) != 2:
        raise ZooError(
            "exactly one file is required",
            expected="FILE --output_file=FILE",
            got=" ".join(argv[1:]) or "none",
            remedy="run zoo unpack FILE --output_file=FILE",
        )
    source, target = Path(argv[1]), Path(cli.required("output_file"))
    if not source.is_file():
        raise ZooError("no such file", where=source, remedy="pass a file written by zoo pack")
    try:
        with (
            source.open("rb") as stream,
            atomic_path(target) as temporary,
            temporary.open("wb") as out,
        ):
            size = unpack.unpack(stream, out, FLAGS.limit)
    except ZooError as error:
        error.where = error.where or str(source)
        raise
    except OSError as error:
        raise ZooError("cannot unpack the file", where=source, got=error.strerror) from error
    cli.say(
        f"{source}: {source.stat().st_size:,} bytes → {target}: {size:,} bytes, SHA-256 verified"
    )


if __name__ == "__main__":
    cli.run(main, positional=True)
