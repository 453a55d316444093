"""CompiledModel: the manifest of a `.tflite` that was compiled for the NPU of a SoC."""

from __future__ import annotations

from pydantic import Field

from zoo.schema.base import Name, Sha256, Strict


class LeftBehind(Strict):
    """An operator that runs on the CPU, and the compiler's reason in its own words."""

    index: int
    operator: str
    layer: str
    reason: str


class CompiledModel(Strict):
    """The manifest next to a compiled file: `NAME.json` describes `NAME.tflite`.

    Attributes:
        name: Name of the parent and the SoC.
        soc: Qualcomm's name of the SoC, for example `SM8650`.
        parent: Name of the file that was compiled.
        parent_sha256: Its SHA-256.
        sha256: SHA-256 of the compiled file.
        bytes: Size of the compiled file.
        operators: Number of operators of the parent.
        on_npu: How many of them run on the NPU.
        partitions: Number of parts that the NPU runs.
        left: The other operators.
        spilled_bytes: Activations written to the phone's memory for want of space, per inference.
            None, as each of the following, if the compiler does not tell it for every partition.
        filled_bytes: The same, read back.
        written_bytes: All bytes written to the phone's memory, per inference.
        read_bytes: All bytes read from it, weights included, per inference.
        seconds: Elapsed time of the compiler.
        versions: Versions of LiteRT and of Qualcomm's libraries (`qnn`).
        command: The command that made the file.
    """

    name: Name
    soc: Name
    parent: Name
    parent_sha256: Sha256
    sha256: Sha256
    bytes: int = Field(ge=0)
    operators: int = Field(ge=0)
    on_npu: int = Field(ge=0)
    partitions: int = Field(ge=0)
    left: tuple[LeftBehind, ...] = ()
    spilled_bytes: int | None = None
    filled_bytes: int | None = None
    written_bytes: int | None = None
    read_bytes: int | None = None
    seconds: float = Field(ge=0)
    versions: dict[str, str]
    command: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether the NPU runs the whole graph in one partition."""
        return self.on_npu == self.operators and self.partitions == 1
