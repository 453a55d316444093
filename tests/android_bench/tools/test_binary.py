"""Getting benchmark_model: from a real HTTP server on loopback, with everything that goes wrong."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from android_bench.tools.binary import ADDRESS, LITERT_ADDRESS, benchmark_binary
from tests.virtual_phone.server import free_port
from zoo.errors import ZooError
from zoo.io.files import sha256_of

ARM64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00" + b"code" * 500
LITERT = ARM64 + b"./litert/tools/benchmark_litert_model.h\0"
ARM32 = b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x03\x00\x28\x00" + b"code" * 500


@dataclass
class Site:
    """What the server answers, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    announce: int | None = None  # a Content-Length other than the true one
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            content = state.files.get(self.path)
            self.send_response(404 if content is None else 200)
            size = len(content or b"") if state.announce is None else state.announce
            if size >= 0:
                self.send_header("Content-Length", str(size))
            self.end_headers()
            with contextlib.suppress(OSError):  # the client may have seen enough
                self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        state.address = f"http://127.0.0.1:{server.server_address[1]}/{{platform}}_benchmark_model"
        state.files = {
            "/android_aarch64_benchmark_model": ARM64,
            "/android_arm_benchmark_model": ARM32,
            "/android_arm64_benchmark_model": LITERT,
        }
        yield state
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("abi", "content"), [("arm64-v8a", ARM64), ("armeabi-v7a", ARM32)])
def test_downloads_once_and_records_the_hash(site: Site, tmp_path: Path, abi: str, content: bytes):
    first = benchmark_binary(None, abi, tmp_path, address=site.address)
    again = benchmark_binary(None, abi, tmp_path, address=site.address)
    assert first == again
    assert len(site.asked) == 1
    assert first.path.read_bytes() == content
    assert first.sha256 == sha256_of(first.path)
    record = json.loads(first.path.with_name(f"{first.path.name}.json").read_text())
    assert record["sha256"] == first.sha256 and record["bytes"] == len(content)
    assert (
        record["url"]
        == first.source
        == f"{site.address[: -len('{platform}_benchmark_model')]}"
        + (
            "android_aarch64_benchmark_model"
            if abi == "arm64-v8a"
            else "android_arm_benchmark_model"
        )
    )


def test_a_file_that_changed_later_is_refused(site: Site, tmp_path: Path):
    binary = benchmark_binary(None, "arm64-v8a", tmp_path, address=site.address)
    binary.path.write_bytes(ARM64 + b"!")
    with pytest.raises(ZooError, match=r"differs from the downloaded file.*delete"):
        benchmark_binary(None, "arm64-v8a", tmp_path, address=site.address)
    binary.path.unlink()
    with pytest.raises(ZooError, match="no file"):
        benchmark_binary(None, "arm64-v8a", tmp_path, address=site.address)


def test_a_spoilt_record_is_refused(site: Site, tmp_path: Path):
    binary = benchmark_binary(None, "arm64-v8a", tmp_path, address=site.address)
    binary.path.with_name(f"{binary.path.name}.json").write_text('{"sha256": 1}')
    with pytest.raises(ZooError, match="delete"):
        benchmark_binary(None, "arm64-v8a", tmp_path, address=site.address)


def refused(site: Site, cache: Path, match: str, **options: int) -> None:
    with pytest.raises(ZooError, match=match) as caught:
        benchmark_binary(None, "arm64-v8a", cache, address=site.address, **options)
    assert "--benchmark_binary=PATH" in str(caught.value)
    left = {path.name for path in cache.iterdir()} - {"android_aarch64_benchmark_model.lock"}
    assert left == set()


def test_not_found(site: Site, tmp_path: Path):
    site.files.clear()
    refused(site, tmp_path, "HTTP status 404")


def test_cut_off(site: Site, tmp_path: Path):
    site.announce = len(ARM64) + 100
    refused(site, tmp_path, "cannot download")


@pytest.mark.parametrize(
    "content", [b"<html>", b"", ARM32, ARM64[:19], b"\x7fELF\x02\x02" + ARM64[6:]]
)
def test_no_executable_for_the_processor(site: Site, tmp_path: Path, content: bytes):
    site.files["/android_aarch64_benchmark_model"] = content
    refused(site, tmp_path, "not an executable for this processor")


@pytest.mark.parametrize("announce", [None, -1])
def test_too_large(site: Site, tmp_path: Path, announce: int | None):
    site.announce = announce
    refused(site, tmp_path, "too large", max_bytes=len(ARM64) - 1)


def test_nobody_there(tmp_path: Path):
    site = Site(address=f"http://127.0.0.1:{free_port()}/{{platform}}")
    refused(site, tmp_path, "cannot download.*127.0.0.1")


def test_the_users_own_needs_no_network(tmp_path: Path):
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh\n")
    binary = benchmark_binary(script, "arm64-v8a", tmp_path / "cache")
    assert binary.path == script and binary.sha256 == sha256_of(script)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("kind", ["missing", "empty", "folder"])
def test_the_users_own_must_be_there(tmp_path: Path, kind: str):
    path = tmp_path / "tool"
    if kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(ZooError, match="not a file or is empty"):
        benchmark_binary(path, "arm64-v8a", tmp_path)


def test_unknown_processor(tmp_path: Path):
    with pytest.raises(ZooError, match=r"x86_64.*--benchmark_binary"):
        benchmark_binary(None, "x86_64", tmp_path)


def test_the_documented_address():
    assert ADDRESS.format(platform="android_aarch64").endswith(
        "/lite/tools/nightly/latest/android_aarch64_benchmark_model"
    )
    assert LITERT_ADDRESS.format(platform="android_arm64").endswith(
        "/litert/binaries/latest/android_arm64/benchmark_model"
    )


# LiteRT's line


def test_both_lines_are_kept_side_by_side(site: Site, tmp_path: Path):
    tflite = benchmark_binary(None, "arm64-v8a", tmp_path, address=site.address)
    litert = benchmark_binary(None, "arm64-v8a", tmp_path, tool="litert", address=site.address)
    assert tflite.path.read_bytes() == ARM64 and litert.path.read_bytes() == LITERT
    again = benchmark_binary(None, "arm64-v8a", tmp_path, tool="litert", address=site.address)
    assert again == litert and len(site.asked) == 2


@pytest.mark.parametrize(
    ("tool", "path", "content", "got"),
    [
        ("litert", "/android_arm64_benchmark_model", ARM64, "got: benchmark_model"),
        ("tflite", "/android_aarch64_benchmark_model", LITERT, "got: litert_benchmark_model"),
    ],
)
def test_another_tool_than_was_asked_for(
    site: Site, tmp_path: Path, tool: str, path: str, content: bytes, got: str
):
    site.files[path] = content
    with pytest.raises(ZooError, match=rf"not the requested tool.*{got}"):
        benchmark_binary(None, "arm64-v8a", tmp_path, tool=tool, address=site.address)
    assert not list(tmp_path.glob("*.json"))


def test_litert_is_for_64_bits(tmp_path: Path):
    with pytest.raises(ZooError, match=r"no prebuilt.*arm64-v8a.*--benchmark_binary"):
        benchmark_binary(None, "armeabi-v7a", tmp_path, tool="litert")
    with pytest.raises(ZooError, match="unknown benchmark_model tool"):
        benchmark_binary(None, "arm64-v8a", tmp_path, tool="litrt")
