"""Adds release data to a manifest: sizes, measurements, commands and licenses."""

from __future__ import annotations

import io
import shlex
import zipfile
from collections.abc import Iterable

from converters.packing.pack import packed_size
from converters.release.checks import pixels_range
from zoo.catalog import model_spec
from zoo.schema.artifact import Artifact, EngineResult, Metric, Range, Released, TensorInfo, Timing
from zoo.schema.measurement import ConvertRecord, Record, TrainRecord

_LICENSE = "Apache-2.0"
# Terms stated by the dataset publishers. No further terms are known for trained weights.
DATA_LICENSES = {
    "fashion_mnist": "MIT (Zalando SE)",
    "digits": "CC BY 4.0 (UCI repository, by way of scikit-learn)",
    "cifar10_jpeg": "none stated; from CIFAR-10, cite Krizhevsky 2009",
    "cifar10": "none stated; cite Krizhevsky 2009",
    "cifar100": "none stated; cite Krizhevsky 2009",
    "imagenette": "that of ImageNet: for research, not for sale",
    "imagenet": "ImageNet's terms: for research, not for sale",
}
_LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


def labels_path(artifact: Artifact) -> str:
    """Returns the path of the labels file in a release.

    Labels are shared per dataset, except for the user's own images, where each run has its own.
    """
    suffix = f"-{artifact.parent_run}" if artifact.dataset == "image_folder" else ""
    return f"labels/{artifact.dataset}{suffix}.txt"


def labels_text(artifact: Artifact) -> str:
    """Returns the content of the labels file: one class name per line, in output order."""
    return "".join(f"{label}\n" for label in artifact.labels)


def released(
    content: bytes,
    artifact: Artifact,
    parent: str | None,
    accuracies: tuple[Metric, ...],
    timings: tuple[Timing, ...],
    engines: tuple[EngineResult, ...],
    lines: Iterable[Record],
) -> Released:
    """Returns the part of a manifest that a release adds.

    Args:
        content: The `.tflite`.
        artifact: Its manifest. If it has a `released` part, the packed size is taken from there.
        parent: Name of the float32 artifact of the same network.
        accuracies: Measured accuracies of this file.
        timings: Measured latencies of this file.
        engines: What other engines computed of it.
        lines: Result lines about this file, its run and the runs before it; they supply the
            commands.
    """
    previous = artifact.released
    spec = model_spec(artifact.model)
    pixels = pixels_range(artifact)
    return Released(
        zip_bytes=_zipped(content),
        container_bytes=previous.container_bytes if previous else packed_size(content),
        parent=None if parent == artifact.name else parent,
        input_range=_range(artifact.inputs[0])
        or (Range(low=round(pixels[0], 4), high=round(pixels[1], 4)) if pixels else None),
        output_range=_range(artifact.outputs[0]),
        labels=labels_path(artifact),
        accuracies=accuracies,
        timings=timings,
        engines=engines,
        published=tuple(
            f"top-1 {p.top1:g} % on {p.dataset}" + (f" ({p.source})" if p.source else "")
            for p in spec.published
        ),
        commands=_commands(lines),
        paper=spec.paper,
        license_code=spec.license,
        license_weights=_LICENSE,
        license_data=DATA_LICENSES.get(artifact.dataset, "not known: the user's own pictures"),
    )


def _commands(lines: Iterable[Record]) -> tuple[str, ...]:
    records = (line for line in lines if isinstance(line, TrainRecord | ConvertRecord))
    return tuple(dict.fromkeys(shlex.join(record.command) for record in records))


def _zipped(content: bytes) -> int:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as files:
        files.writestr(zipfile.ZipInfo("model.tflite"), content, zipfile.ZIP_DEFLATED, 9)
    return len(archive.getvalue())


def _range(tensor: TensorInfo) -> Range | None:
    if tensor.scale is None or tensor.zero_point is None or tensor.dtype not in _LIMITS:
        return None
    low, high = (
        round(tensor.scale * (limit - tensor.zero_point), 4) for limit in _LIMITS[tensor.dtype]
    )
    return Range(low=low, high=high)
