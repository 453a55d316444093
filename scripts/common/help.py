"""What --help prints: what the command does, then its own flags in groups, with their defaults."""

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
_SHARED = "scripts.common."  # modules that define flags for several commands
_titles: dict[str, str] = {}  # flag → group
_hidden: set[str] = set()


def group(title: str, *names: str) -> None:
    """Shows the flags of these names, which are defined, under a title of their own."""
    for name in names:
        FLAGS[name]  # a name that is mistyped here fails at once
        _titles[name] = title


def hide(*names: str) -> None:
    """Does not show flags: former names of others."""
    _hidden.update(names)


def asked_for(arguments: Sequence[str]) -> bool:
    """Whether the arguments have --help, -h or the like; absl's own --helpfull is left to it."""
    return any(word.lstrip("-") in ("help", "h", "helpshort", "?") for word in arguments
               if word.startswith("-"))  # fmt: skip


def text(program: str) -> str:
    """All of it.

    Args:
        program: what to call the command, as in `zoo train`.
    """
    columns = min(_MOST_COLUMNS, shutil.get_terminal_size((_MOST_COLUMNS, 24)).columns)
    groups: dict[str, list[flags.Flag[Any]]] = {"Flags": []}
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
        f"--flagfile=FILE reads flags from a file; {program} --helpfull lists all of absl's."
    )
    return "\n".join(lines)


def _own() -> Iterator[flags.Flag[Any]]:
    """The command's flags in the order of their definition, those that it shares at the end."""
    modules = FLAGS.flags_by_module_dict()
    shared = [flag for name in modules if name.startswith(_SHARED) for flag in modules[name]]
    for flag in [*modules.get(sys.argv[0], []), *shared]:
        if flag.name not in _hidden:
            yield flag


def _lines(flag: flags.Flag[Any], columns: int) -> list[str]:
    default = _shown(flag)
    sentence = flag.help.removeprefix(f"{_choices(flag)}: ") + (
        f" (default: {default})" if default else ""
    )
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
    """As absl puts them in front of the help text; empty where any value will do."""
    values = flag.parser.enum_values if isinstance(flag.parser, flags.EnumParser) else ()
    return f"<{'|'.join(values)}>" if values else ""


def _shown(flag: flags.Flag[Any]) -> str:
    """The default in words; empty where there is none to tell."""
    value = flag.default
    if value in (None, "", []) or "(default" in flag.help:
        return ""
    if flag.boolean:
        return "on" if value else "off"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
