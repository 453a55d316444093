"""The connections of a virtual phone to computers, and faults of these connections."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.support.processes import HANG_S
from tests.virtual_phone.link import Link, Owner


class Cable:
    """Accepts connections on one port of 127.0.0.1 and hands each to a `Link`.

    Attributes:
        port: TCP port of the phone, constant for its lifetime.
        gate: Set unless the phone is frozen.
        greets: False if new connections are accepted but never answered.
    """

    def __init__(self, owner: Owner):
        self._owner = owner
        self._lock = threading.RLock()
        self._links: list[Link] = []
        self._listener: socket.socket | None = None
        self._other: socket.socket | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.greets = True
        # A socket that never listens reserves the port while the phone is unplugged.
        self._holder = _bound_socket(0)
        self.port = int(self._holder.getsockname()[1])

    def links(self) -> list[Link]:
        """Returns the open connections."""
        with self._lock:
            return [link for link in self._links if not link.dropped.is_set()]

    def open(self) -> None:
        """Accepts and answers connections, and ends a freeze."""
        with self._lock:
            self.greets = True
            self.gate.set()
            if self._listener is None:
                self._listener = _bound_socket(self.port)
                self._listener.listen(16)
                threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def listen_also(self, port: int) -> None:
        """Also accepts connections on another port until `close`, as after `adb tcpip`."""
        self._other = _bound_socket(port)
        self._other.listen(16)
        threading.Thread(target=self._accept, args=(self._other,), daemon=True).start()

    def cut(self) -> None:
        """Drops all connections, which ends their commands, and refuses new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that is blocked in accept()
            listener.close()
        self.drop_links()

    def drop_links(self) -> None:
        """Drops all connections and waits for their threads."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.drop()
        frozen = not self.gate.is_set()
        self.gate.set()  # threads of a frozen phone wait for the gate
        for link in links:
            link.join(HANG_S)
        if frozen and self._listener is not None:
            self.gate.clear()

    def close(self) -> None:
        """Drops all connections and releases the ports."""
        self.cut()
        if self._other is not None:
            with contextlib.suppress(OSError):
                self._other.shutdown(socket.SHUT_RDWR)
            self._other.close()
        self._holder.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return  # the listener was closed
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if listener not in (self._listener, self._other):
                    sock.close()
                    return
                link = Link(sock, self._owner, self.gate)
                self._links = [*self.links(), link]
                link.start()


def _bound_socket(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock
