"""Every artifact of a release against its own manifest: `scripts.verify --all`."""

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

_SAME = 0.001  # of accuracy: another processor rounds otherwise


@dataclass(frozen=True)
class _Release:
    """What is known of the folder before its files are looked at."""

    folder: Path
    names: Collection[str]
    measured: dict[str, FileMeasurements]
    records: Sequence[Record]


def verify_all(output: Path, wanted: Sequence[str], timeout_s: float) -> int:
    """Prints a row a file.

    Args:
        output: a release, or any --output folder.
        wanted: names of artifacts; none means all.
        timeout_s: for one look at where a file runs.

    Returns:
        1 where one is not as its manifest says, or can't be read; else 0.

    Raises:
        ZooError: there is nothing to look at, or an unknown name.
    """
    there = sorted(set(_names(output / "artifacts")))
    if not there:
        raise ZooError("no artifact to verify", where=output, remedy="give the --output folder")
    for name in wanted:
        if name not in there:
            raise UnknownNameError("artifact", name, there)
    lines = output / "results.jsonl"
    records = read_records(lines)[0] if lines.is_file() else []
    release = _Release(output, there, measured_in(output) if records else {}, records)
    wrong, provenance = 0, Provenance.here()
    with Sandbox("litert", timeout_s) as runner:
        for name in dict.fromkeys(wanted or there):
            try:
                told, reasons = _row(release, name, runner, provenance)
            except ZooError as error:
                told, reasons = "not scored", [str(error)]
            wrong += bool(reasons)
            cli.say(f"{name}: {told}: {'; '.join(reasons) or 'right'}")
    return 1 if wrong else 0


def _names(folder: Path) -> Iterator[str]:
    for path in folder.iterdir() if folder.is_dir() else ():
        name = path.name.removesuffix(CONTAINER)
        if name.endswith((".tflite", ".json")):
            yield name.rpartition(".")[0]


def _row(
    release: _Release, name: str, runner: Sandbox, provenance: Provenance
) -> tuple[str, list[str]]:
    """The accuracies, found and told, and what is wrong.

    Raises:
        ZooError: the file or its manifest can't be read.
    """
    path = release.folder / "artifacts" / f"{name}.tflite"
    if not path.with_suffix(".json").is_file():
        return "not scored", ["it has no manifest"]
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
        reasons = (
            differences(
                release.folder,
                content,
                artifact,
                placement,
                release.names,
                release.measured.get(name, FileMeasurements()),
                release.records,
            )
            if (release.folder / INDEX).is_file()
            else checks.recomputed(content, artifact, placement)
        )
        candidate = RequestedFile(path, name, sha256(content).hexdigest(), artifact)
        record = bench.score(candidate.case("litert", "xnnpack", 1), artifact, provenance)
    metrics = artifact.released.accuracies if artifact.released else ()
    said = next((each.top1 for each in metrics if each.split == "test"), None)
    if record.top1 is None:
        reasons = [*record.reasons, *reasons]
    elif said is None:
        reasons = ["its manifest has no accuracy to compare with", *reasons]
    elif abs(record.top1 - said) > _SAME:
        reasons = [f"over {100 * _SAME:g} point apart", *reasons]
    return f"top-1 {_percent(record.top1)}, its manifest says {_percent(said)}", reasons


def _percent(share: float | None) -> str:
    return "nothing" if share is None else f"{100 * share:.2f} %"
