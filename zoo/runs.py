"""Run folders: the results that one stage hands to the next.

    OUTPUT/runs/NAME/run.json      description; written last, so a folder that has it is complete
    OUTPUT/runs/NAME/best.h5       weights of the epoch with the best validation accuracy
    OUTPUT/runs/NAME/start.h5      qat only: the initial weights
    OUTPUT/runs/NAME/plan.json     flags that it was started with; a resumed run must match
    OUTPUT/runs/NAME/epochs.csv, checkpoints/, tensorboard/

Only weights are stored, never serialized code: the network is rebuilt from the catalog.
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
    """Reads the finished run in a folder and checks the hash of its weights.

    Raises:
        ZooError: if there is no such run, it is unfinished or damaged, or the hash of its weights
            differs.
    """
    remedy = "run zoo train first, or name a finished run with --run"
    if not folder.is_dir():
        finished = sorted(p.parent.name for p in folder.parent.glob("*/run.json"))
        raise ZooError(
            "no such run",
            where=folder,
            expected=f"one of {', '.join(finished)}" if finished else None,
            remedy=remedy,
        )
    if not (folder / "run.json").exists():
        raise ZooError(
            "the run is not finished",
            where=folder,
            remedy="run the same command again to resume after the last epoch",
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
    """Prepares a run folder for a new or a resumed run.

    Args:
        folder: The run folder; it is created if it is missing.
        plan: Flags and inputs that determine the run, as JSON values.

    Returns:
        True if the run is already finished.

    Raises:
        ZooError: if the folder contains a run with a different or an unreadable plan.
    """
    path = folder / "plan.json"
    text = json.dumps(plan, indent=1, sort_keys=True) + "\n"
    if path.exists():
        old, new = _plan(path), json.loads(text)
        # Plans written by earlier versions lack the fields that were added since.
        for field in dataclasses.fields(Recipe):
            if field.name in new and field.default is not dataclasses.MISSING:
                old.setdefault(field.name, field.default)
        differing = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
        if differing:
            first = differing[0]
            raise ZooError(
                f"the folder contains a run with different {', '.join(differing)}",
                where=folder,
                expected=f"{first}={old.get(first)!r}",
                got=f"{first}={new.get(first)!r}",
                remedy="use the flags of that run, choose another --name, or delete the folder",
            )
    else:
        write_text(path, text)
    return (folder / "run.json").exists()


def _plan(path: Path) -> dict[str, object]:
    remedy = f"delete {path.parent} and run the command again"
    try:
        plan = json.loads(read_bytes(path, "the run's plan", 2**20, remedy))
        if isinstance(plan, dict):
            return plan
        problem = "not a JSON object"
    except ValueError as error:
        problem = str(error)
    raise ZooError("the run's plan is not valid", where=path, got=problem, remedy=remedy)


@contextmanager
def beginning(folder: Path) -> Iterator[None]:
    """Undoes `begin` if the block raises a `ZooError` before there is a checkpoint.

    Otherwise the stored plan would reject the corrected command.
    """
    try:
        yield
    except ZooError:
        _forget(folder)
        raise


def _forget(folder: Path) -> None:
    initial = [folder / "plan.json", folder / "start.h5"]
    if all(path in initial or path.is_dir() for path in folder.rglob("*")):
        for path in initial:
            path.unlink(missing_ok=True)
        for empty in (folder / "checkpoints", folder / "tensorboard", folder):
            with suppress(OSError):  # missing, or already removed by another worker
                empty.rmdir()


def save(folder: Path, run: Run) -> None:
    """Writes `run.json`, which marks the run as finished."""
    write_text(folder / "run.json", run.model_dump_json(indent=1) + "\n")


def keras_model(run: Run, folder: Path) -> tf_keras.Model:
    """Rebuilds the run's network and loads its weights. Imports TensorFlow.

    Raises:
        ZooError: if the weights do not fit the network, or the initial weights of a qat run are
            missing or were replaced.
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
    remedy = "delete the run's folder and repeat the command that created it"
    if run.start is None:
        raise ZooError("an earlier version created this qat run", where=folder, remedy=remedy)
    path = folder / Path(run.start).name
    read_bytes(path, "the initial weights of the run", 2**30, remedy)
    if sha256_of(path) != run.start_sha256:
        raise ZooError(
            "the initial weights of the run are damaged or were replaced",
            where=path,
            expected=f"sha256 {run.start_sha256}",
            remedy=remedy,
        )
    return path


def save_weights(model: tf_keras.Model, path: Path) -> None:
    """Atomically writes weights as HDF5, in the format of `model.save_weights`.

    The file is assembled in memory, since the HDF5 library crashes the process on a full disk.

    Raises:
        OSError: if the file can't be written; an existing file is left unchanged.
    """
    import h5py
    from tf_keras.src.saving.legacy import hdf5_format  # no public API takes an open file

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        hdf5_format.save_weights_to_hdf5_group(file, model)
    write_bytes(path, content.getvalue())


def load_weights(model: tf_keras.Model, path: Path) -> None:
    """Loads HDF5 weights into a model.

    Raises:
        ZooError: if the file is unreadable or belongs to another network.
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
