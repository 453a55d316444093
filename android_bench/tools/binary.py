"""The `benchmark_model` executable: given by the user, or downloaded once.

The download addresses hold the latest builds, whose content changes: there is no hash to pin.
So the first download is trusted and its SHA-256 recorded beside it with the address and the date;
every later use verifies the file against that, and every result line carries the hash.
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
_TIMEOUT_S = (10.0, 30.0)  # to connect; between two blocks
_LOCK_S = 600.0
_GIVE_ONE = "give a benchmark_model for the phone with --benchmark_binary=PATH"


@dataclass(frozen=True)
class _Build:
    """A ready-made executable: its platform in the address, and what its ELF header must say."""

    platform: str
    elf_class: int
    machine: int


@dataclass(frozen=True)
class _Source:
    """Where a tool is to be had, and for which processors by Android's names of them."""

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
    """`NAME.json` beside a downloaded executable."""

    url: str
    sha256: Sha256
    bytes: int
    downloaded_utc: str


@dataclass(frozen=True)
class Binary:
    """An executable on this computer; `source` is its address or `given by the user`."""

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
    """The tool to run on phones whose processor is `abi` (`ro.product.cpu.abi`).

    Args:
        path: the user's own executable, of either tool; a script will do.
        abi: `arm64-v8a` or `armeabi-v7a`.
        cache: the folder that keeps the download.
        tool: a key of `TOOLS`, which decides what is downloaded.
        address: where to download instead; `{platform}` is `android_aarch64` or `android_arm`,
            for LiteRT's `android_arm64`.
        max_bytes: a larger download is refused.

    Raises:
        ZooError: no such file, an unknown tool, no build for that processor, no network, a file
            that changed, or another tool than was asked for.
    """
    if path is not None:
        return _own(path)
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
            "another process has been downloading benchmark_model for too long",
            where=target,
            remedy=f"end it, or {_GIVE_ONE}",
        ) from error


def where_from(path: Path | None, abi: str, cache: Path, tool: str = "tflite") -> str:
    """In a clause, where `benchmark_binary` would take the tool; nothing is downloaded.

    Raises:
        ZooError: no such file, no build for that processor, or a file that changed.
    """
    if path is not None:
        return f"{_own(path).path.name}, given by the user"
    source, build = _source(tool, abi)
    target = cache / source.file.format(platform=build.platform)
    if not _record(target).exists():
        return f"{target.name}, to be downloaded by the first measurement"
    return f"{target.name}, downloaded, sha256 {_verified(target).sha256[:12]}"


def _own(path: Path) -> Binary:
    if not path.is_file() or path.stat().st_size == 0:
        raise ZooError("--benchmark_binary is no file, or empty", where=path, remedy=_GIVE_ONE)
    return Binary(path, sha256_of(path), "given by the user")


def _source(tool: str, abi: str) -> tuple[_Source, _Build]:
    if tool not in _SOURCES:
        raise UnknownNameError("benchmark_model tool", tool, _SOURCES)
    source = _SOURCES[tool]
    if abi not in source.builds:
        raise ZooError(
            "no ready-made benchmark_model for this processor",
            expected=f"one of {', '.join(source.builds)}",
            got=abi,
            remedy=_GIVE_ONE,
        )
    return source, source.builds[abi]


def _verified(target: Path) -> Binary:
    record = _record(target)
    again = f"delete {record} to download it anew, or {_GIVE_ONE}"
    origin = read_model(record, _Origin, "the record of benchmark_model's download", again)
    got = sha256_of(target) if target.is_file() else "no file"
    if got != origin.sha256:
        raise ZooError(
            "benchmark_model is not what was downloaded",
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
        little = len(head) == 20 and head[:4] == b"\x7fELF" and head[5] == 1
        found = int.from_bytes(head[18:20], "little")
        if not little or head[4] != build.elf_class or found != build.machine:
            raise ZooError(
                "the download of benchmark_model is no executable for this processor",
                where=url,
                expected=f"an ELF file of class {build.elf_class} for machine {build.machine}",
                got=f"machine {found}" if little else f"a file that starts with {head[:8]!r}",
                remedy=_GIVE_ONE,
            )
        if (got := tool_of(temporary)) is not tool:
            raise ZooError(
                "the download is not the tool that was asked for",
                where=url,
                expected=tool.name,
                got=got.name,
                remedy=_GIVE_ONE,
            )
        digest = sha256_of(temporary)
    origin = _Origin(
        url=url,
        sha256=digest,
        bytes=size,
        downloaded_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    # Written last: without it the file beside it counts as not downloaded.
    write_text(_record(target), origin.model_dump_json(indent=2) + "\n")


def _fetch(url: str, path: Path, max_bytes: int) -> int:
    """Downloads to `path` and returns the size in bytes."""
    import requests  # here, since it is rarely needed and takes a tenth of a second

    size = 0
    try:
        with requests.get(url, stream=True, timeout=_TIMEOUT_S) as answer, path.open("wb") as file:
            if answer.status_code != 200:
                raise ZooError(
                    "cannot download benchmark_model",
                    where=url,
                    got=f"HTTP status {answer.status_code}",
                    remedy=_GIVE_ONE,
                )
            for block in answer.iter_content(2**16):
                size += len(block)
                if size > max_bytes:
                    raise ZooError(
                        "the download of benchmark_model is too large",
                        where=url,
                        expected=f"at most {max_bytes} bytes",
                        remedy=_GIVE_ONE,
                    )
                file.write(block)
    except (requests.RequestException, OSError) as error:
        raise ZooError(
            "cannot download benchmark_model",
            where=url,
            got=f"{type(error).__name__}: {error}",
            remedy=f"check the network, or {_GIVE_ONE}",
        ) from error
    return size


def _record(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")
