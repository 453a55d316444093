"""SqueezeNet 1.0 with its real ImageNet weights: recoded, clustered, and on grids of its own.

Grids are fitted to one half of the pictures, without labels, and scored on the other; then the
halves change places. A row's accuracy is that of all pictures, each scored by the file that has not
seen it; the larger of the two files gives its size.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np

from converters.conversion import quantize
from converters.conversion.from_keras import Conversions
from converters.conversion.quantize import Calibration
from converters.imagenet import scoring
from converters.packing.pack import packed_size
from converters.rate_distortion.replay import Replay
from converters.rate_distortion.search import Search
from converters.rate_distortion.write import Grid, integers
from converters.studies.compression_table.rows import (
    CompressionRow,
    ImageAccuracy,
    Size,
    against,
    size_of,
)
from converters.tflite import edit
from zoo.catalog import model_spec
from zoo.compression.cluster import clustered
from zoo.data import imagenet
from zoo.io.files import atomic_path, sha256_of, write_bytes
from zoo.io.log import Log
from zoo.pretrained.transfer import Initial

PART = "SqueezeNet 1.0 with its real ImageNet weights"
TARGETS = (450_000, 380_000, 340_000, 300_000)
_ALSO_INT8 = TARGETS[:2]
_CALIBRATION = 100  # pictures of a half, for the activations
_UNIFORM_STEP = 0.15  # of a kernel's standard deviation
_HALVES = ("even", "odd")


def rows(start: Initial, pictures: Path, folder: Path, log: Log) -> list[CompressionRow]:
    """All rows of the part. Files that are in the folder already are not made again.

    Args:
        start: the public weights.
        pictures: see `zoo.data.imagenet.pictures`.
        folder: for the files.
        log: gets the lines of progress.

    Raises:
        ZooError: what converting, quantizing and scoring raise.
    """
    plain = _kept(folder / "public.tflite", lambda: _converted(start))
    content = plain.read_bytes()
    files: dict[str, tuple[Path, ...]] = {
        "public": (plain,),
        "clusters64": (_kept(folder / "clusters64.tflite", lambda: _clustered(content, 64)),),
        "clusters32": (_kept(folder / "clusters32.tflite", lambda: _clustered(content, 32)),),
        "uniform": (_kept(folder / "uniform.tflite", lambda: _uniform(content)),),
    }
    files |= _fitted(content, start, pictures, folder, log)
    scores = _Scores(folder / "scores", start, pictures, log)
    scores.add([path for paths in files.values() for path in paths])
    places = {name: [scores.of(path) for path in paths] for name, paths in files.items()}
    sizes = {name: [size_of(path.read_bytes()) for path in paths] for name, paths in files.items()}
    return _rows(places, sizes)


def _fitted(
    content: bytes, start: Initial, pictures: Path, folder: Path, log: Log
) -> dict[str, tuple[Path, ...]]:
    """A file for each half of the pictures, of every target and in int8 of some."""

    def path(target: int, half: str, kind: str = "") -> Path:
        return folder / f"rate{target}{kind}-{half}.tflite"

    for number, half in enumerate(_HALVES):
        # The float32 file is written last, so that where it is the other one is too.
        missing = [target for target in TARGETS if not path(target, half).exists()]
        if not missing:
            continue
        log(f"measuring the network on the {half} pictures")
        crops = _crops(start, pictures, number)
        search = Search(content, crops, "public.tflite")
        for target in missing:
            log(f"grids for {target:,} bytes, {half} pictures")
            found = search.to_size(target, packed_size, log)
            if target in _ALSO_INT8:
                every = max(1, len(crops) // _CALIBRATION)
                seen = Calibration.of(crops[::every], model_spec(start.model).preprocessing)
                rounded = quantize.int8(found.content, seen, f"rate{target}")
                write_bytes(path(target, half, "-int8"), integers(rounded, found.layers))
            write_bytes(path(target, half), found.content)
    files = {f"rate{t}": tuple(path(t, half) for half in _HALVES) for t in TARGETS}
    return files | {
        f"rate{t}-int8": tuple(path(t, half, "-int8") for half in _HALVES) for t in _ALSO_INT8
    }


class _Scores:
    """Where the right class came, for each picture and crop, kept by the content of the file."""

    def __init__(self, folder: Path, start: Initial, pictures: Path, log: Log):
        self._start, self._pictures, self._say = start, pictures, log
        # Other pictures are other scores; a folder of them is told by its name.
        told = sha256_of(pictures) if pictures.is_file() else str(pictures.resolve())
        self._folder = folder / sha256(told.encode()).hexdigest()[:16]

    def add(self, files: list[Path]) -> None:
        """Scores the files that are not known yet."""
        missing = [path for path in files if not self._kept(path).exists()]
        if not missing:
            return
        found = scoring.score(self._start, self._pictures, [], missing, None, self._say)
        for path in missing:
            with atomic_path(self._kept(path)) as temporary:
                np.save(temporary, found.places[str(path)], allow_pickle=False)

    def of(self, path: Path) -> np.ndarray:
        """(pictures, crops): how many classes came before the right one."""
        return np.asarray(np.load(self._kept(path), allow_pickle=False))

    def _kept(self, path: Path) -> Path:
        return self._folder / f"{sha256_of(path)}.npy"


def _rows(
    places: dict[str, list[np.ndarray]], sizes: dict[str, list[Size]]
) -> list[CompressionRow]:
    reference = places["public"][0]

    def row(key: str, name: str, how: str) -> CompressionRow:
        return CompressionRow(
            part=PART,
            name=name,
            how=how,
            size=max(sizes[key], key=lambda size: size.container),
            accuracies=_accuracies(places[key], reference),
        )

    found = [
        CompressionRow(
            part=PART,
            name="SqueezeNet",
            reason="no weights but the compressed ones are public here; those are the next row",
        ),
        row(
            "public",
            "SqueezeNet, Deep Compression, 8 bit",
            "the public file's weights (675,763 bytes as published), bit by bit, as float32",
        ),
        row("clusters64", "k-means, 64 values a layer", "the baseline; zeros kept, no fine-tuning"),
        row("clusters32", "k-means, 32 values a layer", "likewise"),
        row("uniform", "uniform step of 0.15 σ", "rounding to the nearest, per layer"),
    ]
    for target in TARGETS:
        how = f"rate–distortion, at most {target / 1e6:.2f} MB"
        six_bit = target == max(TARGETS)
        name = "SqueezeNet, Deep Compression, 6 bit" if six_bit else how
        how = f"{how}; no labels, no fine-tuning" if six_bit else "as above"
        found.append(row(f"rate{target}", name, how))
        if target in _ALSO_INT8:
            how = "activations in int8 too; the codes are the weights"
            found.append(row(f"rate{target}-int8", "the same as an int8 .tflite", how))
    return found


def _accuracies(places: list[np.ndarray], reference: np.ndarray) -> tuple[ImageAccuracy, ...]:
    odd = np.arange(len(reference)) % 2 == 1
    if len(places) == 1:
        return (_accuracy(places[0], reference, ""),)
    # The file of the even pictures is scored on the odd ones.
    crossed = np.where(odd[:, np.newaxis], places[0], places[1])
    return (
        _accuracy(crossed, reference, ""),
        _accuracy(places[0][odd], reference[odd], "fitted to even, scored on odd"),
        _accuracy(places[1][~odd], reference[~odd], "fitted to odd, scored on even"),
    )


def _accuracy(places: np.ndarray, reference: np.ndarray, note: str) -> ImageAccuracy:
    found = against((places < 1).mean(axis=1), (reference < 1).mean(axis=1), note)
    return found.model_copy(update={"top5": float((places < 5).mean())})


def _kept(path: Path, make: Callable[[], bytes]) -> Path:
    if not path.exists():
        write_bytes(path, make())
    return path


def _converted(start: Initial) -> bytes:
    from zoo.catalog import build, published_config
    from zoo.pretrained.transfer import apply

    spec = model_spec(start.model)
    model = build(published_config(spec))
    apply(model, spec.name, start, spec.preprocessing)
    none = np.zeros((0, *spec.input_shape), np.float32)
    return Conversions(model, Calibration.of(none, spec.preprocessing)).flatbuffer("float32")


def _crops(start: Initial, pictures: Path, half: int) -> np.ndarray:
    spec = model_spec(start.model)
    height, width, _ = spec.input_shape
    crops = [
        imagenet.central_crops(imagenet.decode(picture), height, width)[0]
        for number, picture in enumerate(imagenet.pictures(pictures))
        if number % 2 == half
    ]
    return imagenet.normalize(np.stack(crops), spec.preprocessing)


def _clustered(content: bytes, count: int) -> bytes:
    return _changed(content, lambda w: clustered(w, count, zeros=True, per_channel=False))


def _uniform(content: bytes) -> bytes:
    def rounded(weights: np.ndarray) -> np.ndarray:
        step = _UNIFORM_STEP * float(weights.std())
        return Grid(np.rint(weights / step).astype(np.int16), step).values

    return _changed(content, rounded)


def _changed(content: bytes, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    replay = Replay(content, "public.tflite")
    model = edit.unpacked(content)
    for layer in replay.layers:
        values = change(replay.constants[layer.weight])
        tensor = model.subgraphs[0].tensors[layer.weight]
        tensor.buffer = edit.add_buffer(model, values.astype(np.float32))
    return edit.packed(model)
