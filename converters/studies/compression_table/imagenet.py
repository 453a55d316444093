"""SqueezeNet 1.0 with its real ImageNet weights: recoded, clustered and quantized to target sizes.

Rate–distortion quantization is fitted to one half of the images, without labels, and scored on the
other half; then the halves are swapped. The accuracy of a row covers all images, each scored by the
file that was not fitted to it. Its size is that of the larger file.
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
from zoo.catalog.precisions import BASE
from zoo.compression.cluster import clustered
from zoo.data import imagenet
from zoo.io.files import atomic_path, sha256_of, write_bytes
from zoo.io.log import Log
from zoo.pretrained.transfer import Initial

PART = "SqueezeNet 1.0 with its real ImageNet weights"
TARGETS = (450_000, 380_000, 340_000, 300_000)
_ALSO_INT8 = TARGETS[:2]
_CALIBRATION = 100  # images of a half, to calibrate the activations
_UNIFORM_STEP = 0.15  # relative to the standard deviation of a kernel
_HALVES = ("even", "odd")


def rows(start: Initial, images: Path, folder: Path, log: Log) -> list[CompressionRow]:
    """Returns all rows of this part. Existing files in the folder are reused.

    Args:
        start: Public weights.
        images: Labeled images, see `zoo.data.imagenet.read_images`.
        folder: Folder for compressed files and scores.
        log: Called with progress messages.

    Raises:
        ZooError: if converting, quantizing or scoring fails.
    """
    plain = _cached(folder / "public.tflite", lambda: _converted(start))
    content = plain.read_bytes()
    files: dict[str, tuple[Path, ...]] = {
        "public": (plain,),
        "clusters64": (_cached(folder / "clusters64.tflite", lambda: _clustered(content, 64)),),
        "clusters32": (_cached(folder / "clusters32.tflite", lambda: _clustered(content, 32)),),
        "uniform": (_cached(folder / "uniform.tflite", lambda: _uniform(content)),),
    }
    files |= _fitted(content, start, images, folder, log)
    scores = _Scores(folder / "scores", start, images, log)
    scores.add([path for paths in files.values() for path in paths])
    places = {name: [scores.of(path) for path in paths] for name, paths in files.items()}
    sizes = {name: [size_of(path.read_bytes()) for path in paths] for name, paths in files.items()}
    return _rows(places, sizes)


def _fitted(
    content: bytes, start: Initial, images: Path, folder: Path, log: Log
) -> dict[str, tuple[Path, ...]]:
    """Returns two files per target, one fitted to each half of the images, some also in int8."""

    def path(target: int, half: str, kind: str = "") -> Path:
        return folder / f"rate{target}{kind}-{half}.tflite"

    for number, half in enumerate(_HALVES):
        # The float32 file is written last, so if it exists, the int8 file does too.
        missing = [target for target in TARGETS if not path(target, half).exists()]
        if not missing:
            continue
        log(f"measuring the network on the {half} images")
        crops = _crops(start, images, number)
        search = Search(content, crops, "public.tflite")
        for target in missing:
            log(f"quantizing to {target:,} bytes, {half} images")
            quantized = search.to_size(target, packed_size, log)
            if target in _ALSO_INT8:
                stride = max(1, len(crops) // _CALIBRATION)
                calibration = Calibration.of(crops[::stride], model_spec(start.model).preprocessing)
                int8 = quantize.int8(quantized.content, calibration, f"rate{target}")
                write_bytes(path(target, half, "-int8"), integers(int8, quantized.layers))
            write_bytes(path(target, half), quantized.content)
    files = {f"rate{t}": tuple(path(t, half) for half in _HALVES) for t in TARGETS}
    return files | {
        f"rate{t}-int8": tuple(path(t, half, "-int8") for half in _HALVES) for t in _ALSO_INT8
    }


class _Scores:
    """Cache of the ranks of the correct classes, keyed by the content of each file."""

    def __init__(self, folder: Path, start: Initial, images: Path, log: Log):
        self._start, self._images, self._log = start, images, log
        # Scores depend on the images. A folder of images is identified by its path.
        identity = sha256_of(images) if images.is_file() else str(images.resolve())
        self._folder = folder / sha256(identity.encode()).hexdigest()[:16]

    def add(self, files: list[Path]) -> None:
        """Scores the files that are not in the cache."""
        missing = [path for path in files if not self._cache_path(path).exists()]
        if not missing:
            return
        scores = scoring.score(self._start, self._images, [], missing, None, self._log)
        for path in missing:
            with atomic_path(self._cache_path(path)) as temporary:
                np.save(temporary, scores.places[str(path)], allow_pickle=False)

    def of(self, path: Path) -> np.ndarray:
        """Returns how many classes rank above the correct one, integers (images, crops)."""
        return np.asarray(np.load(self._cache_path(path), allow_pickle=False))

    def _cache_path(self, path: Path) -> Path:
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

    table = [
        CompressionRow(
            part=PART,
            name="SqueezeNet",
            reason="no uncompressed weights are available here; the next row has compressed ones",
        ),
        row(
            "public",
            "SqueezeNet, Deep Compression, 8 bit",
            "the public file's weights (675,763 bytes as published), bit by bit, as float32",
        ),
        row("clusters64", "k-means, 64 values per layer", "baseline; zeros kept, no fine-tuning"),
        row("clusters32", "k-means, 32 values per layer", "as above"),
        row("uniform", "uniform step of 0.15 σ", "rounding to nearest, one step per layer"),
    ]
    for target in TARGETS:
        how = f"rate–distortion, at most {target / 1e6:.2f} MB"
        six_bit = target == max(TARGETS)
        name = "SqueezeNet, Deep Compression, 6 bit" if six_bit else how
        how = f"{how}; no labels, no fine-tuning" if six_bit else "as above"
        table.append(row(f"rate{target}", name, how))
        if target in _ALSO_INT8:
            how = "activations also in int8; the codes are stored as weights"
            table.append(row(f"rate{target}-int8", "the same as an int8 .tflite", how))
    return table


def _accuracies(places: list[np.ndarray], reference: np.ndarray) -> tuple[ImageAccuracy, ...]:
    odd = np.arange(len(reference)) % 2 == 1
    if len(places) == 1:
        return (_accuracy(places[0], reference, ""),)
    # Each file is scored on the half that it was not fitted to.
    crossed = np.where(odd[:, np.newaxis], places[0], places[1])
    return (
        _accuracy(crossed, reference, ""),
        _accuracy(places[0][odd], reference[odd], "fitted to even, scored on odd"),
        _accuracy(places[1][~odd], reference[~odd], "fitted to odd, scored on even"),
    )


def _accuracy(places: np.ndarray, reference: np.ndarray, note: str) -> ImageAccuracy:
    accuracy = against((places < 1).mean(axis=1), (reference < 1).mean(axis=1), note)
    return accuracy.model_copy(update={"top5": float((places < 5).mean())})


def _cached(path: Path, make: Callable[[], bytes]) -> Path:
    if not path.exists():
        write_bytes(path, make())
    return path


def _converted(start: Initial) -> bytes:
    from zoo.catalog import build, published_config
    from zoo.pretrained.transfer import apply

    spec = model_spec(start.model)
    model = build(published_config(spec))
    apply(model, spec.name, start, spec.preprocessing)
    unused = np.zeros((0, *spec.input_shape), np.float32)  # float32 needs no calibration
    return Conversions(model, Calibration.of(unused, spec.preprocessing)).flatbuffer(BASE)


def _crops(start: Initial, images: Path, half: int) -> np.ndarray:
    spec = model_spec(start.model)
    height, width, _ = spec.input_shape
    crops = [
        imagenet.central_crops(imagenet.decode(image), height, width)[0]
        for number, image in enumerate(imagenet.read_images(images))
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
