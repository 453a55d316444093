"""The two lines of benchmark_model behind one face, and how to tell which one a file is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from types import MappingProxyType
from typing import Protocol, Unpack

from android_bench.tools import litert, tflite
from android_bench.tools.delegates import Delegate, parse_delegate
from android_bench.tools.output import ToolResult
from android_bench.tools.tflite import Lengths
from zoo.errors import ZooError
from zoo.schema.measurement import Placement

INFO_FLAG = "model_runtime_info_output_file"
LIBRARIES = "/data/local/tmp"  # where a user puts LiteRT's GPU accelerator
_MAX_BYTES = 512 * 2**20
_BLOCK = 2**20


class Flags(Protocol):
    """Makes a tool's arguments, as `benchmark_model.tool_flags` does."""

    def __call__(
        self,
        graph: str,
        delegate: str,
        threads: int,
        *,
        profile: bool = False,
        runtime_info: str = "",
        **lengths: Unpack[Lengths],
    ) -> list[str]:
        """The arguments."""
        ...


class Parse(Protocol):
    """Judges a tool's run, as `benchmark_model.parse` does."""

    def __call__(
        self,
        stdout: str,
        stderr: str,
        exit_code: int,
        delegate: str,
        info: Placement | None = None,
    ) -> ToolResult:
        """The verdict."""
        ...


@dataclass(frozen=True)
class Tool:
    """One line of the tool.

    Attributes:
        name: as the rows call it, `configuration.runtime`.
        flags: gives its arguments; ZooError for a delegate that it lacks.
        parse: judges what it printed; never raises on any text.
        libraries: gives the folder on the phone in which a delegate's libraries lie, or nothing.
    """

    name: str
    flags: Flags
    parse: Parse
    libraries: Callable[[Delegate], str]

    def command(self, path: str, flags: list[str], delegate: str) -> str:
        """What the phone's shell is given.

        Args:
            path: of the executable, on the phone.
            flags: of `self.flags`.
            delegate: the same as theirs.
        """
        words = [path, *flags]
        if folder := self.libraries(parse_delegate(delegate)):
            # Qualcomm's DSP loads its own part from the other path.
            words = ["env", f"LD_LIBRARY_PATH={folder}", f"ADSP_LIBRARY_PATH={folder}", *words]
        return " ".join(quote(word) for word in words)


TFLITE = Tool(
    "benchmark_model",
    tflite.tool_flags,
    tflite.parse,
    lambda delegate: delegate.path.rpartition("/")[0],
)
LITERT = Tool(
    "litert_benchmark_model",
    litert.litert_flags,
    litert.parse_litert,
    lambda delegate: LIBRARIES if delegate.kind == "gpu" else "",
)
TOOLS: Mapping[str, Tool] = MappingProxyType({"tflite": TFLITE, "litert": LITERT})


def tool_of(binary: Path) -> Tool:
    """Which tool the executable is.

    LiteRT's carries the name of its source in its log lines. A file without it, such as a script
    that starts another, counts as TFLite's, whose reader refuses the lines of LiteRT's.

    Raises:
        ZooError: the file cannot be read, or is far too large.
    """
    return LITERT if _holds(binary, litert.MARK.encode()) else TFLITE


def has_flag(binary: Path, name: str) -> bool:
    """Whether the executable seems to know `--name`; with an unknown flag every run would fail.

    Raises:
        ZooError: the file cannot be read, or is far too large.
    """
    return _holds(binary, name.encode())


def _holds(path: Path, needle: bytes) -> bool:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ZooError(
                "this is too large for benchmark_model",
                where=path,
                expected=f"at most {_MAX_BYTES} bytes",
                remedy="give the executable itself with --benchmark_binary=PATH",
            )
        with path.open("rb") as stream:
            tail = b""
            while block := stream.read(_BLOCK):
                if needle in (window := tail + block):
                    return True
                tail = window[-len(needle) + 1 :]
    except OSError as error:
        raise ZooError("cannot read benchmark_model", where=path, got=error) from error
    return False
