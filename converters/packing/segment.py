"""Segmentation of a `.tflite` into sections; only packing needs it.

Weights and lists are located by parsing the flatbuffer. Per-channel scales lie within its tables
and are located by searching for their bytes. Unrecognized bytes, and files that are not a
`.tflite`, go to the general part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from converters.packing import tensor_coding
from converters.packing.tensor_coding import Part
from converters.tflite.model import Graph, Model
from zoo.container.sections import MAX_LIST, Again, Floats, Plain
from zoo.errors import ZooError

_LEAST_SCALES = 8  # shorter lists of scales stay in the general part


@dataclass(frozen=True, eq=False)
class _Region:
    """A byte range of the file that holds a tensor or a list of scales.

    Attributes:
        start: Offset in the file.
        length: Length in bytes.
        parts: Coded parts of a tensor; empty for scales.
        pair: For scales, number of the base list that they equal or are a multiple of; None for
            tensors.
        base: For scales, bits of that base list; None for tensors.
        factor: Bits of the float32 multiplier; None if the scales are the base list.
    """

    start: int
    length: int
    parts: tuple[Part, ...] = ()
    pair: int | None = None
    base: np.ndarray | None = None
    factor: int | None = None


def segments(content: bytes) -> list[Part]:
    """Splits a file into parts that cover all its bytes, in file order."""
    regions = _disjoint(_recognized(content))
    pairs = Counter(region.pair for region in regions if region.pair is not None)
    stored: dict[int, int] = {}
    parts: list[Part] = []
    at = 0
    for region in regions:
        if region.start > at:
            parts.append(Part(Plain(region.start - at)))
        if region.pair is None:
            parts += region.parts
        elif region.pair in stored:
            parts.append(Part(Again(stored[region.pair], region.factor)))
        else:
            reused = pairs[region.pair] > 1
            if reused:
                stored[region.pair] = len(stored)
            section = Floats(region.length // 4, region.factor, reused)
            parts.append(Part(section, region.base))
        at = region.start + region.length
    if at < len(content):
        parts.append(Part(Plain(len(content) - at)))
    return parts


def _recognized(content: bytes) -> list[_Region]:
    if content[4:8] != b"TFL3":
        return []
    from converters.tflite import reader

    try:
        model = reader.read(content, "the file to pack")
    except ZooError:  # damaged or unsupported files are packed as general bytes
        return []
    regions: list[_Region] = []
    starts = set()
    for graph in model.graphs:
        for tensor in graph.tensors:
            if tensor.data is None or tensor.sparse or tensor.data[0] in starts:
                continue
            start, length = tensor.data
            parts = tensor_coding.parts(content[start : start + length], tensor.type, tensor.shape)
            if parts:
                starts.add(start)
                regions.append(_Region(start, length, parts))
    return [*regions, *_scales(content, model)]


def _disjoint(regions: list[_Region]) -> list[_Region]:
    disjoint, end = [], 0
    for region in sorted(regions, key=lambda region: region.start):
        if region.start >= end:
            disjoint.append(region)
            end = region.start + region.length
    return disjoint


def _scales(content: bytes, model: Model) -> list[_Region]:
    """Locates lists of scales; bias scales are often the weight scales times the input scale."""
    regions: dict[int, _Region] = {}
    searched: dict[bytes, int] = {}
    pair = 0

    def add(scales: np.ndarray, base: np.ndarray, factor: np.float32 | None) -> None:
        raw = scales.astype("<f4").tobytes()
        start = content.find(raw, searched.get(raw, 0))
        if start >= 0:
            searched[raw] = start + 4
            bits = None if factor is None else int(factor.view(np.uint32))
            region = _Region(start, len(raw), (), pair, base.view(np.uint32), bits)
            regions.setdefault(start, region)

    for graph in model.graphs:
        done: set[int] = set()
        for operator in graph.operators:
            inputs = [(i, _scale_list(graph, i)) for i in operator.inputs if i not in done]
            lists = {i: scales for i, scales in inputs if len(scales) >= _LEAST_SCALES}
            factors = [scales[0] for _, scales in inputs if len(scales) == 1]
            done |= set(lists)
            base: np.ndarray | None = None
            for scales in lists.values():
                pair += base is None
                factor = _factor(scales, base, factors)
                if base is None or factor is None:
                    pair, base = pair + (base is not None), scales
                add(scales, base, factor)
            pair += 1
    return list(regions.values())


def _scale_list(graph: Graph, index: int) -> np.ndarray:
    quantization = graph.tensors[index].quantization if index >= 0 else None
    scales = quantization.scales if quantization else ()
    return np.array(scales if len(scales) <= MAX_LIST else (), np.float32)


def _factor(
    scales: np.ndarray, base: np.ndarray | None, factors: list[np.float32]
) -> np.float32 | None:
    """Returns the factor for which `base` × factor equals `scales` exactly, else None."""
    if base is None or len(base) != len(scales):
        return None
    with np.errstate(all="ignore"):
        return next((f for f in factors if np.array_equal(base * f, scales)), None)
