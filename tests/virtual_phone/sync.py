"""The `sync` service: stat, list, push and pull of real files."""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.virtual_phone.link import Stream
from tests.virtual_phone.sandbox import Sandbox, normal
from tests.virtual_phone.tree import SHELL_UID
from tests.virtual_phone.wire import LinkLostError

_REQUEST = struct.Struct("<4sI")
_STAT_V1 = struct.Struct("<3I")  # mode, size, time
_STAT_V2 = struct.Struct("<IQQIIIIQqqq")
_MAX_NAME_BYTES = 1024
_BLOCK_BYTES = 64 * 1024


class SyncService:
    """Serves a sync session: requests until QUIT or the end of the stream."""

    def __init__(self, sandbox: Sandbox, note: Callable[[str, str], None]):
        self._sandbox = sandbox
        self._note = note

    def __call__(self, stream: Stream) -> None:
        """Serves `stream`.

        Raises:
            LinkLostError: if the stream ends during a transfer; a partly received file stays.
        """
        source = _Reader(stream)
        while True:
            request, length = _REQUEST.unpack(source.take(_REQUEST.size))
            if request == b"QUIT":
                return
            if length > _MAX_NAME_BYTES:
                stream.write(_failure("path too long"))
                return
            name = source.take(length).decode(errors="surrogateescape")
            if request in (b"STAT", b"STA2", b"LST2"):
                self._note("stat", name)
                stream.write(self._stat(request, name))
            elif request in (b"LIST", b"LIS2"):
                self._note("list", name)
                stream.write(b"".join(self._list(request, name)))
            elif request == b"RECV":
                self._note("pull", name)
                for part in self._read_file(name):
                    stream.write(part)
            elif request == b"SEND":
                path, _, mode = name.rpartition(",")
                self._note("push", path)
                stream.write(self._write_file(path, int(mode), source))
            else:
                stream.write(_failure(f"unknown command {request!r}"))
                return

    def _stat(self, request: bytes, name: str) -> bytes:
        path = self._sandbox.host_path(name)
        follow = request == b"STA2"
        try:
            info = path.stat() if follow else path.lstat()
        except OSError as error:
            if request == b"STAT":
                return request + _STAT_V1.pack(0, 0, 0)
            return request + _STAT_V2.pack(error.errno or errno.EIO, *([0] * 10))
        if request == b"STAT":
            return request + _v1(info)
        return request + _v2(info)

    def _list(self, request: bytes, name: str) -> Iterator[bytes]:
        entry, info_of = (b"DENT", _v1) if request == b"LIST" else (b"DNT2", _v2)
        folder = self._sandbox.host_path(name)
        try:
            children = sorted(folder.iterdir())
        except OSError:
            children = []  # an empty list, as from the real daemon
        for child in children:
            encoded = os.fsencode(child.name)
            yield entry + info_of(child.lstat()) + struct.pack("<I", len(encoded)) + encoded
        size = _STAT_V1.size if request == b"LIST" else _STAT_V2.size
        yield b"DONE" + bytes(size + 4)

    def _read_file(self, name: str) -> Iterator[bytes]:
        path = self._sandbox.host_path(name)
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    yield _REQUEST.pack(b"DATA", len(block)) + block
        except OSError as error:
            yield _failure(f"open failed: {os.strerror(error.errno or errno.EIO)}")
            return
        yield _REQUEST.pack(b"DONE", 0)

    def _write_file(self, name: str, mode: int, source: _Reader) -> bytes:
        """Receives a file; reads all of it even if it cannot be written."""
        path = self._sandbox.host_path(name)
        problem = (
            None if self._sandbox.may_write(name) else _reason("couldn't create", errno.EACCES)
        )
        free_bytes = self._sandbox.free_bytes()
        file = None
        if problem is None:
            try:
                self._make_folder(normal(name).rpartition("/")[0])
                path.unlink(missing_ok=True)  # allows the replacement of a running program
                file = path.open("wb", buffering=0)
                path.chmod(mode & 0o777)
                self._hand_over(path)
            except OSError as error:
                problem = _reason("couldn't create file", error.errno)
        try:
            for block in _blocks(source):
                free_bytes -= len(block)
                if file is None:
                    continue
                try:
                    if free_bytes < 0:
                        raise OSError(errno.ENOSPC, "virtual disk is full")
                    _write_all(file.fileno(), block)
                except OSError as error:
                    problem = _reason("write failed", error.errno)
                    file.close()
                    file = None
                    path.unlink(missing_ok=True)
        finally:
            if file is not None:
                file.close()
        if problem is not None:
            return _failure(problem)
        os.utime(path, (source.time_s, source.time_s))
        return _REQUEST.pack(b"OKAY", 0)

    def _make_folder(self, name: str) -> None:
        path = self._sandbox.host_path(name)
        if path.is_dir():
            return
        self._make_folder(name.rpartition("/")[0])
        path.mkdir(mode=0o775)
        self._hand_over(path)

    def _hand_over(self, path: Path) -> None:
        if self._sandbox.kind == "namespace":
            os.chown(path, SHELL_UID, SHELL_UID)


class _Reader:
    """Reads exact numbers of bytes from a stream."""

    def __init__(self, stream: Stream):
        self._stream = stream
        self._buffer = bytearray()
        self.time_s = 0  # modification time of the last file, from its DONE

    def take(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._buffer += self._stream.read()
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        return data


def _blocks(source: _Reader) -> Iterator[bytes]:
    while True:
        kind, length = _REQUEST.unpack(source.take(_REQUEST.size))
        if kind == b"DONE":
            source.time_s = length
            return
        if kind != b"DATA" or length > _BLOCK_BYTES:
            raise LinkLostError(f"unexpected {kind!r} in a push")
        yield source.take(length)


def _write_all(handle: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(handle, view) :]


def _v1(info: os.stat_result) -> bytes:
    return _STAT_V1.pack(info.st_mode, info.st_size & 0xFFFFFFFF, int(info.st_mtime))


def _v2(info: os.stat_result) -> bytes:
    return _STAT_V2.pack(
        0, info.st_dev, info.st_ino, info.st_mode, info.st_nlink, SHELL_UID, SHELL_UID,
        info.st_size if not stat.S_ISDIR(info.st_mode) else 4096,
        int(info.st_atime), int(info.st_mtime), int(info.st_ctime),
    )  # fmt: skip


def _reason(what: str, number: int | None) -> str:
    return f"{what}: {os.strerror(number or errno.EIO)}"


def _failure(text: str) -> bytes:
    data = text.encode()
    return _REQUEST.pack(b"FAIL", len(data)) + data
