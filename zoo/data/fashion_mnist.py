"""Finds, downloads and checks the four files of Fashion-MNIST (Xiao et al. 2017).

The content is pinned by the SHA-256 of each *decompressed* file. The publisher's files and those of
Debian's package, which are compressed differently, therefore pass the same check.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from zoo.errors import ZooError, one_line
from zoo.io.files import atomic_path, read_bytes
from zoo.io.log import Log

LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
PUBLISHER = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
DEBIAN_PACKAGE = "dataset-fashion-mnist"
REMEDY = "run zoo data --dataset=fashion_mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class IdxFile:
    """A gzip-compressed IDX file.

    Attributes:
        name: File name.
        bytes: Decompressed size in bytes.
        sha256: SHA-256 of the decompressed content.
        publisher_sha256: SHA-256 of the publisher's compressed file.
    """

    name: str
    bytes: int
    sha256: str
    publisher_sha256: str


FILES = {
    "train_images": IdxFile(
        "train-images-idx3-ubyte.gz",
        47_040_016,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    "train_labels": IdxFile(
        "train-labels-idx1-ubyte.gz",
        60_008,
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    "test_images": IdxFile(
        "t10k-images-idx3-ubyte.gz",
        7_840_016,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    "test_labels": IdxFile(
        "t10k-labels-idx1-ubyte.gz",
        10_008,
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}
_REMEDY = f"{REMEDY} to repair the cache"


def read(folder: Path, key: str) -> np.ndarray:
    """Reads and checks one file.

    Args:
        folder: Folder that contains the file.
        key: Key of `FILES`.

    Returns:
        Images, uint8 (n, 28, 28, 1), or labels, uint8 (n,).

    Raises:
        ZooError: if the file is missing, or its size or content is not as expected.
    """
    file = FILES[key]
    path = folder / file.name
    compressed = read_bytes(path, "a Fashion-MNIST file", 64 * 2**20, _REMEDY)
    try:
        # Reads at most one byte more than expected, so a decompression bomb is harmless.
        with gzip.GzipFile(fileobj=io.BytesIO(compressed)) as stream:
            data = stream.read(file.bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ZooError(
            "corrupt Fashion-MNIST file", where=path, got=error, remedy=_REMEDY
        ) from error
    if sha256(data).hexdigest() != file.sha256:
        raise ZooError(
            "corrupt Fashion-MNIST file",
            where=path,
            expected=f"{file.bytes} bytes with sha256 {file.sha256}",
            got=f"{len(data)} bytes with sha256 {sha256(data).hexdigest()}",
            remedy=_REMEDY,
        )
    header = 16 if key.endswith("images") else 8
    array = np.frombuffer(data, np.uint8, offset=header)
    return array.reshape(-1, 28, 28, 1) if key.endswith("images") else array


def find(cache: Path) -> Path | None:
    """Returns the first folder with all four files, the cache or Debian's; None if neither has."""
    for folder in (cache / "fashion_mnist", DEBIAN_FOLDER):
        if all((folder / file.name).is_file() for file in FILES.values()):
            return folder
    return None


def fetch(cache: Path, log: Log, publisher: str = PUBLISHER) -> Path:
    """Makes the files available and checks them; keeps a valid copy.

    Tries, in this order, an existing copy, Debian's package through apt-get (without root: it is
    unpacked into the cache, not installed) and the publisher's server.

    Args:
        cache: Folder for downloads.
        log: Called with each progress message.
        publisher: Base URL of the original files.

    Returns:
        The folder with the files.

    Raises:
        ZooError: if every source fails; the message lists the reasons.
    """
    reasons = []
    if (folder := find(cache)) is not None:
        try:
            for key in FILES:
                read(folder, key)
        except ZooError as error:
            reasons.append(str(error))
            log(f"fashion_mnist: the copy in {folder} is damaged, downloading it again")
        else:
            log(f"fashion_mnist: found in {folder}, checksums OK")
            return folder
    target = cache / "fashion_mnist"
    for source in (_from_debian, _from_publisher):
        try:
            source(target, log, publisher)
            for key in FILES:
                read(target, key)
        except ZooError as error:
            reasons.append(str(error))
            continue
        log(f"fashion_mnist: ready in {target}, checksums OK")
        return target
    raise ZooError(
        "Fashion-MNIST is not available",
        where=target,
        got="; ".join(reasons),
        remedy=f"apt-get install {DEBIAN_PACKAGE}, or use --dataset=digits",
    )


def _from_debian(target: Path, log: Log, _: str) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ZooError("no apt-get on this machine", where=DEBIAN_PACKAGE)
    log(f"fashion_mnist: downloading Debian's package {DEBIAN_PACKAGE} (31 MB)")
    with tempfile.TemporaryDirectory() as scratch:
        lists = Path(scratch, "lists")
        archives = Path(scratch, "cache", "archives", "partial")
        (lists / "partial").mkdir(parents=True)
        archives.mkdir(parents=True)
        options = ["-qq", "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={scratch}/cache"]
        # By default apt downloads as the user _apt, who cannot access our private scratch folder.
        options += ["-o", "APT::Sandbox::User="]
        _run(["apt-get", *options, "update"], scratch)
        _run(["apt-get", *options, "download", DEBIAN_PACKAGE], scratch)
        packages = sorted(Path(scratch).glob("*.deb"))
        if not packages:
            raise ZooError("apt-get downloaded no package", where=DEBIAN_PACKAGE)
        _run(["dpkg-deb", "-x", str(packages[0]), "unpacked"], scratch)
        unpacked = Path(scratch, "unpacked") / DEBIAN_FOLDER.relative_to("/")
        for key, file in FILES.items():
            read(unpacked, key)
            with atomic_path(target / file.name) as temporary:
                shutil.copyfile(unpacked / file.name, temporary)


def _run(command: list[str], folder: str) -> None:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ZooError("cannot run a command", where=" ".join(command[:1]), got=error) from error
    if done.returncode:
        raise ZooError(
            f"{command[0]} {command[-1]} failed",
            got=one_line(done.stderr, 200) or f"exit code {done.returncode}",
        )


def _from_publisher(target: Path, log: Log, publisher: str) -> None:
    import pooch
    import requests

    log(f"fashion_mnist: downloading from the publisher, {publisher}")
    target.mkdir(parents=True, exist_ok=True)
    for file in FILES.values():
        try:
            # pooch writes to a temporary file and renames it only after checking the hash.
            pooch.retrieve(
                publisher + file.name,
                known_hash=f"sha256:{file.publisher_sha256}",
                fname=file.name,
                path=target,
                downloader=pooch.HTTPDownloader(timeout=60),
            )
        except (requests.RequestException, OSError, ValueError) as error:
            raise ZooError(
                "download failed", where=publisher + file.name, got=one_line(error, 200)
            ) from error
