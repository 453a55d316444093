"""What is to be measured: a case is one `.tflite` in one configuration."""

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
    """One `.tflite` to be run in one configuration.

    Attributes:
        path: the file on this computer.
        model: its name in result lines (the artifact's name, else the file's stem).
        sha256: of the file.
        precision: as the manifest says, `unknown` for a file without one.
        configuration: runtime (`litert`, `tflite_runtime`; on a phone `benchmark_model`), delegate,
            threads. `runtime_version` is filled in by what runs the case.
    """

    path: Path
    model: str
    sha256: str
    precision: str
    configuration: Configuration


@dataclass(frozen=True)
class RequestedFile:
    """A `.tflite` that was asked for, and its manifest where it has one."""

    path: Path
    model: str
    sha256: str
    artifact: Artifact | None

    def case(self, runtime: str, delegate: str, threads: int, cores: str = "") -> Case:
        """This file in one configuration."""
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


def candidates(wanted: Sequence[str], folder: Path) -> list[RequestedFile]:
    """Resolves artifact names and paths of `.tflite` files; nothing named means every artifact.

    Raises:
        ZooError: an unknown name, a missing file, or a file that is not what its manifest says.
    """
    if not wanted:
        paths = sorted(folder.glob("*.tflite"))
        if not paths:
            raise ZooError(
                "no artifact to measure",
                where=folder,
                remedy="run python -m scripts.convert first, or name files with --artifact",
            )
        return [_candidate(path) for path in paths]
    return [_candidate(_resolve(name, folder)) for name in dict.fromkeys(wanted)]


def _resolve(name: str, folder: Path) -> Path:
    if name.endswith(".tflite"):
        return Path(name)
    names = _names(folder.glob("*.tflite"))
    if name in names:
        return folder / f"{name}.tflite"
    try:
        return local.find(name).path  # a downloaded one
    except UnknownNameError:
        known = {*names, *local.names()}
        raise UnknownNameError("artifact", name, known or ["a path ending in .tflite"]) from None


def _names(paths: Iterable[Path]) -> list[str]:
    return [path.stem for path in paths]


def _candidate(path: Path) -> RequestedFile:
    if not path.is_file():
        raise ZooError("no such .tflite", where=path, remedy="name an existing file or an artifact")
    digest = sha256_of(path)
    manifest = path.with_suffix(".json")
    if not manifest.exists():
        return RequestedFile(path, path.stem, digest, None)
    artifact = read_model(manifest, Artifact, "the manifest", "convert the model again")
    if artifact.sha256 != digest:
        raise ZooError(
            "the .tflite is not the one its manifest describes",
            where=path,
            expected=f"sha256 {artifact.sha256}",
            got=digest,
            remedy="convert the model again, or delete the manifest to measure it unnamed",
        )
    return RequestedFile(path, artifact.name, digest, artifact)
