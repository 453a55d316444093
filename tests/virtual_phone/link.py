"""A connection of a computer to the phone, and the streams that it carries."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
from collections.abc import Callable
from typing import Protocol

from tests.virtual_phone import wire
from tests.virtual_phone.profile import PhoneProfile
from tests.virtual_phone.wire import LinkLostError, Packet


class Owner(Protocol):
    """The phone, as used by a link."""

    profile: PhoneProfile
    known_keys: set[bytes]

    def accepts_keys(self) -> bool:
        """Returns whether a new key is accepted, as if the user had tapped "Allow"."""

    def answers(self) -> bool:
        """Returns whether the phone answers new connections."""

    def serve(self, service: str) -> Callable[[Stream], None] | None:
        """Returns the handler of a service, None if the phone does not have it."""

    def note(self, kind: str, text: str = "", status: int | None = None) -> None:
        """Adds an entry to the phone's log."""


class Stream:
    """An open service. As in the classic protocol, only one WRTE may be unacknowledged."""

    def __init__(self, link: Link, local_id: int, remote_id: int):
        self._link = link
        self.local_id, self.remote_id = local_id, remote_id
        self._inbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ready = threading.Semaphore(1)
        self._write_lock = threading.Lock()
        self.closed = threading.Event()

    def read(self) -> bytes:
        """Waits for the data of the next WRTE and returns it.

        Raises:
            LinkLostError: if the stream was closed or the link was lost.
        """
        data = self._inbox.get()
        if data is None:
            raise LinkLostError("stream closed")
        self._link.send(Packet(wire.OKAY, self.local_id, self.remote_id))
        return data

    def write(self, data: bytes) -> None:
        """Sends `data`; waits for the acknowledgment of earlier data first.

        Raises:
            LinkLostError: if the stream was closed or the link was lost.
        """
        with self._write_lock:
            for start in range(0, len(data), self._link.max_payload):
                self._ready.acquire()
                if self.closed.is_set():
                    self._ready.release()
                    raise LinkLostError("stream closed")
                part = data[start : start + self._link.max_payload]
                self._link.send(Packet(wire.WRTE, self.local_id, self.remote_id, part))

    def deliver(self, data: bytes) -> None:
        """Receives a WRTE of the other side, which `read` acknowledges when it returns the data."""
        self._inbox.put(data)

    def acknowledged(self) -> None:
        """Receives an OKAY of the other side."""
        self._ready.release()

    def shut(self) -> None:
        """Marks the stream as closed and wakes threads that wait for it."""
        self.closed.set()
        self._inbox.put(None)
        self._ready.release()


class Link:
    """A connection, served by its own thread; each stream's service also has its own thread."""

    def __init__(self, sock: socket.socket, owner: Owner, gate: threading.Event):
        self._sock = sock
        self._gate = gate
        self._owner = owner
        self._send_lock = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._threads: list[threading.Thread] = []
        self._next_id = 1
        self._token = b""
        self._online = False
        self.offered_key: bytes | None = None
        self.dropped = threading.Event()
        self.version = wire.V2 if owner.profile.shell_v2 else wire.V1
        self.max_payload = wire.MAX_PAYLOAD[self.version]
        self._reader = threading.Thread(target=self._run, name="virtual phone link", daemon=True)

    def start(self) -> None:
        """Starts the thread of the connection."""
        self._reader.start()

    def send(self, packet: Packet) -> None:
        """Sends a packet; blocks while the phone is frozen.

        Raises:
            LinkLostError: if the link was lost.
        """
        self._gate.wait()
        if self.dropped.is_set():
            raise LinkLostError("link dropped")
        try:
            with self._send_lock:
                self._sock.sendall(packet.encode(self.version == wire.V1))
        except OSError as error:
            raise LinkLostError(str(error)) from error

    def drop(self) -> None:
        """Closes the connection at once, which the computer notices."""
        self.dropped.set()
        with contextlib.suppress(OSError):  # already closed by the computer
            self._sock.shutdown(socket.SHUT_RDWR)

    def join(self, timeout_s: float) -> None:
        """Waits up to `timeout_s` for each of the link's threads; call it after `drop`."""
        for thread in (self._reader, *self._threads):
            if thread is not threading.current_thread():
                thread.join(timeout_s)

    def welcome(self) -> None:
        """Sends the banner, which tells the computer that it is connected."""
        self._online = True
        banner = self._owner.profile.banner().encode()
        self.send(Packet(wire.CNXN, self.version, self.max_payload, banner))

    def _run(self) -> None:
        try:
            while True:
                packet = wire.read_packet(self._sock, check_sum=self.version == wire.V1)
                self._gate.wait()
                if self.dropped.is_set():
                    break
                self._handle(packet)
        except LinkLostError:
            pass
        finally:
            self.dropped.set()
            for stream in list(self._streams.values()):
                stream.shut()
            self._sock.close()

    def _handle(self, packet: Packet) -> None:
        if packet.command == wire.CNXN:
            self._greet(packet)
        elif packet.command == wire.AUTH:
            self._authenticate(packet)
        elif not self._online:
            return
        elif packet.command == wire.OPEN:
            self._open(packet)
        else:
            stream = self._streams.get(packet.arg1)
            if stream is None:
                return
            if packet.command == wire.OKAY:
                stream.acknowledged()
            elif packet.command == wire.WRTE:
                stream.deliver(packet.data)
            elif packet.command == wire.CLSE:
                stream.shut()

    def _greet(self, packet: Packet) -> None:
        if not self._owner.answers():
            return
        self.max_payload = min(self.max_payload, packet.arg1)
        self._owner.note("connect", packet.data.decode(errors="replace").rstrip("\0"))
        if self._owner.profile.auth == "open":
            self.welcome()
        else:
            self._ask_for_proof()

    def _ask_for_proof(self) -> None:
        self._token = os.urandom(20)
        self.send(Packet(wire.AUTH, wire.AUTH_TOKEN, 0, self._token))

    def _authenticate(self, packet: Packet) -> None:
        if packet.arg0 == wire.AUTH_SIGNATURE:
            known = self._owner.known_keys
            if any(wire.signed_by(key, self._token, packet.data) for key in known):
                self.welcome()
            else:
                self._ask_for_proof()
        elif packet.arg0 == wire.AUTH_PUBLIC_KEY:
            self.offered_key = packet.data
            self._owner.note("key offered")
            if self._owner.accepts_keys():
                self._owner.known_keys.add(packet.data)
                self.welcome()

    def _open(self, packet: Packet) -> None:
        name = packet.data.rstrip(b"\0").decode(errors="surrogateescape")
        self._owner.note("open", name)
        service = self._owner.serve(name)
        if service is None:
            self.send(Packet(wire.CLSE, 0, packet.arg0))
            return
        stream = Stream(self, self._next_id, packet.arg0)
        self._next_id += 1
        self._streams[stream.local_id] = stream
        self.send(Packet(wire.OKAY, stream.local_id, packet.arg0))
        thread = threading.Thread(
            target=self._run_service, args=(service, stream), name=name[:40], daemon=True
        )
        self._threads = [other for other in self._threads if other.is_alive()] + [thread]
        thread.start()

    def _run_service(self, service: Callable[[Stream], None], stream: Stream) -> None:
        try:
            service(stream)
        except LinkLostError:
            pass  # the reader of the stream notices the missing answer
        finally:
            self._streams.pop(stream.local_id, None)
            with contextlib.suppress(LinkLostError):
                self.send(Packet(wire.CLSE, stream.local_id, stream.remote_id))
