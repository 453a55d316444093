"""Reads and writes the Deep Compression file of SqueezeNet 1.0 (Han et al. 2016, arXiv:1510.00149).

All numbers are little-endian. The file starts with one uint32 for each of the 26 layers, the number
of entries it stores. Then follow, layer by layer in the network's order:

    float32[256]       codebook; code 0 is zero
    float32[filters]   biases
    uint8[n]           codes, one per stored entry
    uint8[(n + 1)//2]  4-bit gaps, low nibble first: zeros skipped since the previous entry

Entries are in Caffe's order (filter, input channel, row, column). A gap is at most 15, so longer
runs of zeros are bridged by entries with code 0. Uses only NumPy; the file may be untrusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from zoo.errors import ZooError

CODES = 256
_MAX_GAP = 15


@dataclass(frozen=True)
class CodedLayer:
    """A convolution of the network.

    Attributes:
        name: Name of the Keras layer.
        kernel: Shape of the kernel, (height, width, input channels, filters).
    """

    name: str
    kernel: tuple[int, int, int, int]

    @property
    def entries(self) -> int:
        """Number of weights in the kernel."""
        return prod(self.kernel)

    @property
    def filters(self) -> int:
        """Number of output channels, and of biases."""
        return self.kernel[3]


def _fire(
    number: int, channels: int, squeeze: int, expand: int
) -> tuple[CodedLayer, CodedLayer, CodedLayer]:
    return (
        CodedLayer(f"fire{number}_squeeze1x1", (1, 1, channels, squeeze)),
        CodedLayer(f"fire{number}_expand1x1", (1, 1, squeeze, expand)),
        CodedLayer(f"fire{number}_expand3x3", (3, 3, squeeze, expand)),
    )


# SqueezeNet 1.0 as in table 1 of its paper, independent of our builders.
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
    """A layer exactly as in the file: `encode` writes the same bytes again.

    Attributes:
        layer: The convolution.
        codebook: float32 (256,); the first value is zero.
        bias: float32 (filters,).
        codes: uint8 (n,), indices into the codebook.
        gaps: uint8 (n,), number of zeros before each entry, 0 to 15.
    """

    layer: CodedLayer
    codebook: np.ndarray
    bias: np.ndarray
    codes: np.ndarray
    gaps: np.ndarray

    def positions(self) -> np.ndarray:
        """Returns the index of each entry in the flat kernel in Caffe's order, int64 (n,)."""
        return np.cumsum(self.gaps.astype(np.int64) + 1) - 1

    def kernel(self) -> np.ndarray:
        """Returns the kernel in Keras' order, float32 (height, width, input channels, filters)."""
        height, width, channels, filters = self.layer.kernel
        flat = np.zeros(self.layer.entries, np.float32)
        flat[self.positions()] = self.codebook[self.codes]
        caffe = flat.reshape(filters, channels, height, width)
        return np.ascontiguousarray(caffe.transpose(2, 3, 1, 0))


@dataclass(frozen=True, eq=False)
class Decoded:
    """The weights of the network.

    Attributes:
        weights: Kernel and bias of each layer by its name, float32, in the network's order.
        stored: Number of entries in the file, including those that bridge long runs of zeros.
        entries: Number of weights in all kernels.
    """

    weights: dict[str, tuple[np.ndarray, np.ndarray]]
    stored: int
    entries: int


def decode(data: bytes, where: str, layers: tuple[CodedLayer, ...] = LAYERS) -> Decoded:
    """Decodes the weights in a Deep Compression file.

    Args:
        data: Content of the file.
        where: Name of the file, shown in error messages.
        layers: Convolutions of the network.

    Raises:
        ZooError: if `parse` fails.
    """
    coded_layers = parse(data, where, layers)
    return Decoded(
        weights={coded.layer.name: (coded.kernel(), coded.bias) for coded in coded_layers},
        stored=sum(len(coded.codes) for coded in coded_layers),
        entries=sum(layer.entries for layer in layers),
    )


