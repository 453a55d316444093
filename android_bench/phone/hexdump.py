"""Bytes from a phone as text: Android 6 changes line ends, and not every phone has base64."""

from __future__ import annotations

import re
from shlex import quote

from zoo.errors import ZooError

TEXT_BYTES = 3.2  # for a byte, as `od` prints it


def dump(path: str) -> str:
    """A shell command that prints a file for `read`."""
    return f"od -An -v -tx1 {quote(path)}"


def read(text: str) -> bytes:
    """What `dump` printed, in bytes; its columns may have any space between.

    Raises:
        ZooError: it is nothing of the kind.
    """
    if re.fullmatch(r"(?:\s*[0-9a-f]{2})*\s*", text) is None:
        raise ZooError("bytes arrived garbled from the phone", expected="hexadecimal digits")
    return bytes.fromhex(text)
