"""Cutting a `.tflite` into sections; only packing needs it.

Weights and lists are found by reading the flatbuffer. Per-channel scales lie within its tables, and
are found by their bytes. Whatever is not recognized, and any file that is no `.tflite`, is left to
the general part.
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

_LEAST_SCALES = 8  # a shorter list of scales is left where it is


@dataclass(frozen=True, eq=False)
class _Found:
    """A stretch of the file: a tensor's parts, or a list of scales.

    `pair` names the list that this is a multiple of, `base` its bits; both None for others.
    """

    start: int
    length: int
    parts: tuple[Part, ...] = ()
    pair: int | None = None
    base: np.ndarray | None = None
    factor: int | None = None


def segments(content: bytes) -> list[Part]:
    """The parts of a file, in its order; together they are all of it."""
    found = _disjoint(_recognized(content))
    pairs = Counter(each.pair for each in found if each.pair is not None)
    kept: dict[int, int] = {}
    parts: list[Part] = []
    at = 0
    for each in found:
        if each.start > at:
            parts.append(Part(Plain(each.start - at)))
        if each.pair is None:
            parts += each.parts
        elif each.pair in kept:
            parts.append(Part(Again(kept[each.pair], each.factor)))
        else:
            twice = pairs[each.pair] > 1
            if twice:
                kept[each.pair] = len(kept)
            section = Floats(each.length // 4, each.factor, twice)
            parts.append(Part(section, each.base))
        at = each.start + each.length
    if at < len(content):
        parts.append(Part(Plain(len(content) - at)))
    return parts


def _recognized(content: bytes) -> list[_Found]:
    if content[4:8] != b"TFL3":
        return []
    from converters.tflite import reader

    try:
        model = reader.read(content, "the file to pack")
    except ZooError:  # damaged, or of a kind that we don't know: packed all the same
        return []
    found: list[_Found] = []
    starts = set()
    for graph in model.graphs:
        for tensor in graph.tensors:
            if tensor.data is None or tensor.sparse or tensor.data[0] in starts:
                continue
            start, length = tensor.data
            parts = tensor_coding.parts(content[start : start + length], tensor.type, tensor.shape)
            if parts:
                starts.add(start)
                found.append(_Found(start, length, parts))
    return [*found, *_scales(content, model)]


def _disjoint(found: list[_Found]) -> list[_Found]:
    kept, end = [], 0
    for each in sorted(found, key=lambda one: one.start):
        if each.start >= end:
            kept.append(each)
            end = each.start + each.length
    return kept


def _scales(content: bytes, model: Model) -> list[_Found]:
    """Lists of scales; a bias's may be its weights' times the scale of what these multiply."""
    found: dict[int, _Found] = {}
    searched: dict[bytes, int] = {}
    pair = 0

    def add(scales: np.ndarray, base: np.ndarray, factor: np.float32 | None) -> None:
        raw = scales.astype("<f4").tobytes()
        start = content.find(raw, searched.get(raw, 0))
        if start >= 0:
            searched[raw] = start + 4
            bits = None if factor is None else int(factor.view(np.uint32))
            each = _Found(start, len(raw), (), pair, base.view(np.uint32), bits)
            found.setdefault(start, each)

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
    return list(found.values())


def _scale_list(graph: Graph, index: int) -> np.ndarray:
    quantization = graph.tensors[index].quantization if index >= 0 else None
    scales = quantization.scales if quantization else ()
    return np.array(scales if len(scales) <= MAX_LIST else (), np.float32)


def _factor(
    scales: np.ndarray, base: np.ndarray | None, factors: list[np.float32]
) -> np.float32 | None:
    """Which factor makes `scales` of `base`, exactly; None if none does."""
    if base is None or len(base) != len(scales):
        return None
    with np.errstate(all="ignore"):
        return next((f for f in factors if np.array_equal(base * f, scales)), None)
