"""Packs a .tflite into the smallest container that restores it byte for byte.

    python -m scripts.pack output/artifacts/squeezenet_v1_1-int8.tflite --output_file=model.ztfl

Prints the sizes before and after, what zip and Zstandard give, and where the container's bytes are.
Any file can be packed, but only a .tflite becomes much smaller than by general means.
scripts.unpack restores it.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes, write_bytes

FLAGS = flags.FLAGS
flags.DEFINE_string("output_file", None, "the container to write")


def main(argv: list[str]) -> None:
    """Packs the file."""
    if len(argv) != 2:
        raise ZooError("give one file to pack", expected="FILE --output_file=FILE", got=argv[1:])
    target = Path(cli.required("output_file"))
    content = read_bytes(Path(argv[1]), "the file to pack", MAX_MODEL_BYTES, "name a file")
    from converters.packing.pack import pack

    packed = pack(content)
    write_bytes(target, packed.data)
    ratio = len(content) / len(packed.data)
    cli.say(
        f"{argv[1]}: {len(content):,} bytes → {target}: {len(packed.data):,} bytes, {ratio:.2f}×"
    )
    others = [f"zip (deflate) {len(zlib.compress(content, 9)):,}"]
    if (zstandard := _zstandard(content)) is not None:
        others.append(f"Zstandard at level 22 {zstandard:,}")
    cli.say(f"  for comparison: {', '.join(others)} bytes")
    cli.say(
        f"  of the container: weights {packed.weights:,}, codebooks, biases and scales "
        f"{packed.side:,}, graph, names and header {packed.rest:,} bytes"
    )


def _zstandard(content: bytes) -> int | None:
    try:
        import zstandard
    except ImportError:  # only a comparison
        return None
    return len(zstandard.ZstdCompressor(level=22).compress(content))


if __name__ == "__main__":
    cli.run(main, positional=True)
