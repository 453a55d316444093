"""The adb transport protocol: packets, and the authentication of a computer by its key."""

from __future__ import annotations

import base64
import socket
import struct
from dataclasses import dataclass

_HEADER = struct.Struct("<6I")
V1 = 0x01000000  # data has a checksum, the sum of its bytes
V2 = 0x01000001  # without a checksum
MAX_PAYLOAD = {V1: 4096, V2: 2**20}
AUTH_TOKEN, AUTH_SIGNATURE, AUTH_PUBLIC_KEY = 1, 2, 3


def _number(name: str) -> int:
    return int.from_bytes(name.encode(), "little")


CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = map(_number, ("CNXN", "AUTH", "OPEN", "OKAY", "WRTE", "CLSE"))


class LinkLostError(Exception):
    """The connection or the stream has ended."""


@dataclass(frozen=True)
class Packet:
    """A message of the protocol."""

    command: int
    arg0: int
    arg1: int
    data: bytes = b""

    def encode(self, with_sum: bool) -> bytes:
        """Returns the bytes to send, with a checksum if `with_sum`."""
        total = sum(self.data) & 0xFFFFFFFF if with_sum else 0
        magic = self.command ^ 0xFFFFFFFF
        return _HEADER.pack(
            self.command, self.arg0, self.arg1, len(self.data), total, magic
        ) + bytes(self.data)


def read_packet(sock: socket.socket, check_sum: bool) -> Packet:
    """Reads the next packet.

    Raises:
        LinkLostError: if the connection ends or its data is not a valid packet.
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
    """Returns whether `signature` is a signature of `token` (PKCS#1 v1.5, token as SHA-1 digest).

    Args:
        public_key: Key as sent by adb: base64 of Android's RSA key structure, a space, a user name.
        token: The 20 bytes to be signed.
        signature: The signature, 256 bytes.
    """
    structure = base64.b64decode(public_key.split(b" ")[0].rstrip(b"\0"))
    words = struct.unpack_from("<I", structure)[0]
    modulus = int.from_bytes(structure[8 : 8 + 4 * words], "little")
    exponent = struct.unpack_from("<I", structure, 8 + 8 * words)[0]
    opened = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(4 * words, "big")
    return opened.startswith(b"\0\1\xff") and opened.endswith(b"\0" + _SHA1_PREFIX + token)


_SHA1_PREFIX = bytes.fromhex("3021300906052b0e03021a05000414")
