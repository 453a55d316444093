"""Public ImageNet weights: their sources, download and verification.

Only `fetch` downloads anything, and only `scripts.data` calls it. Does not import TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from zoo.errors import UnknownNameError, ZooError, one_line
from zoo.io import cache
from zoo.io.files import read_bytes, write_bytes
from zoo.io.log import Log


@dataclass(frozen=True, kw_only=True)
class PublicWeights:
    """A public file of weights. The catalog entry of `model` has the preprocessing of its input.

    Attributes:
        name: Name as in `--weights` and `--init_from`.
        model: Catalog name of the network.
        url: URL of the original file, at a fixed commit.
        bytes: Size of the file.
        sha256: SHA-256 of the file, checked at each use.
        license: License, and where it is stated.
        labels: Order of the classes in the output.
    """

    name: str
    model: str
    url: str
    bytes: int
    sha256: str
    license: str
    labels: str

    @property
    def file(self) -> str:
        """File name in the cache."""
        return f"{self.name}.net"


WEIGHTS: dict[str, PublicWeights] = {
    row.name: row
    for row in (
        PublicWeights(
            name="squeezenet_v1_0_deep_compressed",
            model="squeezenet_v1_0",
            url="https://raw.githubusercontent.com/songhan/SqueezeNet-Deep-Compression/"
            "5623e3cdbe1fcd83328c61ce2ee42c34ed319aa3/compressed_SqueezeNet.net",
            bytes=675_763,
            sha256="e4ab6960ae8cd81505e1c2136921201507e930966c53deaf15862a395b3a3261",
            license="BSD-2-Clause, the license of the SqueezeNet repository; the repository with "
            "this file has no license file",
            labels="ILSVRC-2012 synsets, sorted (zoo.data.imagenet_synsets)",
        ),
    )
}
# The largest possible file of SqueezeNet 1.0, which stores all entries, has 1.9 MB.
MAX_BYTES = 2 * 2**20


def public_weights(name: str) -> PublicWeights:
    """Returns the entry of `WEIGHTS` with this name.

    Raises:
        UnknownNameError: if there is none.
    """
    if name not in WEIGHTS:
        raise UnknownNameError("weights", name, WEIGHTS)
    return WEIGHTS[name]


def cached(row: PublicWeights) -> Path:
    """Returns the path of the file in the cache."""
    return cache.folder() / "weights" / row.file


def read(row: PublicWeights, path: Path | None = None) -> bytes:
    """Reads the file and checks its SHA-256.

    Args:
        row: Entry of `WEIGHTS`.
        path: Location of the file; None for the cache.

    Raises:
        ZooError: if the file is missing or unreadable, or its content differs.
    """
    remedy = f"run zoo data --weights={row.name}"
    source = path or cached(row)
    data = read_bytes(source, f"the weights {row.name}", MAX_BYTES, remedy)
    _check(row, data, source, remedy)
    return data


def fetch(row: PublicWeights, log: Log, url: str | None = None) -> Path:
    """Downloads the file into the cache unless the cache has a valid copy.

    Args:
        row: Entry of `WEIGHTS`.
        log: Called with each progress message.
        url: Another URL of the same file; None for `row.url`.

    Returns:
        Path of the file in the cache.

    Raises:
        ZooError: if the download fails or its content differs; it is not stored then.
    """
    target, url = cached(row), url or row.url
    if target.exists():
        try:
            read(row)
        except ZooError:
            log(f"{row.name}: the copy at {target} is damaged, downloading it again")
        else:
            log(f"{row.name}: found at {target}, checksum OK")
            return target
    log(f"{row.name}: downloading {url} ({row.bytes:,} bytes)")
    remedy = f"download {row.url} manually and copy it to {target}"
    data = _download(url, row.bytes, remedy)
    _check(row, data, url, remedy)
    write_bytes(target, data)
    log(f"{row.name}: ready at {target}, checksum OK; license: {row.license}")
    return target


def _check(row: PublicWeights, data: bytes, where: object, remedy: str) -> None:
    if (got := sha256(data).hexdigest()) != row.sha256:
        raise ZooError(
            f"the file is not {row.name}",
            where=where,
            expected=f"{row.bytes} bytes with sha256 {row.sha256}",
            got=f"{len(data)} bytes with sha256 {got}",
            remedy=remedy,
        )


def _download(url: str, size: int, remedy: str) -> bytes:
    import requests

    data = bytearray()
    try:
        with requests.get(url, stream=True, timeout=60) as response:
            response.raise_for_status()
            for block in response.iter_content(2**16):
                data += block
                if len(data) > size:  # bounds the memory used for a wrong file
                    break
    except (requests.RequestException, OSError) as error:
        raise ZooError(
            "download failed", where=url, got=one_line(error, 200), remedy=remedy
        ) from error
    return bytes(data)
