"""Runs one case in a child process, `python -m android_bench.host.worker`.

A separate process gives a clean peak memory, and a crashing kernel fails one row instead of the
whole run. `android_bench.host.bench` starts it with the protocol of `zoo.runtime.child`.
"""

from __future__ import annotations

import resource
import statistics
import time
from hashlib import sha256
from pathlib import Path

import numpy as np

from zoo import data, runtime
from zoo.data.split import Split
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.runtime.child import serve
from zoo.schema import correct
from zoo.schema.artifact import PixelMean, PixelStd, TensorInfo
from zoo.schema.base import Strict
from zoo.schema.correct import CorrectBits
from zoo.schema.measurement import Latency, Placement


class TimingRequest(Strict):
    """The case to run.

    Attributes:
        path: Absolute path of the model.
        sha256: SHA-256 of the model.
        runtime: Name of the TFLite runtime, for example `litert`.
        delegate: `xnnpack` or `none`.
        threads: Number of threads.
        num_runs: Minimum number of timed inferences.
        min_secs: Minimum duration of the timed run in s.
        warmup_secs: Duration of the warm-up in s.
        score: The test split to score; None to time the model.
    """

    path: str
    sha256: str
    runtime: str
    delegate: str
    threads: int
    num_runs: int
    min_secs: float
    warmup_secs: float
    score: ScoreRequest | None = None


class ScoreRequest(Strict):
    """The test split of a dataset, and how the model normalizes it.

    Attributes:
        dataset: Name of the dataset.
        image_size: Height and width of the images in pixels.
        validation_images: Size of the validation split of the training.
        data_dir: Folder of the user's dataset; empty for a published one.
        skip_broken: Whether to skip images that can't be decoded.
        mean, std: Pixel statistics of the training.
        labels: Class names of the model.
    """

    dataset: str
    image_size: int
    validation_images: int
    data_dir: str = ""
    skip_broken: bool = False
    mean: PixelMean
    std: PixelStd
    labels: tuple[str, ...]

    def load_split(self) -> Split:
        """Loads the test split.

        Raises:
            ZooError: if the dataset is not available, or the classes of the user's folder differ
                from the model's.
        """
        dataset = data.load(
            self.dataset, self.image_size, self.validation_images, self.data_dir, self.skip_broken
        )
        # The classes of published datasets are fixed, even if their names differ.
        if self.dataset == "image_folder" and dataset.labels != self.labels:
            raise ZooError(
                "the classes of the images differ from the model's",
                where=self.data_dir,
                expected=", ".join(self.labels),
                got=", ".join(dataset.labels),
                remedy="restore the folder names, or train the model again",
            )
        return dataset.test


TimingRequest.model_rebuild()


class TimingAnswer(Strict):
    """Timing result.

    Attributes:
        placement: Which part of the graph the delegate ran.
        latency: Statistics of this process.
        inferences: Start and end of the timed inferences, by `time.monotonic` in s.
    """

    placement: Placement
    latency: Latency
    inferences: tuple[float, float]


class ScoreAnswer(Strict):
    """Scoring result.

    Attributes:
        placement: Which part of the graph the delegate ran.
        top1: Top-1 accuracy, 0 to 1.
        images: Number of images.
        correct: Which images were classified correctly, see `zoo.schema.correct`.
    """

    placement: Placement
    top1: float
    images: int
    correct: CorrectBits


def answer(request: TimingRequest) -> TimingAnswer | ScoreAnswer:
    """Loads the model and times or scores it.

    Raises:
        ZooError: if the model's hash differs from the request, or it can't be loaded or run.
    """
    path = Path(request.path)
    content = read_bytes(path, "the model", MAX_MODEL_BYTES, "name an existing .tflite")
    if (got := sha256(content).hexdigest()) != request.sha256:
        raise ZooError(
            "the model changed on disk", where=path, expected=f"sha256 {request.sha256}", got=got
        )
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter_ns()
    net = runtime.load(content, request.runtime, request.delegate, request.threads, path.name)
    init_us = (time.perf_counter_ns() - began) / 1e3
    placement = net.placement()
    if request.score is not None:
        right = score(net, request.score)
        return ScoreAnswer(
            placement=placement,
            top1=float(right.mean()),
            images=len(right),
            correct=correct.encode(right),
        )
    net.check_timed(path.name)
    latency, inferences = measure(net, request, init_us, before_kb)
    return TimingAnswer(placement=placement, latency=latency, inferences=inferences)


def measure(
    net: runtime.Net, request: TimingRequest, init_us: float, before_kb: int
) -> tuple[Latency, tuple[float, float]]:
    """Times `invoke` on random input, with the warm-up and run lengths of benchmark_model.

    Args:
        net: The loaded model.
        request: Run lengths.
        init_us: Time to load the model in µs.
        before_kb: Peak memory of the process before loading, in KiB.

    Returns:
        The statistics, and start and end of the timed inferences by `time.monotonic` in s, a clock
        that all processes of a computer share.
    """
    net.set_input(_random_input(net.inputs()[0]))
    first_us = _invoke_us(net)
    warm = time.perf_counter() + request.warmup_secs
    while time.perf_counter() < warm:
        net.invoke()
    times_us: list[float] = []
    began_s = time.monotonic()
    end = time.perf_counter() + request.min_secs
    while len(times_us) < request.num_runs or time.perf_counter() < end:
        times_us.append(_invoke_us(net))
    ended_s = time.monotonic()
    p5, median, p95 = np.percentile(times_us, [5, 50, 95])
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    latency = Latency(
        runs=len(times_us),
        processes=1,
        init_us=init_us,
        first_us=first_us,
        avg_us=statistics.fmean(times_us),
        min_us=min(times_us),
        max_us=max(times_us),
        std_us=statistics.pstdev(times_us),
        median_us=float(median),
        p5_us=float(p5),
        p95_us=float(p95),
        peak_memory_mb=(peak_kb - before_kb) / 1024,
    )
    return latency, (began_s, ended_s)


def score(net: runtime.Net, request: ScoreRequest) -> np.ndarray:
    """Returns which images of the whole test split are classified correctly, bool (n,).

    The batch size is 1.
    """
    split = request.load_split()
    right = np.zeros(len(split), bool)
    for i, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
        output = net.run(data.normalize(image, request.mean, request.std))
        right[i] = np.argmax(output) == label
    return right


def _invoke_us(net: runtime.Net) -> float:
    began = time.perf_counter_ns()
    net.invoke()
    return (time.perf_counter_ns() - began) / 1e3


def _random_input(tensor: TensorInfo) -> np.ndarray:
    random = np.random.default_rng(1)
    dtype = np.dtype(tensor.dtype)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return random.integers(limits.min, limits.max, tensor.shape[1:], dtype, endpoint=True)
    return random.standard_normal(tensor.shape[1:]).astype(dtype)


if __name__ == "__main__":
    serve(lambda line: answer(TimingRequest.model_validate_json(line)))
