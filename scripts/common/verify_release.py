"""Verifies every artifact of a release against its manifest; run as `zoo verify --all`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from android_bench.host import bench
from android_bench.tasks.cases import RequestedFile
from converters.release import checks, read
from converters.release.build import FileMeasurements
from converters.release.measured import measured_in
from converters.release.verify import differences
from scripts.common import cli
from zoo.errors import UnknownNameError, ZooError
from zoo.io.files import write_bytes
from zoo.io.provenance import Provenance
from zoo.runtime.sandbox import Sandbox
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_records
from zoo.schema.measurement import Record
from zoo.schema.release import CONTAINER, INDEX

_TOLERANCE = 0.001  # of the accuracy: rounding depends on the processor


@dataclass(frozen=True)
class _Release:
    """A release, or any --output folder.

    Attributes:
        folder: Path of the folder.
        names: Names of all artifacts.
        measured: Artifact name → measurements.
        records: Result lines.
    """

    folder: Path
    names: Collection[str]
    measured: dict[str, FileMeasurements]
    records: Sequence[Record]


def verify_release(output: Path, artifacts: Sequence[str], timeout_s: float) -> int:
    """Prints one line per artifact.

    Args:
        output: A release, or any --output folder.
        artifacts: Names of the artifacts to verify; empty for all.
        timeout_s: Timeout for finding out where a file runs, in seconds.

    Returns:
        1 if an artifact does not match its manifest or can't be read, else 0.

    Raises:
        ZooError: if there are no artifacts, or a name is unknown.
    """
    available = sorted(set(_names(output / "artifacts")))
    if not available:
        raise ZooError(
            "no artifacts",
            where=output / "artifacts",
            remedy="run zoo convert first, or pass a release as --output",
        )
    for name in artifacts:
        if name not in available:
            raise UnknownNameError("artifact", name, available)
    lines = output / "results.jsonl"
    records = read_records(lines)[0] if lines.is_file() else []
    release = _Release(output, available, measured_in(output) if records else {}, records)
    failures, provenance = 0, Provenance.here()
    with Sandbox("litert", timeout_s) as runner:
        for name in dict.fromkeys(artifacts or available):
            try:
                accuracies, problems = _row(release, name, runner, provenance)
            except ZooError as error:
                accuracies, problems = "no test accuracy", [str(error)]
            failures += bool(problems)
            cli.say(f"{name}: {accuracies}: {'; '.join(problems) or 'ok'}")
    return 1 if failures else 0


def _names(folder: Path) -> Iterator[str]:
    for path in folder.iterdir() if folder.is_dir() else ():
        name = path.name.removesuffix(CONTAINER)
        if name.endswith((".tflite", ".json")):
            yield name.rpartition(".")[0]


def _row(
    release: _Release, name: str, runner: Sandbox, provenance: Provenance
) -> tuple[str, list[str]]:
    """Returns the measured and the stated accuracy as text, and the problems.

    Raises:
        ZooError: if the file or its manifest can't be read.
    """
    path = release.folder / "artifacts" / f"{name}.tflite"
    if not path.with_suffix(".json").is_file():
        return "no test accuracy", ["the manifest is missing"]
    artifact = read.manifest(path.with_suffix(".json"), Artifact)
    content = read.content(path)
    with TemporaryDirectory() as unpacked:
        if not path.is_file():
            path = Path(unpacked) / path.name
            write_bytes(path, content)
        try:
            placement = runner.placement(path)
        except ZooError:
            placement = None
        if (release.folder / INDEX).is_file():
            own = release.measured.get(name, FileMeasurements())
            problems = differences(
                release.folder, content, artifact, placement, release.names, own, release.records
            )
        else:
            problems = checks.recomputed(content, artifact, placement)
        candidate = RequestedFile(path, name, sha256(content).hexdigest(), artifact)
        record = bench.score(candidate.case("litert", "xnnpack", 1), artifact, provenance)
    metrics = artifact.released.accuracies if artifact.released else ()
    stated = next((metric.top1 for metric in metrics if metric.split == "test"), None)
    if record.top1 is None:
        problems = [*record.reasons, *problems]
    elif stated is None:
        problems = ["the manifest has no accuracy to compare with", *problems]
    elif abs(record.top1 - stated) > _TOLERANCE:
        problems = [f"the accuracies differ by more than {100 * _TOLERANCE:g} points", *problems]
    return f"top-1 {_percent(record.top1)}, manifest {_percent(stated)}", problems


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.2f} %"
