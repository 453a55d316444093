"""Packs a .tflite file into a smaller container, without loss.

    zoo pack output/artifacts/squeezenet_v1_1-int8.tflite --output_file=model.ztfl

Prints both sizes, those of zip and Zstandard for comparison, and what the container's bytes are
spent on. `zoo unpack` restores the file byte for byte. Any file can be packed, but only .tflite
files become much smaller than with general compressors.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes, write_bytes

FLAGS = flags.FLAGS
flags.DEFINE_string("output_file", None, "container to write")


def main(argv: list[str]) -> None:
    """Packs the file."""
    if len(argv) != 2:
        raise ZooError(
            "exactly one file is required",
            expected="FILE --output_file=FILE",
            got=" ".join(argv[1:]) or "none",
        )
    target = Path(cli.required("output_file"))
    content = read_bytes(
        Path(argv[1]), "the file to pack", MAX_MODEL_BYTES, "pass an existing file"
    )
    from converters.packing.pack import pack

    packed = pack(content)
    write_bytes(target, packed.data)
    ratio = len(content) / len(packed.data)
    cli.say(
        f"{argv[1]}: {len(content):,} bytes → {target}: {len(packed.data):,} bytes, "
        f"ratio {ratio:.2f}"
    )
    others = [f"zip (deflate) {len(zlib.compress(content, 9)):,}"]
    if (zstandard := _zstandard(content)) is not None:
        others.append(f"Zstandard at level 22 {zstandard:,}")
    cli.say(f"  for comparison: {', '.join(others)} bytes")
    cli.say(
        f"  container: weights {packed.weights:,}, codebooks, biases and scales {packed.side:,}, "
        f"graph, names and header {packed.rest:,} bytes"
    )


def _zstandard(content: bytes) -> int | None:
    try:
        import zstandard
    except ImportError:  # only a comparison
        return None
    return len(zstandard.ZstdCompressor(level=22).compress(content))


if __name__ == "__main__":
    cli.run(main, positional=True)
