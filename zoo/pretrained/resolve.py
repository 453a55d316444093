"""Resolves --init_from and --teacher to a finished run or a published checkpoint."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from zoo import runs
from zoo.errors import UnknownNameError
from zoo.hub import local
from zoo.pretrained import checkpoint, transfer
from zoo.schema.artifact import Artifact
from zoo.schema.run import Run

Initialization = tuple[Run, Path] | transfer.Initial


def find(
    flag: str, value: str, output: Path, own: Collection[str] = (), others: Collection[str] = ()
) -> Initialization:
    """Finds a run and its folder, or a checkpoint.

    A run takes precedence over a released checkpoint of the same name.

    Args:
        flag: Name of the flag, shown in error messages.
        value: One of: the name of a run under OUTPUT/runs; the folder of a run; the path of a
            checkpoint file; the name of a released checkpoint, with or without `-checkpoint`; the
            name of an artifact, for the run it was made from.
        output: The --output folder.
        own: Names of the runs that will start from the result. They are ignored in the search, so
            a run with the name of a released checkpoint finds that checkpoint again when it is
            resumed.
        others: Further values that the flag accepts, for the error message.

    Raises:
        ZooError: if nothing has that name or the file is unreadable.
    """
    if value.endswith(checkpoint.SUFFIX):
        return checkpoint.read(Path(value))
    places = (output, *local.places())
    match = _named(value, output, own, places)
    if match is None and (parent := _parent(value, places)):
        match = _named(parent, output, own, places)
    if match is not None:
        return match
    known = [name for name in local.names(places) if name.endswith(local.CHECKPOINT)]
    known += [path.parent.name for path in (output / "runs").glob("*/run.json")]
    raise UnknownNameError(flag, value, [*others, *known])


def sha256(source: Initialization) -> str:
    """Returns the SHA-256 of the file of weights of a result of `find`."""
    return source.sha256 if isinstance(source, transfer.Initial) else source[0].weights_sha256


def _named(
    name: str, output: Path, own: Collection[str], places: tuple[Path, ...]
) -> Initialization | None:
    folder = Path(name) if "/" in name else output / "runs" / name
    own_folders = [(output / "runs" / run).resolve() for run in own]
    if folder.is_dir() and folder.resolve() not in own_folders:
        return runs.load(folder), folder
    try:
        file = local.find(f"{name.removesuffix(local.CHECKPOINT)}{local.CHECKPOINT}", places)
    except UnknownNameError:
        return None
    return checkpoint.decode(file.content, file.path.name)


def _parent(name: str, places: tuple[Path, ...]) -> str:
    """Returns the name of the run an artifact was made from, or "" if there is no such artifact."""
    try:
        manifest = local.find(name, places).manifest
    except UnknownNameError:
        return ""
    return Path(manifest.parent_run).name if isinstance(manifest, Artifact) else ""
