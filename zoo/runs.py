"""Run folders: what a stage leaves for the next one.

    OUTPUT/runs/NAME/run.json      what it is; written last, so a folder with it is complete
    OUTPUT/runs/NAME/best.h5       weights of the epoch that validated best
    OUTPUT/runs/NAME/start.h5      of qat: the weights that it started with
    OUTPUT/runs/NAME/plan.json     the flags it was started with; a resumed run must match
    OUTPUT/runs/NAME/epochs.csv, checkpoints/, tensorboard/

Weights alone are stored, never serialized code: the network is rebuilt from the catalog.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.catalog import build
from zoo.errors import ZooError
from zoo.io.files import read_bytes, sha256_of, write_bytes, write_text
from zoo.schema.json_files import read_model
from zoo.schema.recipe import Recipe
from zoo.schema.run import Run

if TYPE_CHECKING:
    import tf_keras


def load(folder: Path) -> Run:
    """The finished run in a folder, with its weights' hash checked.

    Raises:
        ZooError: no such run, unfinished, damaged, or weights of another hash.
    """
    remedy = "run python -m scripts.train first, or name a finished run with --run"
    if not folder.is_dir():
        near = sorted(p.parent.name for p in folder.parent.glob("*/run.json"))
        raise ZooError(
            "no such run",
            where=folder,
            expected=f"one of {', '.join(near)}" if near else None,
            remedy=remedy,
        )
    if not (folder / "run.json").exists():
        raise ZooError(
            "the run is not finished",
            where=folder,
            remedy="run the command that started it again: it goes on from its last epoch",
        )
    run = read_model(folder / "run.json", Run, "the run's description", remedy)
    weights = folder / Path(run.weights).name
    read_bytes(weights, "the run's weights", 2**30, remedy)
    if (got := sha256_of(weights)) != run.weights_sha256:
        raise ZooError(
            "the run's weights are damaged or were replaced",
            where=weights,
            expected=f"sha256 {run.weights_sha256}",
            got=got,
            remedy="delete the run's folder and train it again",
        )
    return run


def begin(folder: Path, plan: dict[str, object]) -> bool:
    """Prepares a run folder for this plan.

    Returns:
        True where the run is finished already and nothing is left to do.

    Raises:
        ZooError: the folder holds a run with another plan, or one that can't be read.
    """
    path = folder / "plan.json"
    text = json.dumps(plan, indent=1, sort_keys=True) + "\n"
    if path.exists():
        old, new = _plan(path), json.loads(text)
        # A plan of an earlier version lacks the fields that it did not know.
        for field in dataclasses.fields(Recipe):
            if field.name in new and field.default is not dataclasses.MISSING:
                old.setdefault(field.name, field.default)
        differing = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
        if differing:
            first = differing[0]
            raise ZooError(
                f"the folder holds a run with another {', '.join(differing)}",
                where=folder,
                expected=f"{first}={old.get(first)!r}",
                got=f"{first}={new.get(first)!r}",
                remedy="give the flags it was started with, another --name, or delete the folder",
            )
    else:
        write_text(path, text)
    return (folder / "run.json").exists()


def _plan(path: Path) -> dict[str, object]:
    remedy = f"delete {path.parent} and run the command again"
    try:
        found = json.loads(read_bytes(path, "the run's plan", 2**20, remedy))
        if isinstance(found, dict):
            return found
        problem = "no object"
    except ValueError as error:
        problem = str(error)
    raise ZooError("the run's plan is not valid", where=path, got=problem, remedy=remedy)


@contextmanager
def beginning(folder: Path) -> Iterator[None]:
    """Within, an error undoes `begin` where nothing has come of it: no checkpoint yet.

    Else the plan would refuse the mended command.
    """
    try:
        yield
    except ZooError:
        _forget(folder)
        raise


def _forget(folder: Path) -> None:
    begun = [folder / "plan.json", folder / "start.h5"]
    if all(path in begun or path.is_dir() for path in folder.rglob("*")):
        for path in begun:
            path.unlink(missing_ok=True)
        for empty in (folder / "checkpoints", folder / "tensorboard", folder):
            with suppress(OSError):  # none, or another worker was faster
                empty.rmdir()


def save(folder: Path, run: Run) -> None:
    """Marks a run as finished."""
    write_text(folder / "run.json", run.model_dump_json(indent=1) + "\n")


def keras_model(run: Run, folder: Path) -> tf_keras.Model:
    """Rebuilds the run's network and loads its weights. Imports TensorFlow.

    Raises:
        ZooError: the weights do not fit the network, or those that it started with were replaced.
    """
    model = build(run.config)
    if run.low_rank is not None:
        from zoo.compression import low_rank

        model = low_rank.factorized(model, run.low_rank)
    if "qat" in run.scheme:
        from zoo.compression import qat

        load_weights(model, _start(run, folder))
        model = qat.for_qat(model)
    load_weights(model, folder / Path(run.weights).name)
    return model


def _start(run: Run, folder: Path) -> Path:
    again = "delete the run's folder and run the command that made it again"
    if run.start is None:
        raise ZooError("an earlier version made this qat run", where=folder, remedy=again)
    path = folder / Path(run.start).name
    read_bytes(path, "the weights that the run started with", 2**30, again)
    if sha256_of(path) != run.start_sha256:
        raise ZooError(
            "the weights that the run started with are damaged or were replaced",
            where=path,
            expected=f"sha256 {run.start_sha256}",
            remedy=again,
        )
    return path


def save_weights(model: tf_keras.Model, path: Path) -> None:
    """Writes HDF5 weights, as `model.save_weights` does, in one step.

    The file is made in memory: where the disk is full, HDF5 itself brings the process down.

    Raises:
        OSError: it can't be written; what was there before still is.
    """
    import h5py
    from tf_keras.src.saving.legacy import hdf5_format  # no public name takes an open file

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        hdf5_format.save_weights_to_hdf5_group(file, model)
    write_bytes(path, content.getvalue())


def load_weights(model: tf_keras.Model, path: Path) -> None:
    """Loads HDF5 weights.

    Raises:
        ZooError: unreadable, or of another network.
    """
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ZooError(
            "the weights do not fit the network",
            where=path,
            got=str(error).splitlines()[0],
            remedy="delete the run's folder and train it again",
        ) from error
