"""AlexNet's rows: sizes from what was published of each layer, accuracies from a small AlexNet.

No public weights of AlexNet can be had here. Its sizes are arithmetic on the layers' weights, the
densities after pruning and the bits of a code as published; a zero pattern costs its entropy. What
the schemes do to accuracy is shown on a small AlexNet, of a quarter of the channels, trained here.
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
SMALL = "AlexNet of a quarter of the channels, trained here"
_BIASES = 10_568
_SCHEMES = {
    "": "float32",
    "-low_rank": "SVD",
    "-pruned": "pruning to the published densities",
    "-pruned-clustered": "Deep Compression: the same and codes of the published bits",
}


def pruned_bytes() -> float:
    """The weights that are left as float32, the zero pattern's entropy, float32 biases."""
    bits = sum(
        layer.weights * (32 * layer.density + _entropy(layer.density)) for layer in LAYERS.values()
    )
    return bits / 8 + 4 * _BIASES


def deep_compression_bytes() -> float:
    """Codes of the published bits and float32 codebooks in place of the float32 weights."""
    bits = sum(
        layer.weights * (layer.bits * layer.density + _entropy(layer.density)) + 32 * 2**layer.bits
        for layer in LAYERS.values()
    )
    return bits / 8 + 4 * _BIASES


def _entropy(p: float) -> float:
    return -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def rows(output: Path, log: Log) -> list[CompressionRow]:
    """The published network's rows, then those of the small one on each data set."""
    found = [
        CompressionRow(part=PART, name="AlexNet", how="float32 parameters", computed=ALEXNET_BYTES),
        CompressionRow(
            part=PART,
            name="AlexNet, SVD",
            reason="which layers were split, and their ranks, is not published; see the small one",
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
            how="likewise with codes of 8 bits (convolutions) and 5 (dense), which are not entropy "
            "coded here; the paper's Huffman coding is",
            computed=deep_compression_bytes(),
        ),
    ]
    for dataset in DATASETS:
        found += _small(output, dataset, log)
    return found


def _small(output: Path, name: str, log: Log) -> list[CompressionRow]:
    found: list[CompressionRow] = []
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
            found.append(
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
        found.append(
            CompressionRow(
                part=SMALL, name=title, how=how, size=size, base=base, accuracies=(accuracy,)
            )
        )
    return found
