"""What an artifact must keep to be published: its manifest is recomputed from the file."""

from __future__ import annotations

import gzip
import json
import math
from hashlib import sha256

from converters.conversion import metadata
from converters.tflite import counts, reader
from converters.tflite.model import Model
from zoo import runtime
from zoo.schema.artifact import Artifact, Metric
from zoo.schema.measurement import Placement
from zoo.schema.run import Run

# Points of top-1 on the test split that a precision may lose against float32.
LARGEST_DROP = {"float16": 0.3, "dynamic_int8": 1.0, "int8": 1.5, "int8_qat": 1.5, "int16x8": 0.5}
_SCALES = (1e-12, 1e6)  # of any quantized tensor; beyond them a range is a mistake
_INPUT_RATIO = 2.0  # how much wider or narrower than the pixels' range an input's may be
_PACKING = 0.03  # share that another zlib or LZMA may make of a packed size
_NOT_FOR_DELEGATES = ("int16x8",)
_IN_CARD = (
    "name", "model", "dataset", "precision", "scheme", "labels", "preprocessing", "parent_run",
    "parent_sha256", "validation_accuracy",
)  # fmt: skip


def problems(
    content: bytes,
    artifact: Artifact,
    run: Run,
    placement: Placement | None,
    score: Metric | None,
    parent: Metric | None,
) -> list[str]:
    """One sentence for each reason not to publish.

    Args:
        content: the `.tflite`.
        artifact: its manifest.
        run: that its manifest names.
        placement: where XNNPACK runs it; None where LiteRT can't.
        score: its test accuracy.
        parent: that of the float32 artifact; None for the float32 one itself.
    """
    if artifact.parent_sha256 != run.weights_sha256:
        return [f"it was made of other weights than those of {run.name} now: convert it again"]
    for what, made, said in (
        ("network", run.config.model, artifact.model),
        ("data set", run.dataset, artifact.dataset),
    ):
        if made != said:
            return [f"{what}: that of {run.name} is {made}, the manifest says {said}"]
    return [*recomputed(content, artifact, placement), *_accuracy(artifact, score, parent)]


def recomputed(content: bytes, artifact: Artifact, placement: Placement | None) -> list[str]:
    """One sentence for each thing that the file is not as its manifest says, or should not be.

    Args: as `problems`.
    """
    digest = sha256(content).hexdigest()
    if digest != artifact.sha256:
        return [f"SHA-256 is {digest}, the manifest says {artifact.sha256}"]
    if placement is None:
        return ["LiteRT can't run it"]
    found = [*_differences(content, artifact), *_scales(content, artifact)]
    if artifact.precision not in _NOT_FOR_DELEGATES and (
        placement.level != "full" or placement.partitions != 1
    ):
        found.append(
            f"XNNPACK takes {placement.delegated} of {placement.nodes} nodes in "
            f"{placement.partitions} partitions, not the whole graph in one"
        )
    return found


def pixels_range(artifact: Artifact) -> tuple[float, float] | None:
    """The range of the network's input over all pixels, from the preprocessing; None: unknown."""
    told = artifact.preprocessing
    try:
        ends = [
            (pixel - float(mean)) / float(std)
            for mean, std in zip(told["mean"], told["std"], strict=True)
            for pixel in (0, 255)
        ]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (min(ends), max(ends)) if ends and all(map(math.isfinite, ends)) else None


def _differences(content: bytes, artifact: Artifact) -> list[str]:
    told = counts.contents(content, artifact.name)
    net = runtime.load(content, "litert", "none", threads=1, where=artifact.name)
    inputs, outputs = net.inputs(), net.outputs()
    pairs = {
        "bytes": (len(content), artifact.bytes),
        "operators": (dict(told.operators), dict(artifact.operators)),
        "parameters": (told.parameters, artifact.parameters),
        "zeros": (round(told.zeros, 6), artifact.zeros),
        "inputs": (inputs, artifact.inputs),
        "outputs": (outputs, artifact.outputs),
        "labels": (math.prod(outputs[0].shape[1:]), len(artifact.labels)),
    }
    found = [
        f"{name}: the file has {there}, the manifest says {said}"
        for name, (there, said) in pairs.items()
        if there != said
    ]
    if not as_packed(packed := len(gzip.compress(content, 9, mtime=0)), artifact.gzip_bytes):
        found.append(f"gzip_bytes: it takes {packed}, the manifest says {artifact.gzip_bytes}")
    return [*found, *_against_card(content, artifact)]


def as_packed(there: int, said: int) -> bool:
    """Whether a packed size is the one that the manifest says: other versions pack otherwise."""
    return abs(there - said) <= _PACKING * there


def _against_card(content: bytes, artifact: Artifact) -> list[str]:
    """What the file says of itself otherwise than the manifest."""
    model = reader.read(content, artifact.name)
    cards = [
        bytes(model.raw(entry.data)) for entry in model.metadata if entry.name == metadata.CARD
    ]
    try:
        (text,) = cards
        told = json.loads(text)
        told["validation_accuracy"] = told["metrics"]["validation_accuracy_in_keras"]
    except (ValueError, KeyError, TypeError):
        return ["the file has no card that can be read: convert it again"]
    said = artifact.model_dump(mode="json")
    return [
        f"{name}: the file's card says {told.get(name)}, the manifest {said[name]}"
        for name in _IN_CARD
        if told.get(name) != said[name]
    ]


def _scales(content: bytes, artifact: Artifact) -> list[str]:
    model: Model = reader.read(content, artifact.name)
    low, high = _SCALES
    for graph in model.graphs:
        for tensor in graph.tensors:
            for scale in tensor.quantization.scales if tensor.quantization else ():
                if not low <= scale <= high:
                    return [f"tensor {tensor.name} has a scale of {scale:g}"]
    net, pixels = artifact.inputs[0], pixels_range(artifact)
    if net.scale is None or net.dtype != "int8" or pixels is None:
        return []
    ratio = 255 * net.scale / (pixels[1] - pixels[0])
    if 1 / _INPUT_RATIO <= ratio <= _INPUT_RATIO:
        return []
    return [f"the input's numbers cover {ratio:.3g} times the range that pixels have"]


def _accuracy(artifact: Artifact, score: Metric | None, parent: Metric | None) -> list[str]:
    if score is None:
        return ["it was not scored on the test split: run python -m scripts.benchmark"]
    expected = artifact.recipe.expected_accuracy
    if expected is not None and score.top1 < expected:
        return [f"test accuracy {score.top1:.4f}, its recipe expects {expected:g}"]
    allowed = LARGEST_DROP.get(artifact.precision)
    if allowed is None:
        return []
    if parent is None:
        return ["no float32 artifact of the same network was scored, to compare with"]
    lost = 100 * (parent.top1 - score.top1)
    if lost > allowed:
        return [f"it loses {lost:.2f} points against float32, {allowed:g} are allowed"]
    return []
