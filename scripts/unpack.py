"""Restores the file in a container of scripts.pack, byte for byte.

    python -m scripts.unpack model.ztfl --output_file=model.tflite

Nothing is written unless the restored file's SHA-256 is the packed one's. Needs NumPy and
constriction, neither TensorFlow nor LiteRT.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo.container import unpack
from zoo.errors import ZooError
from zoo.io.files import atomic_path

FLAGS = flags.FLAGS
flags.DEFINE_string("output_file", None, "the file to write")
flags.DEFINE_integer("limit", unpack.DEFAULT_LIMIT, "bytes that the file may have", lower_bound=0)


def main(argv: list[str]) -> None:
    """Unpacks the file."""
    if len(argv) != 2:
        raise ZooError("give one file to unpack", expected="FILE --output_file=FILE", got=argv[1:])
    source, target = Path(argv[1]), Path(cli.required("output_file"))
    if not source.is_file():
        raise ZooError("there is no such container", where=source)
    try:
        with (
            source.open("rb") as stream,
            atomic_path(target) as temporary,
            temporary.open("wb") as out,
        ):
            size = unpack.unpack(stream, out, FLAGS.limit)
    except OSError as error:
        raise ZooError("cannot unpack", where=source, got=error.strerror) from error
    cli.say(f"{source}: {source.stat().st_size:,} bytes → {target}: {size:,} bytes, SHA-256 right")


if __name__ == "__main__":
    cli.run(main, positional=True)
