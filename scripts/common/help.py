"""Text of --help: the docstring of the command, then its flags in groups, with defaults."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags

FLAGS = flags.FLAGS
_INDENT = " " * 6
_MOST_COLUMNS = 100
_SHARED = "scripts.common."  # modules that define flags of commands
_titles: dict[str, str] = {}  # name of a flag → title of its group
_first: list[str] = []  # titles of the groups before "Flags"
_hidden: set[str] = set()


def group(title: str, *names: str, first: bool = False) -> None:
    """Lists flags under a common title instead of under "Flags".

    Args:
        title: Title of the group.
        names: Names of flags that are already defined.
        first: Whether the group comes before all others.
    """
    for name in names:
        FLAGS[name]  # raises KeyError if the name is misspelled
        _titles[name] = title
    if first:
        _first.append(title)


def hide(*names: str) -> None:
    """Omits flags, such as former names of other flags."""
    _hidden.update(names)


def asked_for(arguments: Sequence[str]) -> bool:
    """Returns whether --help or one of its short forms is given; absl handles --helpfull."""
    return any(word.lstrip("-") in ("help", "h", "helpshort", "?") for word in arguments
               if word.startswith("-"))  # fmt: skip


def text(program: str) -> str:
    """Returns the text of --help, as wide as the terminal but at most 100 columns.

    Args:
        program: Name of the command, for example `zoo train`.
    """
    columns = min(_MOST_COLUMNS, shutil.get_terminal_size((_MOST_COLUMNS, 24)).columns)
    groups: dict[str, list[flags.Flag[Any]]] = {title: [] for title in (*_first, "Flags")}
    for flag in _own():
        groups.setdefault(_titles.get(flag.name, "Flags"), []).append(flag)
    lines = [(sys.modules["__main__"].__doc__ or "").strip(), ""]
    for title, members in groups.items():
        if members:
            lines += [
                f"{title}:",
                *(line for flag in members for line in _lines(flag, columns)),
                "",
            ]
    lines.append(
        f"--flagfile=FILE reads flags from a file; {program} --helpfull also lists those of absl."
    )
    return "\n".join(lines)


def _own() -> Iterator[flags.Flag[Any]]:
    """Yields the flags of the command in the order of definition, then the shared ones."""
    modules = FLAGS.flags_by_module_dict()
    shared = [flag for name in modules if name.startswith(_SHARED) for flag in modules[name]]
    for flag in [*modules.get(sys.argv[0], []), *shared]:
        if flag.name not in _hidden:
            yield flag


def _lines(flag: flags.Flag[Any], columns: int) -> list[str]:
    default = _shown(flag)
    # absl's addition for flags that may be repeated contains runs of spaces.
    description = " ".join(flag.help.removeprefix(f"{_choices(flag)}: ").split()).replace(
        "repeat this option to specify a list of values", "may be given several times"
    )
    sentence = f"{description} (default: {default})" if default else description
    wrapped = textwrap.wrap(
        sentence, columns, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False
    )
    return [f"  {_form(flag)}", *wrapped]


def _form(flag: flags.Flag[Any]) -> str:
    if flag.boolean:
        return f"--[no]{flag.name}"
    if choices := _choices(flag):
        return f"--{flag.name}={choices.strip('<>')}"
    kinds = ((flags.IntegerParser, "N"), (flags.FloatParser, "NUMBER"), (flags.ListParser, "LIST"))
    kind = next((word for parser, word in kinds if isinstance(flag.parser, parser)), "TEXT")
    return f"--{flag.name}={kind}"


def _choices(flag: flags.Flag[Any]) -> str:
    """Returns the values as absl puts them before the help text; empty if any value is valid."""
    values = flag.parser.enum_values if isinstance(flag.parser, flags.EnumParser) else ()
    return f"<{'|'.join(values)}>" if values else ""


def _shown(flag: flags.Flag[Any]) -> str:
    """Returns the default as text; empty if there is none or the help text already has it."""
    value = flag.default
    if value in (None, "", []) or "(default" in flag.help:
        return ""
    if flag.boolean:
        return "on" if value else "off"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
