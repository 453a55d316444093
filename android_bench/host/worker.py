"""Runs one case in a process of its own, `python -m android_bench.host.worker`.

That keeps peak memory honest, and a crashing kernel costs one row, not the run. Started by
`android_bench.host.bench`, by the protocol of `zoo.runtime.child`.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np

from zoo import data, runtime
from zoo.data.split import Split
from zoo.errors import ZooError
from zoo.io.files import MAX_MODEL_BYTES, read_bytes
from zoo.runtime.child import serve
from zoo.schema.artifact import PixelMean, PixelStd, TensorInfo
from zoo.schema.base import Strict
from zoo.schema.measurement import Latency, Placement


class TimingRequest(Strict):
    """What to run. `score` is None for timing, else what the accuracy needs."""

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
    """A data set's test split, and the pixel statistics and classes of the model's training."""

    dataset: str
    image_size: int
    validation_images: int
    data_dir: str = ""
    skip_broken: bool = False
    mean: PixelMean
    std: PixelStd
    labels: tuple[str, ...]

    def pictures(self) -> Split:
        """The test split.

        Raises:
            ZooError: it can't be had, or the user's folder has other classes by now.
        """
        found = data.load(
            self.dataset, self.image_size, self.validation_images, self.data_dir, self.skip_broken
        )
        # Published sets have the same classes by whatever names.
        if self.dataset == "image_folder" and found.labels != self.labels:
            raise ZooError(
                "the pictures have other classes than the model",
                where=self.data_dir,
                expected=", ".join(self.labels),
                got=", ".join(found.labels),
                remedy="name the folders as they were, or train again",
            )
        return found.test


TimingRequest.model_rebuild()


class TimingAnswer(Strict):
    """`inferences`: when all that counts of them began and ended, by `time.monotonic`."""

    placement: Placement
    latency: Latency
    inferences: tuple[float, float]


class ScoreAnswer(Strict):
    """Top-1 accuracy, 0 to 1, on so many images."""

    placement: Placement
    top1: float
    images: int


def answer(request: TimingRequest) -> TimingAnswer | ScoreAnswer:
    """Loads the model, checks its hash, and times or scores it."""
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
        top1, images = score(net, request.score)
        return ScoreAnswer(placement=placement, top1=top1, images=images)
    latency, inferences = measure(net, request, init_us, before_kb)
    return TimingAnswer(placement=placement, latency=latency, inferences=inferences)


def measure(
    net: runtime.Net, request: TimingRequest, init_us: float, before_kb: int
) -> tuple[Latency, tuple[float, float]]:
    """Times `invoke` alone on random input, with benchmark_model's rule for warm-up and runs.

    Returns:
        the times, and when all that counts of them began and ended by `time.monotonic`, which the
        processes of a computer share.
    """
    net.set_input(_random_input(net.inputs()[0]))
    first_us = _invoke_us(net)
    warm = time.perf_counter() + request.warmup_secs
    while time.perf_counter() < warm:
        net.interpreter.invoke()
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


def score(net: runtime.Net, wanted: ScoreRequest) -> tuple[float, int]:
    """Top-1 accuracy, 0 to 1, over the whole test split, one image after the other."""
    split = wanted.pictures()
    right = 0
    for image, label in zip(split.images, split.labels, strict=True):
        right += int(np.argmax(net.run(data.normalize(image, wanted.mean, wanted.std)))) == label
    return right / len(split), len(split)


def _invoke_us(net: runtime.Net) -> float:
    began = time.perf_counter_ns()
    net.interpreter.invoke()
    return (time.perf_counter_ns() - began) / 1e3


def _random_input(tensor: TensorInfo) -> np.ndarray:
    random = np.random.default_rng(1)
    dtype = np.dtype(tensor.dtype)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return random.integers(limits.min, limits.max, tensor.shape[1:], dtype, endpoint=True)
    return random.standard_normal(tensor.shape[1:]).astype(dtype)


if __name__ == "__main__":
    sys.exit(serve(lambda line: answer(TimingRequest.model_validate_json(line))))
