"""Transfers bytes from a phone as hex text.

Android 6 changes line endings in binary output, and not every phone has base64.
"""

from __future__ import annotations

import re
from shlex import quote

from zoo.errors import ZooError

TEXT_BYTES = 3.2  # characters per byte in the output of `od`


def dump(path: str) -> str:
    """Returns the shell command that prints a file in the format of `read`."""
    return f"od -An -v -tx1 {quote(path)}"


def read(text: str) -> bytes:
    """Decodes the output of the `dump` command; columns may be separated by any whitespace.

    Raises:
        ZooError: if the text is not hexadecimal bytes.
    """
    if re.fullmatch(r"(?:\s*[0-9a-f]{2})*\s*", text) is None:
        raise ZooError("data from the phone was garbled", expected="hexadecimal digits")
    return bytes.fromhex(text)
