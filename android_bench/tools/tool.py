"""A common interface to both benchmark_model tools, and detection of the tool of an executable."""

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
LIBRARIES = "/data/local/tmp"  # folder of LiteRT's GPU accelerator, copied there by the user
_MAX_BYTES = 512 * 2**20
_BLOCK = 2**20


class Flags(Protocol):
    """Builds a tool's arguments, for example `tflite.tool_flags`."""

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
        """Returns the arguments."""
        ...


class Parse(Protocol):
    """Parses the output of a tool, for example `tflite.parse`."""

    def __call__(
        self,
        stdout: str,
        stderr: str,
        exit_code: int,
        delegate: str,
        info: Placement | None = None,
    ) -> ToolResult:
        """Returns the result."""
        ...


@dataclass(frozen=True)
class Tool:
    """One of the benchmark tools.

    Attributes:
        name: Name in result lines (`configuration.runtime`).
        flags: Returns the arguments; raises ZooError for an unsupported delegate.
        parse: Parses the output; never raises, whatever the text.
        libraries: Returns the phone's folder with the libraries of a delegate; empty if none is
            needed.
    """

    name: str
    flags: Flags
    parse: Parse
    libraries: Callable[[Delegate], str]

    def command(self, path: str, flags: list[str], delegate: str) -> str:
        """Returns the shell command that runs the tool.

        Args:
            path: Path of the executable on the phone.
            flags: Arguments from `self.flags`.
            delegate: Delegate that the flags select.
        """
        words = [path, *flags]
        if folder := self.libraries(parse_delegate(delegate)):
            # Qualcomm's DSP loads its libraries from ADSP_LIBRARY_PATH.
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
    """Detects which tool an executable is.

    LiteRT's tool contains the name of its source file, which it prints in its log lines. Any other
    file, for example a wrapper script, counts as TFLite's, whose parser rejects LiteRT's output.

    Raises:
        ZooError: if the file cannot be read or is too large.
    """
    return LITERT if _holds(binary, litert.MARK.encode()) else TFLITE


def has_flag(binary: Path, name: str) -> bool:
    """Returns whether the executable contains the flag's name; unknown flags fail every run.

    Raises:
        ZooError: if the file cannot be read or is too large.
    """
    return _holds(binary, name.encode())


def _holds(path: Path, needle: bytes) -> bool:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ZooError(
                "the file is too large to be benchmark_model",
                where=path,
                expected=f"at most {_MAX_BYTES} bytes",
                remedy="pass the executable itself with --benchmark_binary=PATH",
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
