"""The `benchmark_model` executable: passed by the user or downloaded once.

The download URLs serve the latest builds, whose content changes, so there is no hash to pin. The
first download is trusted, and its SHA-256, URL and date are recorded next to it. Every later use
verifies the file against that record, and every result line contains the hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from android_bench.tools.tool import TOOLS, Tool, tool_of
from zoo.errors import UnknownNameError, ZooError
from zoo.io.files import atomic_path, sha256_of, write_text
from zoo.schema.base import Sha256, Strict
from zoo.schema.json_files import read_model

ADDRESS = (
    "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/"
    "nightly/latest/{platform}_benchmark_model"
)
LITERT_ADDRESS = "https://storage.googleapis.com/litert/binaries/latest/{platform}/benchmark_model"
MAX_BYTES = 64 * 2**20
_TIMEOUT_S = (10.0, 30.0)  # for connecting; between two blocks of data
_LOCK_S = 600.0
_REMEDY = "pass a benchmark_model for the phone with --benchmark_binary=PATH"


@dataclass(frozen=True)
class _Build:
    """A prebuilt executable.

    Attributes:
        platform: Platform in the download address.
        elf_class: Required class in the ELF header: 1 is 32-bit, 2 is 64-bit.
        machine: Required machine in the ELF header.
    """

    platform: str
    elf_class: int
    machine: int


@dataclass(frozen=True)
class _Source:
    """Download address of a tool.

    Attributes:
        address: URL; `{platform}` is replaced.
        file: Name of the downloaded file; `{platform}` is replaced.
        builds: Android ABI → build.
    """

    address: str
    file: str
    builds: Mapping[str, _Build]


_ARM32 = _Build("android_arm", 1, 40)
_SOURCES = {
    "tflite": _Source(
        ADDRESS,
        "{platform}_benchmark_model",
        {
            "arm64-v8a": _Build("android_aarch64", 2, 183),
            "armeabi-v7a": _ARM32,
            "armeabi": _ARM32,
        },
    ),
    "litert": _Source(
        LITERT_ADDRESS,
        "{platform}_litert_benchmark_model",
        {"arm64-v8a": _Build("android_arm64", 2, 183)},
    ),
}


class _Origin(Strict):
    """`NAME.json` next to a downloaded executable."""

    url: str
    sha256: Sha256
    bytes: int
    downloaded_utc: str


@dataclass(frozen=True)
class Binary:
    """An executable on this computer; `source` is its URL or `given by the user`."""

    path: Path
    sha256: str
    source: str


def benchmark_binary(
    path: Path | None,
    abi: str,
    cache: Path,
    *,
    tool: str = "tflite",
    address: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> Binary:
    """Returns the tool for phones with the processor `abi`; downloads it on first use.

    Args:
        path: The user's own executable or script, of either tool; None to download it.
        abi: Android ABI (`ro.product.cpu.abi`): `arm64-v8a` or `armeabi-v7a`.
        cache: Folder for the download.
        tool: Key of `TOOLS`: the tool to download.
        address: Overrides the download URL; `{platform}` is replaced by `android_aarch64` or
            `android_arm`, for LiteRT by `android_arm64`.
        max_bytes: Limit on the size of the download.

    Raises:
        ZooError: if `path` is missing, the tool is unknown, there is no build for the processor,
            the download fails or is the wrong tool, or the downloaded file changed.
    """
    if path is not None:
        return _user_binary(path)
    source, build = _source(tool, abi)
    target = cache / source.file.format(platform=build.platform)
    url = (address or source.address).format(platform=build.platform)
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(cache / f"{target.name}.lock", timeout=_LOCK_S):
            if not _record(target).exists():
                _download(url, target, max_bytes, build, TOOLS[tool])
            return _verified(target)
    except Timeout as error:
        raise ZooError(
            "another process is taking too long to download benchmark_model",
            where=target,
            remedy=f"end it, or {_REMEDY}",
        ) from error


def where_from(path: Path | None, abi: str, cache: Path, tool: str = "tflite") -> str:
    """Returns a clause on where `benchmark_binary` gets the tool; downloads nothing.

    Raises:
        ZooError: if `path` is missing, there is no build for the processor, or the downloaded file
            changed.
    """
    if path is not None:
        return f"{_user_binary(path).path.name}, given by the user"
    source, build = _source(tool, abi)
    target = cache / source.file.format(platform=build.platform)
    if not _record(target).exists():
        return f"{target.name}, to be downloaded at the first measurement"
    return f"{target.name}, downloaded, sha256 {_verified(target).sha256[:12]}"


def _user_binary(path: Path) -> Binary:
    if not path.is_file() or path.stat().st_size == 0:
        raise ZooError("--benchmark_binary is not a file or is empty", where=path, remedy=_REMEDY)
    return Binary(path, sha256_of(path), "given by the user")


def _source(tool: str, abi: str) -> tuple[_Source, _Build]:
    if tool not in _SOURCES:
        raise UnknownNameError("benchmark_model tool", tool, _SOURCES)
    source = _SOURCES[tool]
    if abi not in source.builds:
        raise ZooError(
            "no prebuilt benchmark_model for this processor",
            expected=f"one of {', '.join(source.builds)}",
            got=abi,
            remedy=_REMEDY,
        )
    return source, source.builds[abi]


def _verified(target: Path) -> Binary:
    record = _record(target)
    again = f"delete {record} to download it again, or {_REMEDY}"
    origin = read_model(record, _Origin, "the record of benchmark_model's download", again)
    got = sha256_of(target) if target.is_file() else "no file"
    if got != origin.sha256:
        raise ZooError(
            "benchmark_model differs from the downloaded file",
            where=target,
            expected=f"sha256 {origin.sha256}",
            got=got,
            remedy=again,
        )
    return Binary(target, origin.sha256, origin.url)


def _download(url: str, target: Path, max_bytes: int, build: _Build, tool: Tool) -> None:
    with atomic_path(target) as temporary:
        size = _fetch(url, temporary, max_bytes)
        with temporary.open("rb") as stream:
            head = stream.read(20)
        valid = len(head) == 20 and head[:4] == b"\x7fELF" and head[5] == 1
        machine = int.from_bytes(head[18:20], "little")
        if not valid or head[4] != build.elf_class or machine != build.machine:
            raise ZooError(
                "the downloaded benchmark_model is not an executable for this processor",
                where=url,
                expected=f"an ELF file of class {build.elf_class} for machine {build.machine}",
                got=f"machine {machine}" if valid else f"a file that starts with {head[:8]!r}",
                remedy=_REMEDY,
            )
        if (got := tool_of(temporary)) is not tool:
            raise ZooError(
                "the downloaded file is not the requested tool",
                where=url,
                expected=tool.name,
                got=got.name,
                remedy=_REMEDY,
            )
        digest = sha256_of(temporary)
    origin = _Origin(
        url=url,
        sha256=digest,
        bytes=size,
        downloaded_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    # Written last: an executable without a record counts as not downloaded.
    write_text(_record(target), origin.model_dump_json(indent=2) + "\n")


def _fetch(url: str, path: Path, max_bytes: int) -> int:
    """Downloads `url` to `path` and returns the size in bytes."""
    import requests  # imported here because it is rarely needed and takes 0.1 s

    size = 0
    try:
        with requests.get(url, stream=True, timeout=_TIMEOUT_S) as reply, path.open("wb") as file:
            if reply.status_code != 200:
                raise ZooError(
                    "cannot download benchmark_model",
                    where=url,
                    got=f"HTTP status {reply.status_code}",
                    remedy=_REMEDY,
                )
            for block in reply.iter_content(2**16):
                size += len(block)
                if size > max_bytes:
                    raise ZooError(
                        "the benchmark_model download is too large",
                        where=url,
                        expected=f"at most {max_bytes} bytes",
                        remedy=_REMEDY,
                    )
                file.write(block)
    except (requests.RequestException, OSError) as error:
        raise ZooError(
            "cannot download benchmark_model",
            where=url,
            got=f"{type(error).__name__}: {error}",
            remedy=f"check the network, or {_REMEDY}",
        ) from error
    return size


def _record(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")
