"""AlexNet rows: sizes from published figures per layer, accuracies from a small AlexNet.

No public AlexNet weights are available here. Sizes are computed from the number of weights, the
density after pruning and the bits per code published for each layer; the pattern of zeros costs its
entropy. The effect on accuracy is measured on a small AlexNet with a quarter of the channels.
"""

from __future__ import annotations

import math
from pathlib import Path

from converters.studies.compression_table.commands import DATASETS
from converters.studies.compression_table.published import ALEXNET_BYTES, LAYERS
from converters.studies.compression_table.rows import (
    CompressionRow,
    ImageAccuracy,
    against,
    size_of,
)
from converters.studies.compression_table.trained import flatbuffer, reason, scored
from zoo import data, runs
from zoo.errors import ZooError
from zoo.io.log import Log

PART = "AlexNet: sizes computed from published densities and bits"
SMALL = "AlexNet with a quarter of the channels, trained here"
_BIASES = 10_568
_SCHEMES = {
    "": "float32",
    "-low_rank": "SVD",
    "-pruned": "pruning to the published densities",
    "-pruned-clustered": "Deep Compression: the same pruning and codes of the published bits",
}


def pruned_bytes() -> float:
    """Returns the bytes of remaining float32 weights, the entropy of the zeros, and biases."""
    bits = sum(
        layer.weights * (32 * layer.density + _entropy(layer.density)) for layer in LAYERS.values()
    )
    return bits / 8 + 4 * _BIASES


def deep_compression_bytes() -> float:
    """Returns the bytes of codes, float32 codebooks, the entropy of the zeros, and biases."""
    bits = sum(
        layer.weights * (layer.bits * layer.density + _entropy(layer.density)) + 32 * 2**layer.bits
        for layer in LAYERS.values()
    )
    return bits / 8 + 4 * _BIASES


def _entropy(p: float) -> float:
    return -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def rows(output: Path, log: Log) -> list[CompressionRow]:
    """Returns the rows of the published network and of the small network on each dataset.

    Args:
        output: The --output folder with the runs.
        log: Called with progress messages.
    """
    table = [
        CompressionRow(part=PART, name="AlexNet", how="float32 parameters", computed=ALEXNET_BYTES),
        CompressionRow(
            part=PART,
            name="AlexNet, SVD",
            reason="the split layers and their ranks are not published; see the small network",
        ),
        CompressionRow(
            part=PART,
            name="AlexNet, pruning",
            how="published densities; float32 weights and the entropy of the zero pattern",
            computed=pruned_bytes(),
        ),
        CompressionRow(
            part=PART,
            name="AlexNet, Deep Compression",
            how="as above, with codes of 8 bits (convolutions) and 5 bits (dense), without the "
            "paper's Huffman coding",
            computed=deep_compression_bytes(),
        ),
    ]
    for dataset in DATASETS:
        table += _small(output, dataset, log)
    return table


def _small(output: Path, name: str, log: Log) -> list[CompressionRow]:
    table: list[CompressionRow] = []
    reference = base = None
    for suffix, scheme in _SCHEMES.items():
        title, run_name = f"{DATASETS[name]}, {scheme}", f"alexnet-{name}{suffix}"
        try:
            run = runs.load(output / "runs" / run_name)
            dataset = data.of_run(run)
            log(f"{run.name}: scoring")
            content = flatbuffer(run, output, dataset)
            right = scored(content, dataset)
        except ZooError as error:
            table.append(
                CompressionRow(part=SMALL, name=title, reason=reason(error, output, run_name))
            )
            continue
        if suffix == "":
            reference, base = right, len(content)
        accuracy = (
            ImageAccuracy(pictures=len(right), top1=float(right.mean()))
            if reference is None or suffix == ""
            else against(right, reference)
        )
        how = f"width {run.config.width:g}; float32 .tflite"
        size = size_of(content)
        table.append(
            CompressionRow(
                part=SMALL, name=title, how=how, size=size, base=base, accuracies=(accuracy,)
            )
        )
    return table
