"""What --init_from and --teacher name: a finished run, or what was published of one."""

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
    """A run and its folder, or a checkpoint.

    A run is looked for before a released checkpoint of its name.

    Args:
        flag: that gave the value, for messages.
        value: the name of a run under OUTPUT/runs, or a run's folder; a file of published weights,
            or what it was published as, `-checkpoint` may be left out; an artifact, which stands
            for the run that it was made from.
        output: the --output folder.
        own: names of the runs that will be made with it. None is taken for what it begins with, so
            that a run called as a released checkpoint finds the same again when it goes on.
        others: what else the flag may name.

    Raises:
        ZooError: nothing of that name, or it can't be read.
    """
    if value.endswith(checkpoint.SUFFIX):
        return checkpoint.read(Path(value))
    places = (output, *local.places())
    found = _named(value, output, own, places)
    if found is None and (parent := _parent(value, places)):
        found = _named(parent, output, own, places)
    if found is not None:
        return found
    known = [each for each in local.names(places) if each.endswith(local.CHECKPOINT)]
    known += [path.parent.name for path in (output / "runs").glob("*/run.json")]
    raise UnknownNameError(flag, value, [*others, *known])


def sha256(found: Initialization) -> str:
    """Of the file of weights."""
    return found.sha256 if isinstance(found, transfer.Initial) else found[0].weights_sha256


def _named(
    name: str, output: Path, own: Collection[str], places: tuple[Path, ...]
) -> Initialization | None:
    folder = Path(name) if "/" in name else output / "runs" / name
    mine = [(output / "runs" / each).resolve() for each in own]
    if folder.is_dir() and folder.resolve() not in mine:
        return runs.load(folder), folder
    try:
        found = local.find(f"{name.removesuffix(local.CHECKPOINT)}{local.CHECKPOINT}", places)
    except UnknownNameError:
        return None
    return checkpoint.decode(found.content, found.path.name)


def _parent(name: str, places: tuple[Path, ...]) -> str:
    """The run that an artifact was made from; empty where there is no such artifact."""
    try:
        manifest = local.find(name, places).manifest
    except UnknownNameError:
        return ""
    return Path(manifest.parent_run).name if isinstance(manifest, Artifact) else ""
