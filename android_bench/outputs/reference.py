"""Reference outputs of the host: input files for the phone, and outputs to compare with."""

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
_TIMEOUT_S = 900.0  # all images of a model, with plain kernels


@dataclass(frozen=True)
class OutputImages:
    """The images for which outputs are compared.

    Attributes:
        count: Number of images to draw from the model's test split; all if it has fewer.
        seed: Seed of the random draw.
        images: A tar or folder of JPEGs for models without a manifest.
    """

    count: int = 8
    seed: int = 1
    images: Path | None = None


@dataclass(frozen=True)
class OutputReference:
    """Inputs and outputs of a model on the host, computed with LiteRT's plain kernels.

    Attributes:
        inputs: Files with the raw bytes of the input tensor, and their SHA-256.
        input_shape: Shape of the input, including the batch axis.
        output: The output tensor.
        outputs: Dequantized output values for each input, float64 (n,).
        pictures: Description of the images.
        runtime: Runtime that computed the outputs, with its version.
    """

    inputs: tuple[tuple[Path, str], ...]
    input_shape: tuple[int, ...]
    output: TensorInfo
    outputs: tuple[np.ndarray, ...]
    pictures: str
    runtime: str


class References:
    """Computes and caches one reference per model: `with References(OutputImages()) as refs`.

    The input files are in a temporary folder that is deleted at the end of the `with` block.
    """

    def __init__(self, selection: OutputImages):
        self.selection = selection
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
        """Returns the reference of a case's model.

        Raises:
            ZooError: if there are no images for the model, or the host can't run it.
        """
        if case.sha256 not in self._known:
            log(f"computing the reference outputs of {case.model} {case.precision}")
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
        (file,) = candidates([str(case.path)], case.path.parent)
        images = self.selection.images
        request = OutputRequest(
            path=str(case.path.resolve()),  # the worker starts in another folder
            sha256=case.sha256,
            folder=str(folder),
            count=self.selection.count,
            seed=self.selection.seed,
            split=bench.test_split(file.artifact) if file.artifact else None,
            pictures=None if file.artifact or images is None else str(images.resolve()),
        )
        with Child(_WORKER, name="the process with litert", timeout_s=_TIMEOUT_S) as child:
            answer = child.ask(request, OutputAnswer, case.path.name)
        numbers = range(1, answer.images + 1)
        try:
            raw = [(folder / f"output-{number}").read_bytes() for number in numbers]
            outputs = tuple(values(content, answer.output) for content in raw)
        except ZooError as error:
            raise ZooError(f"the host's outputs can't be compared: {error}") from error
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
    """Returns the total size of the outputs for all images, in bytes."""
    return byte_size(reference.output) * len(reference.inputs)
