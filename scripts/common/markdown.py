"""Replaces a marked part of a Markdown page, and keeps the text around it."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import ZooError
from zoo.io.files import read_bytes, write_text

_MAX_BYTES = 2**20


def replace_between_marks(path: Path, name: str, text: str) -> None:
    """Replaces what stands between the lines `<!-- name -->` and `<!-- /name -->` of a page.

    Raises:
        ZooError: the page does not exist, is larger than 1 MiB, or lacks one of the lines; it is
            not changed then.
    """
    begin, end = (f"<!-- {mark} -->\n" for mark in (name, f"/{name}"))
    page = read_bytes(path, "the page", _MAX_BYTES, "create it with the two marks").decode()
    before, found_begin, rest = page.partition(begin)
    old, found_end, after = rest.partition(end)
    if not found_begin or not found_end or begin in old:
        raise ZooError(
            f"the page has no place for the {name}",
            where=path,
            expected=f"the lines {begin.strip()} and {end.strip()}",
        )
    write_text(path, f"{before}{begin}\n{text}\n{end}{after}")
