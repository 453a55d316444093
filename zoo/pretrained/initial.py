"""What --init_from and --weights name: public weights, a Deep Compression file, a finished run."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from zoo.catalog import model_spec
from zoo.errors import ZooError
from zoo.io.files import read_bytes
from zoo.io.tf_import import import_tensorflow
from zoo.pretrained import deep_compression, resolve, transfer
from zoo.pretrained import public as weights

SUFFIX = ".net"


def public(value: str, file: Path | None = None) -> transfer.Initial:
    """Named public weights, or any Deep Compression file of SqueezeNet 1.0.

    Args:
        value: a name of `zoo.pretrained.public.WEIGHTS`, or the path of a `.net` file.
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


def find(value: str, output: Path, own: Collection[str] = ()) -> resolve.Initialization:
    """What --init_from names: as `public`, or as `origins.find`. Needs no TensorFlow.

    Args:
        value: as for either.
        output: the --output folder.
        own: names of the runs that will start from it.

    Raises:
        ZooError: nothing of that name, or it can't be read.
    """
    if value in weights.WEIGHTS or value.endswith(SUFFIX):
        return public(value)
    others = [*weights.WEIGHTS, f"FILE{SUFFIX}"]
    return resolve.find("--init_from", value, output, own, others)


def read(found: resolve.Initialization) -> transfer.Initial:
    """The weights of what was found. A run's import TensorFlow.

    Raises:
        ZooError: the run is none to start from, or can't be read.
    """
    if isinstance(found, transfer.Initial):
        return found
    import_tensorflow()
    return transfer.from_run(*found)


def load(value: str, output: Path, own: Collection[str] = ()) -> transfer.Initial:
    """As `find` and `read`."""
    return read(find(value, output, own))
