"""Compiles a `.tflite` for the NPU of a Snapdragon (Hexagon), with Qualcomm's own compiler.

LiteRT's compiler plugin calls Qualcomm's libraries, which the extra `npu` installs as a part of
onnxruntime-qnn. They stay where pip put them: a folder of links is made for each run, because the
plugin looks for one library that is not there and that any other one satisfies.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import UnknownNameError, ZooError, one_line
from zoo.io.die_with_parent import guarded
from zoo.io.files import MAX_MODEL_BYTES, read_bytes

REMEDY = "make setup-npu, or pip install 'mobile-model-zoo[npu]' (Linux on x86-64 only)"
_TOOL = "tools/apply_plugin_main"
_PLUGIN = "vendors/qualcomm/compiler"
_ABSENT, _SUBSTITUTE = "libQnnLpai.so", "libQnnSaver.so"
_MOST_LOG_BYTES = 64 * 2**20

_PARTITIONED = re.compile(
    r"Partitioned subgraph<0>, selected (\d+) ops, from a total of (\d+) ops\. "
    r"resulted in (\d+) partitions"
)
_LEFT = re.compile(r"LiteRT Op #(\d+) '(\w+)' .* is not supported")
_REASON = re.compile(r"<E> (?!Supported|Requested|Please|Failed|Qnn)(.*)")
_NODE = re.compile(r" in the node '[^']*'")
_SDK = re.compile(r"Applying plugin with SDK version: v?([\w.]+)")
_TRAFFIC = re.compile(r"\b(spill|fill|write_total|read_total)_bytes=(\d+)")


@dataclass(frozen=True)
class Soc:
    """A Snapdragon.

    Attributes:
        number: QNN's number of the model.
        hexagon: Version of its NPU; None if it is not published.
        name: Its name in shops.
    """

    number: int
    hexagon: int | None
    name: str


SOCS = {
    "SM8350": Soc(30, 68, "Snapdragon 888"),
    "SM8450": Soc(36, 69, "Snapdragon 8 Gen 1"),
    "SM8475": Soc(42, 69, "Snapdragon 8+ Gen 1"),
    "SM8550": Soc(43, 73, "Snapdragon 8 Gen 2"),
    "SM8650": Soc(57, 75, "Snapdragon 8 Gen 3"),
    "SM8750": Soc(69, 79, "Snapdragon 8 Elite"),
    "SM8845": Soc(97, None, "Snapdragon 8 Gen 5"),
    "SM8850": Soc(87, 81, "Snapdragon 8 Elite Gen 5"),
}
DEFAULT_SOC = "SM8650"


@dataclass(frozen=True)
class Traffic:
    """Bytes that one inference of a partition moves between the NPU and the phone's memory.

    `spilled` and `filled` are the activations that did not fit into the NPU's own memory.
    """

    spilled: int
    filled: int
    written: int
    read: int


@dataclass(frozen=True)
class LeftOperator:
    """An operator that the compiler leaves to the CPU.

    Attributes:
        index: Position in the graph.
        name: Operator, in the compiler's spelling.
        reason: Its reason, in its words; empty if it gives none.
    """

    index: int
    name: str
    reason: str


@dataclass(frozen=True)
class Compiled:
    """A compiled file.

    Attributes:
        content: The new `.tflite`, whose custom operators hold the NPU's code.
        soc: A key of `SOCS`.
        nodes: Number of operators before.
        taken: Number of those that run on the NPU.
        partitions: Number of parts that the NPU runs, each with its own call.
        traffic: Memory traffic of the partitions for which the compiler tells it.
        left: Operators left to the CPU.
        sdk: Version of Qualcomm's libraries.
        seconds: Elapsed time.
    """

    content: bytes
    soc: str
    nodes: int
    taken: int
    partitions: int
    traffic: tuple[Traffic, ...]
    left: tuple[LeftOperator, ...]
    sdk: str
    seconds: float

    @property
    def whole(self) -> bool:
        """Whether the NPU runs the whole graph in one partition."""
        return self.taken == self.nodes and self.partitions == 1


def libraries() -> Path:
    """Returns the folder of Qualcomm's libraries, without loading any.

    Raises:
        ZooError: if the extra `npu` is not installed.
    """
    found = importlib.util.find_spec("onnxruntime_qnn")
    folder = Path(found.origin).parent if found is not None and found.origin else None
    if folder is None or not (folder / "libQnnHtp.so").is_file():
        raise ZooError("the NPU's compiler and emulator are not installed", remedy=REMEDY)
    return folder


def compile(content: bytes, soc: str, where: object, timeout_s: float = 300.0) -> Compiled:
    """Compiles a file for the NPU of a SoC.

    Args:
        content: Content of any `.tflite`.
        soc: A key of `SOCS`.
        where: Name of the file, shown in error messages.
        timeout_s: Limit in seconds, after which the compiler is ended.

    Raises:
        UnknownNameError: if the SoC is unknown.
        ZooError: if the extra is not installed, or the compiler fails or does not end in time.
    """
    if soc not in SOCS:
        raise UnknownNameError("SoC", soc, SOCS)
    litert = importlib.util.find_spec("ai_edge_litert")
    if litert is None or litert.origin is None:
        raise ZooError("LiteRT is not installed", remedy="pip install ai-edge-litert")
    package = Path(litert.origin).parent
    with tempfile.TemporaryDirectory(prefix="zoo-npu-") as scratch:
        folder = Path(scratch)
        source, target, log = folder / "in.tflite", folder / "out.tflite", folder / "log"
        source.write_bytes(content)
        began_s = time.monotonic()
        code = _run(
            [
                str(package / _TOOL), "--cmd=apply", f"--model={source}", f"--o={target}",
                "--soc_manufacturer=Qualcomm", f"--soc_model={soc}", "--err=--",
                f"--libs={package / _PLUGIN}",
            ],
            _search_path(libraries(), folder / "links"),
            log,
            timeout_s,
        )  # fmt: skip
        seconds = time.monotonic() - began_s
        words = _text(log)
        partitioned = _PARTITIONED.search(words)
        if code is None:
            taken = (
                f", though it takes {partitioned[1]} of {partitioned[2]} operators"
                if partitioned
                else ""
            )
            raise ZooError(
                f"the NPU's compiler for {soc} did not end",
                where=where,
                expected=f"an end within {timeout_s:g} s",
                got=f"none{taken}",
            )
        if code != 0 or partitioned is None or not target.is_file():
            raise ZooError(
                f"the NPU's compiler for {soc} failed",
                where=where,
                got=f"exit code {code}; {_last_error(words)}",
            )
        result = read_bytes(target, "the compiled model", MAX_MODEL_BYTES, "")
    sdk = _SDK.search(words)
    return Compiled(
        content=result,
        soc=soc,
        nodes=int(partitioned[2]),
        taken=int(partitioned[1]),
        partitions=int(partitioned[3]),
        traffic=tuple(_traffic(words)),
        left=tuple(_left(words)),
        sdk=sdk[1] if sdk else "unknown",
        seconds=seconds,
    )


def _search_path(source: Path, links: Path) -> str:
    """Makes the folder of links; returns the folders in which libraries are looked for."""
    links.mkdir()
    for library in source.glob("*.so"):
        (links / library.name).symlink_to(library)
    if not (links / _ABSENT).exists():
        (links / _ABSENT).symlink_to(source / _SUBSTITUTE)
    bundled = source.with_name(f"{source.name}.libs")  # where pip puts what they depend on
    return os.pathsep.join([str(links), str(bundled)])


def _run(command: list[str], search_path: str, log: Path, timeout_s: float) -> int | None:
    """Returns the exit code, or None if the time was over."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            guarded(command),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LD_LIBRARY_PATH": search_path},
        )
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()
            process.wait()


def _text(log: Path) -> str:
    with log.open("rb") as stream:
        return stream.read(_MOST_LOG_BYTES).decode(errors="replace")


def _traffic(words: str) -> Iterator[Traffic]:
    """Yields the summary of each partition, in the order in which they were compiled."""
    found: dict[str, int] = {}
    for kind, count in _TRAFFIC.findall(words):
        found[kind] = int(count)
        if len(found) == 4:
            yield Traffic(found["spill"], found["fill"], found["write_total"], found["read_total"])
            found = {}


def _left(words: str) -> Iterator[LeftOperator]:
    """Yields the operators that are left; the first error before each is its reason.

    It comes without the node's name, which is another one for each operator, and lines that explain
    it or follow from it are passed over.
    """
    reason = ""
    for line in words.splitlines():
        if operator := _LEFT.search(line):
            yield LeftOperator(int(operator[1]), operator[2], reason)
            reason = ""
        elif not reason and (error := _REASON.search(line)):
            reason = one_line(_NODE.sub("", error[1]), 200)


def _last_error(words: str) -> str:
    errors = [line for line in words.splitlines() if "ERROR" in line or "<E>" in line]
    return one_line(errors[-1], 200) if errors else "no output"
