"""Checks an artifact before publication; its manifest is recomputed from the file."""

from __future__ import annotations

import gzip
import json
import math
from hashlib import sha256

from converters.conversion import metadata
from converters.tflite import counts, reader
from converters.tflite.model import Model
from zoo import runtime
from zoo.catalog import precisions
from zoo.schema.artifact import Artifact, Metric
from zoo.schema.base import with_former_channels
from zoo.schema.measurement import Placement
from zoo.schema.run import Run

# Largest allowed loss of test top-1 against float32, in percentage points.
LARGEST_DROP = {
    row.name: row.largest_drop for row in precisions.ROWS if row.largest_drop is not None
}
_SCALES = (1e-12, 1e6)  # limits for any quantized tensor
_INPUT_RATIO = 2.0  # largest allowed ratio between the input range and the pixel range, either way
_PACKING = 0.03  # relative difference between zlib or LZMA versions in a packed size
_NOT_FOR_DELEGATES = tuple(row.name for row in precisions.ROWS if not row.delegated)
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
    """Returns one sentence per reason not to publish an artifact.

    Args:
        content: The `.tflite`.
        artifact: Its manifest.
        run: Run named in the manifest.
        placement: Operators that XNNPACK runs. None if LiteRT fails to run the file.
        score: Test accuracy of the file, None if it was not measured.
        parent: Test accuracy of the float32 artifact of the same network, None if there is none.
    """
    if artifact.parent_sha256 != run.weights_sha256:
        return [f"it was not converted from the current weights of {run.name}: convert it again"]
    for what, actual, stated in (
        ("network", run.config.model, artifact.model),
        ("dataset", run.dataset, artifact.dataset),
    ):
        if actual != stated:
            return [f"{what}: {run.name} has {actual}, the manifest says {stated}"]
    return [*recomputed(content, artifact, placement), *_accuracy(artifact, score, parent)]


def recomputed(content: bytes, artifact: Artifact, placement: Placement | None) -> list[str]:
    """Returns one sentence per mismatch with the manifest and per defect of the file.

    The arguments are those of `problems`.
    """
    digest = sha256(content).hexdigest()
    if digest != artifact.sha256:
        return [f"SHA-256 is {digest}, the manifest says {artifact.sha256}"]
    if placement is None:
        return ["LiteRT fails to run it"]
    sentences = [*_differences(content, artifact), *_scales(content, artifact)]
    if artifact.precision not in _NOT_FOR_DELEGATES and (
        placement.level != "full" or placement.partitions != 1
    ):
        sentences.append(
            f"XNNPACK runs {placement.delegated} of {placement.nodes} nodes in "
            f"{placement.partitions} partitions, not the whole graph in one"
        )
    return sentences


def pixels_range(artifact: Artifact) -> tuple[float, float] | None:
    """Returns the smallest and largest normalized pixel value, None if they are unknown."""
    preprocessing = artifact.preprocessing
    try:
        ends = [
            (pixel - float(mean)) / float(std)
            for mean, std in zip(preprocessing["mean"], preprocessing["std"], strict=True)
            for pixel in (0, 255)
        ]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (min(ends), max(ends)) if ends and all(map(math.isfinite, ends)) else None


def _differences(content: bytes, artifact: Artifact) -> list[str]:
    summary = counts.contents(content, artifact.name)
    net = runtime.load(content, "litert", "none", threads=1, where=artifact.name)
    inputs, outputs = net.inputs(), net.outputs()
    pairs = {
        "bytes": (len(content), artifact.bytes),
        "operators": (dict(summary.operators), dict(artifact.operators)),
        "parameters": (summary.parameters, artifact.parameters),
        "zeros": (round(summary.zeros, 6), artifact.zeros),
        "inputs": (inputs, artifact.inputs),
        "outputs": (outputs, artifact.outputs),
        "labels": (math.prod(outputs[0].shape[1:]), len(artifact.labels)),
    }
    differences = [
        f"{name}: the file has {actual}, the manifest says {stated}"
        for name, (actual, stated) in pairs.items()
        if actual != stated
    ]
    if not as_packed(packed := len(gzip.compress(content, 9, mtime=0)), artifact.gzip_bytes):
        differences.append(
            f"gzip_bytes: the compressed size is {packed}, the manifest says {artifact.gzip_bytes}"
        )
    return [*differences, *_against_card(content, artifact)]


def as_packed(actual: int, stated: int) -> bool:
    """Whether two packed sizes agree up to differences between versions of the compressor."""
    return abs(actual - stated) <= _PACKING * actual


def _against_card(content: bytes, artifact: Artifact) -> list[str]:
    """Returns one sentence per field in which the embedded card and the manifest differ."""
    model = reader.read(content, artifact.name)
    cards = [
        bytes(model.raw(entry.data)) for entry in model.metadata if entry.name == metadata.CARD
    ]
    try:
        (text,) = cards
        card = json.loads(text)
        card["preprocessing"] = with_former_channels(card.get("preprocessing"))
        card["validation_accuracy"] = card["metrics"]["validation_accuracy_in_keras"]
    except (ValueError, KeyError, TypeError):
        return ["the file has no readable card: convert it again"]
    stated = artifact.model_dump(mode="json")
    return [
        f"{name}: the card in the file says {card.get(name)}, the manifest says {stated[name]}"
        for name in _IN_CARD
        if card.get(name) != stated[name]
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
    return [f"the input range is {ratio:.3g} times the range of normalized pixels"]


def _accuracy(artifact: Artifact, score: Metric | None, parent: Metric | None) -> list[str]:
    if score is None:
        return ["it has no test accuracy: run zoo benchmark"]
    expected = artifact.recipe.expected_accuracy
    if expected is not None and score.top1 < expected:
        return [f"its test accuracy is {score.top1:.4f}, the recipe expects at least {expected:g}"]
    allowed = LARGEST_DROP.get(artifact.precision)
    if allowed is None:
        return []
    if parent is None:
        return ["the float32 artifact of the same network has no test accuracy to compare with"]
    lost = 100 * (parent.top1 - score.top1)
    if lost > allowed:
        return [f"it loses {lost:.2f} points against float32, the limit is {allowed:g}"]
    return []
