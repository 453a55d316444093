"""One-line errors, exit codes and the --output flag of all commands.

Exit codes: 0 success, 1 failure with an error line on stderr, 2 invalid flags, 130 interrupted.
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
_SPACE = "free some space, or use another folder"
_RIGHTS = "check the permissions, or use another folder"
# Errors that the user can fix. Any other OSError is a bug and keeps its traceback.
_REFUSALS = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: _SPACE,
    errno.EROFS: "use a writable folder",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EEXIST: "pass a folder, not a file",  # raised by Path.mkdir
    errno.ENOTDIR: "pass a folder, not a file",
    errno.EISDIR: "pass a file, not a folder",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EIO: "check the disk",
}


def define_output() -> None:
    """Defines --output, the folder that all commands read and write."""
    flags.DEFINE_string(
        "output",
        "output",
        "folder of runs/, artifacts/, report/ and results.jsonl",
    )


def output() -> Path:
    """Returns the --output folder."""
    return Path(FLAGS.output)


def cache() -> Path:
    """Returns the folder where downloads are kept."""
    from zoo.io import cache

    return cache.folder()


def former_flag(former: str, name: str) -> None:
    """Accepts a former name of a flag, which commands in older manifests use."""
    flags.DEFINE_alias(former, name)
    help.hide(former)


def say(text: str) -> None:
    """Prints a line to stdout and flushes it, so that pipes show it at once."""
    print(text, flush=True)


def complain(problem: object) -> None:
    """Prints an error line to stderr without stopping."""
    print(f"error: {problem}", file=sys.stderr, flush=True)


def required(name: str) -> str:
    """Returns the value of a required flag.

    Raises:
        ZooError: if the flag is not given or empty.
    """
    value = FLAGS[name].value
    if not value:
        raise ZooError(f"--{name} is required", remedy=f"pass --{name}, see --help")
    return value


def choice(name: str, allowed: Iterable[str]) -> str:
    """Returns the value of a required flag that has a closed list of values.

    Raises:
        ZooError: if the flag is not given, or its value is not allowed.
    """
    value = required(name)
    if value not in allowed:
        raise UnknownNameError(f"--{name}", value, allowed)
    return value


def choices(name: str, allowed: Iterable[str]) -> list[str]:
    """Returns the values of a required list flag that has a closed list of values.

    Duplicates are dropped.

    Raises:
        ZooError: if the flag is empty, or one of its values is not allowed.
    """
    values = list(dict.fromkeys(FLAGS[name].value or []))
    if not values:
        raise ZooError(f"--{name} is empty", expected=", ".join(allowed))
    for value in values:
        if value not in allowed:
            raise UnknownNameError(f"--{name}", value, allowed)
    return values


def file_name(value: str, flag: str) -> str:
    """Returns `value` if it is a plain file name, which can't lead out of its folder.

    Args:
        value: Name of a run or another file.
        flag: Flag shown in the error message.

    Raises:
        ZooError: if `value` is not a plain file name.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,119}", value):
        raise ZooError(
            f"invalid name {value!r}",
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
    """Returns how the user called this command, for example `zoo train`."""
    spec = sys.modules["__main__"].__spec__
    name = spec.name.removeprefix("scripts.") if spec else Path(sys.argv[0]).stem
    return f"{console.PROGRAM} {name}" if console.used() else f"python -m scripts.{name}"


def _refusal(error: OSError) -> ZooError:
    return ZooError(
        "file operation failed",
        where=error.filename2 or error.filename,  # a rename's first name is a temporary file
        got=error.strerror,
        remedy=_REFUSALS[error.errno or 0],
    )


def run(main: Callable[[list[str]], int | None], positional: bool = False) -> None:
    """Parses the flags, calls `main` and exits with its return value; None counts as 0.

    Args:
        main: Called with argv without the flags.
        positional: Whether arguments other than flags are allowed.
    """

    def guarded(argv: list[str]) -> None:
        try:
            if len(argv) > 1 and not positional:
                raise ZooError(
                    f"unexpected argument {argv[1]!r}",
                    expected="flags only",
                    remedy="write flags as --name=value, see --help",
                )
            code = main(argv)
            sys.stdout.flush()
        except ZooError as error:
            complain(error)
            code = 1
        except KeyboardInterrupt:
            print("interrupted; no partly written files remain", file=sys.stderr, flush=True)
            code = 130
        except BrokenPipeError:  # the reader of the output has exited, for example `head`
            code = 0
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise
            complain(_refusal(error))
            code = 1
        try:
            sys.stdout.flush()
        except OSError:  # reader gone or disk full; Python would flush again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(code)

    app.run(guarded, flags_parser=_parse)
