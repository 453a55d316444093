"""What --init_from and --weights name: public weights, a Deep Compression file, a finished run."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from converters import deep_compression
from scripts import cli
from zoo import checkpoint_file, runs, store, transfer, weights
from zoo.catalog import model_spec
from zoo.errors import UnknownNameError, ZooError
from zoo.files import read_bytes

SUFFIX = ".net"


def public(value: str, file: Path | None = None) -> transfer.Initial:
    """Named public weights, or any Deep Compression file of SqueezeNet 1.0.

    Args:
        value: a name of `zoo.weights.WEIGHTS`, or the path of a `.net` file.
        file: where the named weights are, instead of in the cache.

    Raises:
        ZooError: an unknown name; a file that is missing or damaged, or not the named one.
    """
    if value.endswith(SUFFIX):
        if file is not None:
            raise ZooError("--weights_file is for named weights", got=value, remedy="leave it out")
        path = Path(value)
        data = read_bytes(path, "the weights", weights.MAX_BYTES, "name a .net file")
        source, model = path.name, "squeezenet_v1_0"
    else:
        row = weights.public_weights(value)
        data = weights.read(row, file)
        source, model = row.name, row.model
    decoded = deep_compression.decode(data, source)
    return transfer.Initial(
        source=source,
        sha256=sha256(data).hexdigest(),
        model=model,
        weights=decoded.weights,
        preprocessing=model_spec(model).preprocessing,
        note=f"{decoded.stored:,} of {decoded.entries:,} kernel entries stored",
    )


def load(value: str, output: Path, own: Collection[str] = ()) -> transfer.Initial:
    """What --init_from names: as `public`, a checkpoint, or a finished run.

    A run is looked for before a released checkpoint of its name; it imports TensorFlow.

    Args:
        value: as for `public`; the name of a run under OUTPUT/runs, or a run's folder; a file of
            published weights, or what it was published as, `-checkpoint` may be left out.
        output: the --output folder.
        own: names of the runs that will start from it. None is taken for what it starts from, so
            that a run called as a released checkpoint finds the same again when it goes on.

    Raises:
        ZooError: nothing of that name, or it can't be read.
    """
    if value in weights.WEIGHTS or value.endswith(SUFFIX):
        return public(value)
    if value.endswith(checkpoint_file.SUFFIX):
        return checkpoint_file.read(Path(value))
    folder = Path(value) if "/" in value else output / "runs" / value
    if not folder.is_dir() or folder.resolve() in [(output / "runs" / n).resolve() for n in own]:
        return _released(value, output)
    run = runs.load(folder)
    cli.import_tensorflow()
    return transfer.from_run(run, folder)


def _released(value: str, output: Path) -> transfer.Initial:
    name = f"{value.removesuffix(store.CHECKPOINT)}{store.CHECKPOINT}"
    places = (output, *store.places())
    try:
        found = store.find(name, places)
    except UnknownNameError as error:
        known = [each for each in store.names(places) if each.endswith(store.CHECKPOINT)]
        known += [path.parent.name for path in (output / "runs").glob("*/run.json")]
        raise UnknownNameError(
            "--init_from", value, [*weights.WEIGHTS, *known, f"FILE{SUFFIX}"]
        ) from error
    return checkpoint_file.decode(found.content, found.path.name)
