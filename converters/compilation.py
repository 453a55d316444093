"""Compiles `.tflite` files for the NPUs of Snapdragons: the file and its manifest."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from converters.parity.graph import label
from converters.tflite.model import Graph
from converters.tflite.reader import read
from zoo import runtime
from zoo.io.files import MAX_MODEL_BYTES, read_bytes, write_bytes, write_text
from zoo.io.provenance import Provenance
from zoo.runtime import npu_compiler
from zoo.runtime.npu_compiler import Compiled, Traffic
from zoo.schema.compiled import CompiledModel, LeftBehind


def compile_file(
    path: Path, soc: str, folder: Path, provenance: Provenance, timeout_s: float
) -> CompiledModel:
    """Compiles a file and writes `NAME-SOC.tflite` and its manifest `NAME-SOC.json`.

    Args:
        path: Any `.tflite`.
        soc: A key of `zoo.runtime.npu_compiler.SOCS`.
        folder: Folder to write to.
        provenance: Command and versions for the manifest.
        timeout_s: Limit of the compiler in seconds.

    Raises:
        UnknownNameError: if the SoC is unknown.
        ZooError: if the file can't be read or is damaged, the extra `npu` is not installed, the
            compiler fails or does not end in time, or the folder can't be written to.
    """
    content = read_bytes(path, "the model", MAX_MODEL_BYTES, "pass an existing .tflite file")
    graph = read(content, path.name).main
    made = npu_compiler.compile(content, soc, path.name, timeout_s)
    manifest = _manifest(path.stem, content, graph, made, provenance)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / f"{manifest.name}.tflite", made.content)
    write_text(folder / f"{manifest.name}.json", manifest.model_dump_json(indent=1) + "\n")
    return manifest


def _manifest(
    parent: str, content: bytes, graph: Graph, made: Compiled, provenance: Provenance
) -> CompiledModel:
    known = len(made.traffic) == made.partitions
    total = _total(made.traffic) if known else None
    return CompiledModel(
        name=f"{parent}-{made.soc}",
        soc=made.soc,
        parent=parent,
        parent_sha256=sha256(content).hexdigest(),
        sha256=sha256(made.content).hexdigest(),
        bytes=len(made.content),
        operators=made.nodes,
        on_npu=made.taken,
        partitions=made.partitions,
        left=tuple(
            LeftBehind(
                index=left.index,
                operator=graph.operators[left.index].name,
                layer=label(graph.tensors[graph.operators[left.index].outputs[0]].name),
                reason=left.reason,
            )
            for left in made.left
            if left.index < len(graph.operators)
        ),
        spilled_bytes=total and total.spilled,
        filled_bytes=total and total.filled,
        written_bytes=total and total.written,
        read_bytes=total and total.read,
        seconds=round(made.seconds, 2),
        versions={"ai-edge-litert": runtime.version("litert"), "qnn": made.sdk},
        command=provenance.command,
    )


def _total(parts: tuple[Traffic, ...]) -> Traffic:
    return Traffic(
        sum(part.spilled for part in parts),
        sum(part.filled for part in parts),
        sum(part.written for part in parts),
        sum(part.read for part in parts),
    )
