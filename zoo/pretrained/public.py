"""Public ImageNet weights: where each file comes from, and finding a copy that is the right one.

Nothing is downloaded but by `fetch`, which only `scripts.data` calls. No TensorFlow.
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
    """One public file. How its input is normalized is in the catalog's row of `model`.

    Attributes:
        name: as in `--weights` and `--init_from`.
        model: catalog name of the network.
        url: of the original file, at a fixed commit.
        bytes: its size.
        sha256: of its content, which is checked at each use.
        license: under which it is published, and who says so.
        labels: what output i stands for.
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
        """Its name in the cache."""
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
            license="BSD-2-Clause, that of the SqueezeNet repository; the one that holds the file "
            "has no license file of its own",
            labels="ILSVRC-2012 synsets, sorted (zoo.data.imagenet_synsets)",
        ),
    )
}
# The largest such file of SqueezeNet 1.0, which stores every entry, has 1.9 MB.
MAX_BYTES = 2 * 2**20


def public_weights(name: str) -> PublicWeights:
    """The row of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in WEIGHTS:
        raise UnknownNameError("weights", name, WEIGHTS)
    return WEIGHTS[name]


def cached(row: PublicWeights) -> Path:
    """Where `fetch` puts the file."""
    return cache.folder() / "weights" / row.file


def read(row: PublicWeights, path: Path | None = None) -> bytes:
    """The file's content, from `path` or else from the cache; always checked by its SHA-256.

    Raises:
        ZooError: missing, unreadable, or of other content.
    """
    remedy = f"run python -m scripts.data --weights={row.name}"
    source = path or cached(row)
    data = read_bytes(source, f"the weights {row.name}", MAX_BYTES, remedy)
    _check(row, data, source, remedy)
    return data


def fetch(row: PublicWeights, log: Log, url: str | None = None) -> Path:
    """Downloads the file into the cache unless a good copy is there.

    Args:
        row: which weights.
        log: gets a line about what is done.
        url: another address of the same content.

    Returns:
        The file in the cache.

    Raises:
        ZooError: it can't be had, or is another file; nothing is kept then.
    """
    target, url = cached(row), url or row.url
    if target.exists():
        try:
            read(row)
        except ZooError:
            log(f"{row.name}: the copy at {target} is damaged, fetching it again")
        else:
            log(f"{row.name}: found at {target}, checksum right")
            return target
    log(f"{row.name}: downloading {url} ({row.bytes:,} bytes)")
    remedy = f"get the file from {row.url} yourself and copy it to {target}"
    data = _download(url, row.bytes, remedy)
    _check(row, data, url, remedy)
    write_bytes(target, data)
    log(f"{row.name}: ready at {target}, checksum right; license: {row.license}")
    return target


def _check(row: PublicWeights, data: bytes, where: object, remedy: str) -> None:
    if (got := sha256(data).hexdigest()) != row.sha256:
        raise ZooError(
            f"this is not the file {row.name}",
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
                if len(data) > size:  # whatever a server sends, no more than this is taken
                    break
    except (requests.RequestException, OSError) as error:
        raise ZooError(
            "download failed", where=url, got=one_line(error, 200), remedy=remedy
        ) from error
    return bytes(data)
