"""Resolves --init_from and --weights: public weights, a Deep Compression file or a finished run."""

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
    """Reads named public weights, or any Deep Compression file of SqueezeNet 1.0.

    Args:
        value: A key of `zoo.pretrained.public.WEIGHTS`, or the path of a `.net` file.
        file: Location of the named weights; None for the cache.

    Raises:
        ZooError: if the name is unknown, or the file is missing, damaged or not the named one.
    """
    if value.endswith(SUFFIX):
        if file is not None:
            raise ZooError(
                "--weights_file requires the name of public weights",
                got=value,
                remedy="omit --weights_file",
            )
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
    """Resolves --init_from, with `public` or `resolve.find`. Does not import TensorFlow.

    Args:
        value: Value of the flag.
        output: The --output folder.
        own: Names of the runs that will start from it.

    Raises:
        ZooError: if the name is unknown or the file is unreadable.
    """
    if value in weights.WEIGHTS or value.endswith(SUFFIX):
        return public(value)
    others = [*weights.WEIGHTS, f"FILE{SUFFIX}"]
    return resolve.find("--init_from", value, output, own, others)


def read(source: resolve.Initialization) -> transfer.Initial:
    """Returns the initial weights. Imports TensorFlow if they are those of a run.

    Args:
        source: Result of `find`.

    Raises:
        ZooError: if the run is quantized or its weights are unreadable.
    """
    if isinstance(source, transfer.Initial):
        return source
    import_tensorflow()
    return transfer.from_run(*source)


def load(value: str, output: Path, own: Collection[str] = ()) -> transfer.Initial:
    """Resolves --init_from with `find`, then reads the weights with `read`."""
    return read(find(value, output, own))
