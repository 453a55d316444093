"""What this computer says to some pictures: inputs as files, and outputs to compare with."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from android_bench.host import bench
from android_bench.outputs.compare import byte_size, values
from android_bench.outputs.reference_worker import OutputAnswer, OutputRequest
from android_bench.tasks.cases import Case, candidates
from zoo.errors import ZooError
from zoo.io.files import sha256_of
from zoo.io.log import Log
from zoo.runtime.child import Child
from zoo.schema.artifact import TensorInfo

_WORKER = "android_bench.outputs.reference_worker"
_TIMEOUT_S = 900.0  # some pictures through plain kernels


@dataclass(frozen=True)
class OutputImages:
    """Which pictures are run on a phone.

    Attributes:
        count: of the test split of the data set that a manifest names; all of a smaller one.
        seed: of the choice.
        images: a tar or folder of JPEGs for files without a manifest.
    """

    count: int = 8
    seed: int = 1
    images: Path | None = None


@dataclass(frozen=True)
class OutputReference:
    """What this computer computes with LiteRT's plain kernels.

    Attributes:
        inputs: files with the raw bytes of the input tensor, and their SHA-256.
        input_shape: with the batch axis.
        output: the output tensor.
        outputs: its dequantized values for each input.
        pictures: which they are, in words.
        runtime: what computed the outputs.
    """

    inputs: tuple[tuple[Path, str], ...]
    input_shape: tuple[int, ...]
    output: TensorInfo
    outputs: tuple[np.ndarray, ...]
    pictures: str
    runtime: str


class References:
    """References by file, each computed once: `with References(Pictures()) as references`.

    The inputs are files in a folder that goes with the `with` block.
    """

    def __init__(self, pictures: OutputImages):
        self.pictures = pictures
        self._folder = tempfile.TemporaryDirectory(prefix="mobile_model_zoo-")
        self._known: dict[str, OutputReference | ZooError] = {}

    def __enter__(self) -> References:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def of(self, case: Case, log: Log = lambda _: None) -> OutputReference:
        """The reference of a case's file.

        Raises:
            ZooError: there are no pictures for it, or this computer can't run it.
        """
        if case.sha256 not in self._known:
            log(f"computing what {case.model} {case.precision} should say")
            try:
                self._known[case.sha256] = self._compute(case)
            except ZooError as error:
                self._known[case.sha256] = error
        known = self._known[case.sha256]
        if isinstance(known, ZooError):
            raise known
        return known

    def _compute(self, case: Case) -> OutputReference:
        folder = Path(self._folder.name, case.sha256)
        folder.mkdir()
        (found,) = candidates([str(case.path)], case.path.parent)
        images = self.pictures.images
        request = OutputRequest(
            path=str(case.path.resolve()),  # the worker starts in another folder
            sha256=case.sha256,
            folder=str(folder),
            count=self.pictures.count,
            seed=self.pictures.seed,
            split=bench.test_split(found.artifact) if found.artifact else None,
            pictures=None if found.artifact or images is None else str(images.resolve()),
        )
        with Child(_WORKER, name="the process with litert", timeout_s=_TIMEOUT_S) as child:
            answer = child.ask(request, OutputAnswer, case.path.name)
        numbers = range(1, answer.images + 1)
        try:
            raw = [(folder / f"output-{number}").read_bytes() for number in numbers]
            outputs = tuple(values(one, answer.output) for one in raw)
        except ZooError as error:
            raise ZooError(f"this computer gives nothing to compare with: {error}") from error
        inputs = [folder / f"input-{number}" for number in numbers]
        return OutputReference(
            inputs=tuple((path, sha256_of(path)) for path in inputs),
            input_shape=answer.input_shape,
            output=answer.output,
            outputs=outputs,
            pictures=answer.pictures,
            runtime=answer.reference,
        )


def output_bytes(reference: OutputReference) -> int:
    """Bytes of all outputs."""
    return byte_size(reference.output) * len(reference.inputs)
