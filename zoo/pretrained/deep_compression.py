"""The Deep Compression file of SqueezeNet 1.0 (Han et al. 2016, arXiv:1510.00149), both ways.

All numbers are little endian. First one uint32 for each of the 26 layers: how many entries it
stores. Then, layer by layer in the network's order:

    float32[256]       codebook; code 0 stands for zero
    float32[filters]   biases
    uint8[n]           codes, one for each stored entry
    uint8[(n + 1)//2]  gaps of 4 bits, low half first: zeros skipped since the entry before

Weights are counted in Caffe's order (filter, input channel, row, column). A gap is at most 15, so
a longer run of zeros holds entries with code 0. NumPy alone; the file may come from anyone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from zoo.errors import ZooError

CODES = 256
_LONGEST_GAP = 15


@dataclass(frozen=True)
class CodedLayer:
    """One convolution of the network: its Keras name and kernel (height, width, in, filters)."""

    name: str
    kernel: tuple[int, int, int, int]

    @property
    def entries(self) -> int:
        """Weights of the kernel."""
        return prod(self.kernel)

    @property
    def filters(self) -> int:
        """Output channels, which is also the number of biases."""
        return self.kernel[3]


def _fire(
    number: int, channels: int, squeeze: int, expand: int
) -> tuple[CodedLayer, CodedLayer, CodedLayer]:
    return (
        CodedLayer(f"fire{number}_squeeze1x1", (1, 1, channels, squeeze)),
        CodedLayer(f"fire{number}_expand1x1", (1, 1, squeeze, expand)),
        CodedLayer(f"fire{number}_expand3x3", (3, 3, squeeze, expand)),
    )


# SqueezeNet 1.0, table 1 of its paper: what the file holds, whatever our builders do.
LAYERS: tuple[CodedLayer, ...] = (
    CodedLayer("conv1", (7, 7, 3, 96)),
    *_fire(2, 96, 16, 64),
    *_fire(3, 128, 16, 64),
    *_fire(4, 128, 32, 128),
    *_fire(5, 256, 32, 128),
    *_fire(6, 256, 48, 192),
    *_fire(7, 384, 48, 192),
    *_fire(8, 384, 64, 256),
    *_fire(9, 512, 64, 256),
    CodedLayer("conv10", (1, 1, 512, 1000)),
)


@dataclass(frozen=True, eq=False)
class Coded:
    """One layer exactly as the file has it: `encode` writes the same bytes again.

    Attributes:
        layer: which one.
        codebook: float32 (256,), the first of them zero.
        bias: float32 (filters,).
        codes: uint8 (n,), indices into the codebook.
        gaps: uint8 (n,), 0 to 15 zeros before each entry.
    """

    layer: CodedLayer
    codebook: np.ndarray
    bias: np.ndarray
    codes: np.ndarray
    gaps: np.ndarray

    def positions(self) -> np.ndarray:
        """int64 (n,): where each entry lies among the layer's weights in Caffe's order."""
        return np.cumsum(self.gaps.astype(np.int64) + 1) - 1

    def kernel(self) -> np.ndarray:
        """float32 (height, width, in, filters), as Keras has it."""
        height, width, channels, filters = self.layer.kernel
        flat = np.zeros(self.layer.entries, np.float32)
        flat[self.positions()] = self.codebook[self.codes]
        caffe = flat.reshape(filters, channels, height, width)
        return np.ascontiguousarray(caffe.transpose(2, 3, 1, 0))


@dataclass(frozen=True, eq=False)
class Decoded:
    """The network's weights, and how many of the kernels' entries the file stores.

    `weights` is {layer name: (kernel, bias)}, float32, in the network's order. Entries that only
    bridge a long run of zeros count as stored.
    """

    weights: dict[str, tuple[np.ndarray, np.ndarray]]
    stored: int
    entries: int


def decode(data: bytes, where: str, layers: tuple[CodedLayer, ...] = LAYERS) -> Decoded:
    """The weights in a Deep Compression file.

    Args:
        data: the whole file.
        where: its name, for messages.
        layers: the network's convolutions.

    Raises:
        ZooError: as `parse`.
    """
    coded = parse(data, where, layers)
    return Decoded(
        weights={each.layer.name: (each.kernel(), each.bias) for each in coded},
        stored=sum(len(each.codes) for each in coded),
        entries=sum(layer.entries for layer in layers),
    )


def parse(data: bytes, where: str, layers: tuple[CodedLayer, ...] = LAYERS) -> list[Coded]:
    """The file's layers, each number checked before it is used.

    Memory is bounded by the network's size: counts are compared with it before anything is read.

    Raises:
        ZooError: cut off or too long, a count above its layer's size, a gap that leaves the layer,
            a codebook or a bias that is not finite, a codebook that does not start with zero.
    """

    def refuse(what: str, layer: CodedLayer | None, expected: object, got: object) -> ZooError:
        place = where if layer is None else f"{where}, layer {layer.name}"
        return ZooError(
            f"not a Deep Compression file of this network: {what}",
            where=place,
            expected=expected,
            got=got,
            remedy="get the file again, see python -m scripts.data --help",
        )

    header = 4 * len(layers)
    if len(data) < header:
        raise refuse(
            "it ends within the table of counts", None, f"{header} bytes", f"{len(data)} bytes"
        )
    counts = [int(n) for n in np.frombuffer(data, "<u4", len(layers))]
    end = header
    for layer, count in zip(layers, counts, strict=True):
        if count > layer.entries:
            raise refuse("too many entries", layer, f"at most {layer.entries}", count)
        end += 4 * (CODES + layer.filters) + count + (count + 1) // 2
        if end > len(data):
            raise refuse("it is cut off", layer, f"at least {end} bytes", f"{len(data)} bytes")
    if end != len(data):
        raise refuse("bytes are left over", None, f"{end} bytes", f"{len(data)} bytes")

    found, offset = [], header
    for layer, count in zip(layers, counts, strict=True):
        codebook, offset = _take(data, "<f4", CODES, offset)
        bias, offset = _take(data, "<f4", layer.filters, offset)
        codes, offset = _take(data, "u1", count, offset)
        packed, offset = _take(data, "u1", (count + 1) // 2, offset)
        gaps = np.stack([packed & 15, packed >> 4], 1).reshape(-1)
        for what, values in (("codebook", codebook), ("bias", bias)):
            if not np.isfinite(values).all():
                index = int(np.flatnonzero(~np.isfinite(values))[0])
                raise refuse(f"its {what}", layer, "finite numbers", f"{values[index]} at {index}")
        if codebook[0] != 0:
            raise refuse("its codebook", layer, "0 for code 0", codebook[0])
        if gaps[count:].any():
            raise refuse("its gaps", layer, "0 in the unused last half byte", gaps[-1])
        coded = Coded(layer, codebook, bias, codes, gaps[:count])
        if count and (last := int(coded.positions()[-1])) >= layer.entries:
            raise refuse("an entry outside the layer", layer, f"below {layer.entries}", last)
        found.append(coded)
    return found


def _take(data: bytes, dtype: str, count: int, offset: int) -> tuple[np.ndarray, int]:
    values = np.frombuffer(data, dtype, count, offset)
    return values.astype(values.dtype.newbyteorder("="), copy=False), offset + values.nbytes


def encode(coded: Sequence[Coded]) -> bytes:
    """The file of these layers; `encode(parse(data, …))` is `data`."""
    counts = np.array([len(each.codes) for each in coded], "<u4")
    parts = [counts.tobytes()]
    for each in coded:
        gaps = np.concatenate([each.gaps, np.zeros(len(each.gaps) % 2, np.uint8)])
        parts += [
            each.codebook.astype("<f4").tobytes(),
            each.bias.astype("<f4").tobytes(),
            each.codes.astype(np.uint8).tobytes(),
            (gaps[::2] | gaps[1::2] << 4).astype(np.uint8).tobytes(),
        ]
    return b"".join(parts)


def from_weights(
    weights: Mapping[str, Sequence[np.ndarray]], layers: tuple[CodedLayer, ...] = LAYERS
) -> list[Coded]:
    """Kernels of few values as the file's layers.

    Args:
        weights: {layer name: (kernel (height, width, in, filters), bias (filters,))}, float32.
        layers: the network's convolutions.

    Raises:
        ZooError: a layer that is missing, of another shape, not finite, or with more than 255
            values besides zero.
    """
    return [_coded(layer, weights) for layer in layers]


def _coded(layer: CodedLayer, weights: Mapping[str, Sequence[np.ndarray]]) -> Coded:
    def refuse(what: str, expected: object, got: object, remedy: str | None = None) -> ZooError:
        return ZooError(
            f"can't be a Deep Compression file: {what}",
            where=f"layer {layer.name}",
            expected=expected,
            got=got,
            remedy=remedy,
        )

    if layer.name not in weights:
        raise refuse("a layer is missing", "every convolution of SqueezeNet 1.0", sorted(weights))
    arrays = [np.asarray(each, np.float32) for each in weights[layer.name]]
    if len(arrays) != 2:
        raise refuse("another kind of layer", "a kernel and a bias", f"{len(arrays)} arrays")
    kernel, bias = arrays
    shapes = layer.kernel, (layer.filters,)
    if (kernel.shape, bias.shape) != shapes:
        raise refuse("another shape", shapes, (kernel.shape, bias.shape))
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise refuse("its weights", "finite numbers", "NaN or infinity")
    flat = kernel.transpose(3, 2, 0, 1).reshape(-1)
    places = np.flatnonzero(flat)
    values, found = np.unique(flat[places], return_inverse=True)
    if len(values) >= CODES:
        raise refuse(
            "too many values",
            f"at most {CODES - 1} besides zero",
            len(values),
            "cluster the weights first, see python -m scripts.compress --help",
        )
    codebook = np.zeros(CODES, np.float32)
    codebook[1 : 1 + len(values)] = values
    zeros = np.diff(places, prepend=-1) - 1
    bridges = zeros // (_LONGEST_GAP + 1)  # entries of value zero, each with a gap of its own
    last = np.cumsum(bridges + 1) - 1
    codes = np.zeros(len(places) + int(bridges.sum()), np.uint8)
    gaps = np.full(len(codes), _LONGEST_GAP, np.uint8)
    codes[last] = found.reshape(-1) + 1
    gaps[last] = zeros % (_LONGEST_GAP + 1)
    return Coded(layer, codebook, bias, codes, gaps)
