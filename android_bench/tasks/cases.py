"""Cases to measure: one `.tflite` file in one configuration each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import UnknownNameError, ZooError
from zoo.hub import local
from zoo.io.files import sha256_of
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_model
from zoo.schema.measurement import Configuration


@dataclass(frozen=True)
class Case:
    """One `.tflite` file in one configuration.

    Attributes:
        path: Path of the file on this computer.
        model: Name in result lines: the artifact's name, else the file's stem.
        sha256: SHA-256 of the file.
        precision: Precision from the manifest; `unknown` for a file without one.
        configuration: Runtime (`litert` or `tflite_runtime`; on a phone `benchmark_model`),
            delegate and threads. `runtime_version` is empty until the case runs.
    """

    path: Path
    model: str
    sha256: str
    precision: str
    configuration: Configuration


@dataclass(frozen=True)
class RequestedFile:
    """A requested `.tflite` file.

    Attributes:
        path: Path of the file on this computer.
        model: The artifact's name, else the file's stem.
        sha256: SHA-256 of the file.
        artifact: Its manifest; None if it has none.
    """

    path: Path
    model: str
    sha256: str
    artifact: Artifact | None

    def case(self, runtime: str, delegate: str, threads: int, cores: str = "") -> Case:
        """Returns the case of this file in one configuration."""
        return Case(
            path=self.path,
            model=self.model,
            sha256=self.sha256,
            precision=self.artifact.precision if self.artifact else "unknown",
            configuration=Configuration(
                runtime=runtime,
                runtime_version="",
                delegate=delegate,
                threads=threads,
                cores=cores,
            ),
        )


def candidates(requested: Sequence[str], folder: Path) -> list[RequestedFile]:
    """Resolves artifact names and paths of `.tflite` files.

    Args:
        requested: Names or paths; empty for all artifacts in `folder`.
        folder: Folder of the artifacts.

    Raises:
        ZooError: if a name is unknown, a file is missing, or a file does not match its manifest.
    """
    if not requested:
        paths = sorted(folder.glob("*.tflite"))
        if not paths:
            raise ZooError(
                "no artifacts",
                where=folder,
                remedy="run zoo convert first, or name artifacts with --artifact",
            )
        return [_candidate(path) for path in paths]
    return [_candidate(_resolve(name, folder)) for name in dict.fromkeys(requested)]


def _resolve(name: str, folder: Path) -> Path:
    if name.endswith(".tflite"):
        return Path(name)
    names = _names(folder.glob("*.tflite"))
    if name in names:
        return folder / f"{name}.tflite"
    try:
        return local.find(name).path  # a downloaded artifact
    except UnknownNameError:
        known = {*names, *local.models()}
        raise UnknownNameError("artifact", name, known or ["a path ending in .tflite"]) from None


def _names(paths: Iterable[Path]) -> list[str]:
    return [path.stem for path in paths]


def _candidate(path: Path) -> RequestedFile:
    if not path.is_file():
        raise ZooError(
            "the .tflite file does not exist",
            where=path,
            remedy="pass an existing file or the name of an artifact",
        )
    digest = sha256_of(path)
    manifest = path.with_suffix(".json")
    if not manifest.exists():
        return RequestedFile(path, path.stem, digest, None)
    artifact = read_model(manifest, Artifact, "the manifest", "convert the model again")
    if artifact.sha256 != digest:
        raise ZooError(
            "the .tflite file does not match its manifest",
            where=path,
            expected=f"sha256 {artifact.sha256}",
            got=digest,
            remedy="convert the model again, or delete the manifest to measure the file without it",
        )
    return RequestedFile(path, artifact.name, digest, artifact)
