"""What every command shares: one-line errors, exit codes, the --output flag.

Exit codes: 0 done, 1 a problem that the line on stderr tells, 2 wrong flags, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from absl import app, flags

from scripts.common import console, help
from zoo.errors import UnknownNameError, ZooError, one_line

FLAGS = flags.FLAGS
_SPACE = "free some space, or name another place"
_RIGHTS = "mind the permissions, or name another place"
# What a system refuses for reasons of its user's; any other OSError is a mistake of ours.
_REFUSALS = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: _SPACE,
    errno.EROFS: "name a place that can be written",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EEXIST: "name a folder: there is a file",  # Path.mkdir says so
    errno.ENOTDIR: "name a folder: there is a file",
    errno.EISDIR: "name a file: there is a folder",
    errno.ENAMETOOLONG: "take a shorter name",
    errno.EIO: "look after the disk",
}


def define_output() -> None:
    """Defines --output, the folder where every stage reads and writes."""
    flags.DEFINE_string(
        "output",
        "output",
        "folder for runs/, artifacts/, report/ and results.jsonl",
    )


def output() -> Path:
    """The --output folder."""
    return Path(FLAGS.output)


def cache() -> Path:
    """Where downloads are kept."""
    from zoo.io import cache

    return cache.folder()


def former_flag(former: str, name: str) -> None:
    """Still reads a flag under a former name, since commands in manifests have it."""
    flags.DEFINE_alias(former, name)
    help.hide(former)


def say(text: str) -> None:
    """One line of progress, shown at once also when piped."""
    print(text, flush=True)


def complain(problem: object) -> None:
    """One line on stderr about something that does not stop the rest."""
    print(f"error: {problem}", file=sys.stderr, flush=True)


def required(name: str) -> str:
    """The value of a flag that must be given."""
    value = FLAGS[name].value
    if not value:
        raise ZooError(f"--{name} is missing", remedy=f"give --{name}, see --help")
    return value


def choice(name: str, allowed: Iterable[str]) -> str:
    """The value of a required flag with a closed list of values."""
    value = required(name)
    if value not in allowed:
        raise UnknownNameError(f"--{name}", value, allowed)
    return value


def choices(name: str, allowed: Iterable[str]) -> list[str]:
    """The values of a required flag that takes a comma-separated list from a closed list."""
    values = list(dict.fromkeys(FLAGS[name].value or []))
    if not values:
        raise ZooError(f"--{name} is empty", expected=", ".join(allowed))
    for value in values:
        if value not in allowed:
            raise UnknownNameError(f"--{name}", value, allowed)
    return values


def file_name(value: str, flag: str) -> str:
    """`value`, checked to be a plain name that can't leave its folder."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,119}", value):
        raise ZooError(
            f"{value!r} is not a name",
            where=flag,
            expected="letters, digits, '_', '-' and '.', not starting with '.' or '-'",
        )
    return value


def _parse(argv: list[str]) -> list[str]:
    if help.asked_for(argv[1:]):
        with contextlib.suppress(BrokenPipeError):
            print(help.text(_program()), flush=True)
        sys.exit(0)
    try:
        return app.parse_flags_with_usage(argv) if "--helpfull" in argv[1:] else FLAGS(argv)
    except flags.Error as error:
        complain(f"{one_line(error)} | to do: see {_program()} --help")
        sys.exit(2)


def _program() -> str:
    """What the user typed to run this command."""
    spec = sys.modules["__main__"].__spec__
    name = spec.name.removeprefix("scripts.") if spec else Path(sys.argv[0]).stem
    return f"{console.PROGRAM} {name}" if console.used() else f"python -m scripts.{name}"


def _refusal(error: OSError) -> ZooError:
    return ZooError(
        "the system refuses a file",
        where=error.filename2 or error.filename,  # the second is the place, the first temporary
        got=error.strerror,
        remedy=_REFUSALS[error.errno or 0],
    )


def run(main: Callable[[list[str]], int | None], positional: bool = False) -> None:
    """Parses the flags, runs `main(argv)` and exits with its code (None is 0).

    Args:
        main: gets argv with the flags removed.
        positional: whether arguments that are no flags are allowed.
    """

    def guarded(argv: list[str]) -> None:
        try:
            if len(argv) > 1 and not positional:
                raise ZooError(
                    f"unexpected argument {argv[1]!r}",
                    expected="only --flags",
                    remedy="write --name=value, or see --help",
                )
            code = main(argv)
            sys.stdout.flush()
        except ZooError as error:
            complain(error)
            code = 1
        except KeyboardInterrupt:
            print("interrupted: nothing half-written is left", file=sys.stderr, flush=True)
            code = 130
        except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
            code = 0
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise
            complain(_refusal(error))
            code = 1
        try:
            sys.stdout.flush()
        except OSError:  # its reader has gone, or its disk is full: Python would try it once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(code)

    app.run(guarded, flags_parser=_parse)