def parse(data: bytes, where: str, layers: tuple[CodedLayer, ...] = LAYERS) -> list[Coded]:
    """Parses a Deep Compression file and validates all its numbers.

    Memory is bounded by the size of the network, because the counts are validated first.

    Args:
        data: Content of the file.
        where: Name of the file, shown in error messages.
        layers: Convolutions of the network.

    Raises:
        ZooError: if the file is truncated or too long, a count exceeds the size of its layer, an
            entry lies outside the layer, a codebook or bias is not finite, or a codebook does not
            start with zero.
    """

    def refuse(what: str, layer: CodedLayer | None, expected: object, got: object) -> ZooError:
        location = where if layer is None else f"{where}, layer {layer.name}"
        return ZooError(
            f"not a Deep Compression file of this network: {what}",
            where=location,
            expected=expected,
            got=got,
            remedy="download the file again, see zoo data --help",
        )

    header = 4 * len(layers)
    if len(data) < header:
        raise refuse("truncated table of counts", None, f"{header} bytes", f"{len(data)} bytes")
    counts = [int(n) for n in np.frombuffer(data, "<u4", len(layers))]
    end = header
    for layer, count in zip(layers, counts, strict=True):
        if count > layer.entries:
            raise refuse("too many entries", layer, f"at most {layer.entries}", count)
        end += 4 * (CODES + layer.filters) + count + (count + 1) // 2
        if end > len(data):
            raise refuse("truncated layer", layer, f"at least {end} bytes", f"{len(data)} bytes")
    if end != len(data):
        raise refuse("trailing bytes", None, f"{end} bytes", f"{len(data)} bytes")

    coded_layers, offset = [], header
    for layer, count in zip(layers, counts, strict=True):
        codebook, offset = _take(data, "<f4", CODES, offset)
        bias, offset = _take(data, "<f4", layer.filters, offset)
        codes, offset = _take(data, "u1", count, offset)
        packed, offset = _take(data, "u1", (count + 1) // 2, offset)
        gaps = np.stack([packed & 15, packed >> 4], 1).reshape(-1)
        for name, values in (("codebook", codebook), ("bias", bias)):
            if not np.isfinite(values).all():
                index = int(np.flatnonzero(~np.isfinite(values))[0])
                raise refuse(
                    f"invalid {name}", layer, "finite numbers", f"{values[index]} at {index}"
                )
        if codebook[0] != 0:
            raise refuse("invalid codebook", layer, "0 for code 0", codebook[0])
        if gaps[count:].any():
            raise refuse("invalid gaps", layer, "0 in the unused last nibble", gaps[-1])
        coded = Coded(layer, codebook, bias, codes, gaps[:count])
        if count and (last := int(coded.positions()[-1])) >= layer.entries:
            raise refuse("an entry outside the layer", layer, f"below {layer.entries}", last)
        coded_layers.append(coded)
    return coded_layers


def _take(data: bytes, dtype: str, count: int, offset: int) -> tuple[np.ndarray, int]:
    values = np.frombuffer(data, dtype, count, offset)
    return values.astype(values.dtype.newbyteorder("="), copy=False), offset + values.nbytes


def encode(coded: Sequence[Coded]) -> bytes:
    """Encodes layers as a Deep Compression file; `encode(parse(data, …))` is `data`."""
    counts = np.array([len(layer.codes) for layer in coded], "<u4")
    parts = [counts.tobytes()]
    for layer in coded:
        gaps = np.concatenate([layer.gaps, np.zeros(len(layer.gaps) % 2, np.uint8)])
        parts += [
            layer.codebook.astype("<f4").tobytes(),
            layer.bias.astype("<f4").tobytes(),
            layer.codes.astype(np.uint8).tobytes(),
            (gaps[::2] | gaps[1::2] << 4).astype(np.uint8).tobytes(),
        ]
    return b"".join(parts)


def from_weights(
    weights: Mapping[str, Sequence[np.ndarray]], layers: tuple[CodedLayer, ...] = LAYERS
) -> list[Coded]:
    """Converts clustered weights to layers of a Deep Compression file.

    Args:
        weights: Kernel (height, width, input channels, filters) and bias (filters,) of each layer
            by its name, float32.
        layers: Convolutions of the network.

    Raises:
        ZooError: if a layer is missing, has another shape, is not finite or has more than 255
            distinct nonzero values.
    """
    return [_coded(layer, weights) for layer in layers]


def _coded(layer: CodedLayer, weights: Mapping[str, Sequence[np.ndarray]]) -> Coded:
    def refuse(what: str, expected: object, got: object, remedy: str | None = None) -> ZooError:
        return ZooError(
            f"cannot be stored as a Deep Compression file: {what}",
            where=f"layer {layer.name}",
            expected=expected,
            got=got,
            remedy=remedy,
        )

    if layer.name not in weights:
        raise refuse("a layer is missing", "every convolution of SqueezeNet 1.0", sorted(weights))
    arrays = [np.asarray(array, np.float32) for array in weights[layer.name]]
    if len(arrays) != 2:
        raise refuse("unexpected type of layer", "a kernel and a bias", f"{len(arrays)} arrays")
    kernel, bias = arrays
    shapes = layer.kernel, (layer.filters,)
    if (kernel.shape, bias.shape) != shapes:
        raise refuse("unexpected shape", shapes, (kernel.shape, bias.shape))
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise refuse("invalid weights", "finite numbers", "NaN or infinity")
    flat = kernel.transpose(3, 2, 0, 1).reshape(-1)
    positions = np.flatnonzero(flat)
    values, value_indices = np.unique(flat[positions], return_inverse=True)
    if len(values) >= CODES:
        raise refuse(
            "too many distinct values",
            f"at most {CODES - 1} nonzero values",
            len(values),
            "cluster the weights first, see zoo compress --help",
        )
    codebook = np.zeros(CODES, np.float32)
    codebook[1 : 1 + len(values)] = values
    zeros = np.diff(positions, prepend=-1) - 1
    bridges = zeros // (_MAX_GAP + 1)  # entries of value zero, each with the maximum gap
    last = np.cumsum(bridges + 1) - 1
    codes = np.zeros(len(positions) + int(bridges.sum()), np.uint8)
    gaps = np.full(len(codes), _MAX_GAP, np.uint8)
    codes[last] = value_indices.reshape(-1) + 1
    gaps[last] = zeros % (_MAX_GAP + 1)
    return Coded(layer, codebook, bias, codes, gaps)
