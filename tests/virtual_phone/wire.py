"""The adb transport protocol: packets, and the proof that a computer holds a key."""

from __future__ import annotations

import base64
import socket
import struct
from dataclasses import dataclass

_HEADER = struct.Struct("<6I")
V1 = 0x01000000  # data carries a byte sum
V2 = 0x01000001  # it need not
MAX_PAYLOAD = {V1: 4096, V2: 2**20}
AUTH_TOKEN, AUTH_SIGNATURE, AUTH_PUBLIC_KEY = 1, 2, 3


def _number(name: str) -> int:
    return int.from_bytes(name.encode(), "little")


CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = map(_number, ("CNXN", "AUTH", "OPEN", "OKAY", "WRTE", "CLSE"))


class LinkLostError(Exception):
    """The connection or the stream is gone."""


@dataclass(frozen=True)
class Packet:
    """One message of the protocol."""

    command: int
    arg0: int
    arg1: int
    data: bytes = b""

    def encode(self, with_sum: bool) -> bytes:
        """The bytes on the wire."""
        total = sum(self.data) & 0xFFFFFFFF if with_sum else 0
        magic = self.command ^ 0xFFFFFFFF
        return _HEADER.pack(
            self.command, self.arg0, self.arg1, len(self.data), total, magic
        ) + bytes(self.data)


def read_packet(sock: socket.socket, check_sum: bool) -> Packet:
    """The next packet.

    Raises:
        LinkLostError: the connection ended, or carries something that is not this protocol.
    """
    command, arg0, arg1, length, total, magic = _HEADER.unpack(_read_exactly(sock, _HEADER.size))
    if magic != command ^ 0xFFFFFFFF or length > MAX_PAYLOAD[V2]:
        raise LinkLostError("not an adb packet")
    data = _read_exactly(sock, length)
    if check_sum and sum(data) & 0xFFFFFFFF != total:
        raise LinkLostError("wrong checksum")
    return Packet(command, arg0, arg1, data)


def _read_exactly(sock: socket.socket, length: int) -> bytes:
    data = bytearray(length)
    view = memoryview(data)
    done = 0
    while done < length:
        try:
            received = sock.recv_into(view[done:])
        except OSError as error:
            raise LinkLostError(str(error)) from error
        if received == 0:
            raise LinkLostError("closed by the computer")
        done += received
    return bytes(data)


def signed_by(public_key: bytes, token: bytes, signature: bytes) -> bool:
    """Whether `signature` is one of `token` (PKCS#1 v1.5, the token standing for a SHA-1).

    Args:
        public_key: as adb sends it: base64 of Android's RSA key structure, a space, a user name.
        token: the 20 bytes that were sent to be signed.
        signature: 256 bytes.
    """
    structure = base64.b64decode(public_key.split(b" ")[0].rstrip(b"\0"))
    words = struct.unpack_from("<I", structure)[0]
    modulus = int.from_bytes(structure[8 : 8 + 4 * words], "little")
    exponent = struct.unpack_from("<I", structure, 8 + 8 * words)[0]
    opened = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(4 * words, "big")
    return opened.startswith(b"\0\1\xff") and opened.endswith(b"\0" + _SHA1_PREFIX + token)


_SHA1_PREFIX = bytes.fromhex("3021300906052b0e03021a05000414")
