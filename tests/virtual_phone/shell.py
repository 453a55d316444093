"""The services `shell`, `shell,v2` and `exec`: a command of the phone over an adb stream."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Literal

from tests.virtual_phone.link import Stream
from tests.virtual_phone.sandbox import Sandbox
from tests.virtual_phone.wire import LinkLostError

_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_PACKET = struct.Struct("<BI")
_BLOCK_BYTES = 32 * 1024
_POLL_MS = 50  # how often the reader of a silent command checks whether the link is lost
_HANG_UP_S = 1.0

Framing = Literal["v2", "raw", "crlf"]


@dataclass(frozen=True)
class Command:
    """A command to run, and the framing of its output."""

    text: str
    framing: Framing


def parse_service(service: str, has_shell_v2: bool) -> Command | None:
    """Parses `shell,v2,TERM=…,raw:text`, `shell:text` or `exec:text`; None for other services."""
    head, colon, text = service.partition(":")
    kind, *arguments = head.split(",")
    if not colon or kind not in ("shell", "exec"):
        return None
    if "v2" in arguments:
        return Command(text, "v2") if has_shell_v2 else None
    # Up to Android 6 shells have a terminal, which ends lines with CR LF.
    return Command(text, "crlf" if kind == "shell" and not has_shell_v2 else "raw")


class PrefixRemover:
    """Removes a prefix from a stream of bytes, even if it is split between two pieces."""

    def __init__(self, prefix: bytes):
        self._prefix = prefix
        self._held = b""

    def feed(self, data: bytes, last: bool = False) -> bytes:
        """Returns the bytes that can be passed on, and keeps a possible start of the prefix."""
        if not self._prefix:
            return data
        whole = (self._held + data).replace(self._prefix, b"")
        keep = 0
        if not last:
            longest = min(len(whole), len(self._prefix) - 1)
            keep = next(
                (n for n in range(longest, 0, -1) if self._prefix.startswith(whole[-n:])), 0
            )
        self._held = whole[len(whole) - keep :]
        return whole[: len(whole) - keep]


class ShellService:
    """Runs a command until its output or the stream ends."""

    def __init__(
        self,
        sandbox: Sandbox,
        command: Command,
        note: Callable[[str, str, int | None], None],
        limit: int | None = None,
    ):
        self._left = limit  # remaining bytes of output before it is cut; None for no limit
        self._sandbox = sandbox
        self._command = command
        self._note = note
        self._over = threading.Event()

    def __call__(self, stream: Stream) -> None:
        """Serves `stream`.

        Raises:
            LinkLostError: if the stream ends before the command, which then receives SIGHUP.
        """
        stderr = subprocess.PIPE if self._command.framing == "v2" else subprocess.STDOUT
        process = self._sandbox.spawn(self._command.text, stderr)
        self._note("command", self._command.text, None)
        assert process.stdin is not None and process.stdout is not None
        pumps = [self._pump(stream, process.stdout, _STDOUT)]
        if process.stderr is not None:
            pumps.append(self._pump(stream, process.stderr, _STDERR))
        threading.Thread(target=self._feed, args=(stream, process), daemon=True).start()
        for pump in pumps:
            pump.join()
        if stream.closed.is_set():
            hang_up(process)
            try:
                process.wait(timeout=_HANG_UP_S)
            except subprocess.TimeoutExpired:
                return  # it ignores SIGHUP and continues, as on a phone
        self._over.set()
        status = process.wait()
        code = 128 - status if status < 0 else status
        self._note("exit", self._command.text, code)
        if self._command.framing == "v2" and self._left is None:
            stream.write(_PACKET.pack(_EXIT, 1) + bytes([code & 0xFF]))

    def _pump(self, stream: Stream, pipe: IO[bytes], packet_id: int) -> threading.Thread:
        """Starts forwarding an output of the command to the stream, until either ends."""
        remover = PrefixRemover(self._sandbox.foreign_prefix)

        def carry() -> None:
            try:
                with pipe:
                    readable = select.poll()
                    readable.register(pipe)
                    while not stream.closed.is_set():
                        if not readable.poll(_POLL_MS):
                            continue
                        data = pipe.read(_BLOCK_BYTES)
                        if not data:
                            self._send(stream, packet_id, remover.feed(b"", last=True))
                            return
                        self._send(stream, packet_id, remover.feed(data))
            except LinkLostError:
                pass  # _feed hangs up; a command that continues gets a broken pipe

        thread = threading.Thread(target=carry, daemon=True)
        thread.start()
        return thread

    def _send(self, stream: Stream, packet_id: int, data: bytes) -> None:
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        if not data:
            return
        if self._command.framing == "v2":
            data = _PACKET.pack(packet_id, len(data)) + data
        elif self._command.framing == "crlf":
            data = data.replace(b"\n", b"\r\n")
        stream.write(data)

    def _feed(self, stream: Stream, process: subprocess.Popen[bytes]) -> None:
        """Forwards input to the command; hangs up if the stream ends before the command."""
        assert process.stdin is not None
        buffer = b""
        try:
            while True:
                data = stream.read()
                if self._command.framing != "v2":
                    _write(process.stdin, data)
                    continue
                buffer += data
                while len(buffer) >= _PACKET.size:
                    packet_id, length = _PACKET.unpack_from(buffer)
                    if len(buffer) < _PACKET.size + length:
                        break
                    body = buffer[_PACKET.size : _PACKET.size + length]
                    buffer = buffer[_PACKET.size + length :]
                    if packet_id == _STDIN:
                        _write(process.stdin, body)
                    elif packet_id == _CLOSE_STDIN:
                        process.stdin.close()
        except LinkLostError:
            if not self._over.is_set():
                hang_up(process)
        finally:
            process.stdin.close()


def hang_up(process: subprocess.Popen[bytes]) -> None:
    """Sends SIGHUP to a command and its children, as at the end of a link."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGHUP)


def _write(pipe: IO[bytes], data: bytes) -> None:
    if pipe.closed:
        return
    try:
        view = memoryview(data)
        while view:
            view = view[pipe.write(view) :]
    except BrokenPipeError:
        pipe.close()  # the command does not read its input
