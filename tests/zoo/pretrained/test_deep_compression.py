"""The Deep Compression file: decoded exactly, and refused in one way however it is damaged."""

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from zoo.errors import ZooError
from zoo.pretrained import deep_compression
from zoo.pretrained.deep_compression import LAYERS, CodedLayer, decode, from_weights, parse

REAL = ROOT.parent / "shared" / "data" / "squeezenet_v1.0.deep_compressed.net"
TINY = (CodedLayer("one", (3, 3, 2, 5)), CodedLayer("two", (1, 1, 5, 40)))


@pytest.fixture(scope="module")
def real():
    if not REAL.exists():
        pytest.skip(f"the public weights are not at {REAL}")
    return REAL.read_bytes()


def encode(layers):
    """[(codebook, bias, flat weights in Caffe's order as codes)] → a file, one number at a time."""
    table, body, counts = b"", b"", []
    for codebook, bias, flat in layers:
        codes, gaps, zeros = [], [], 0
        for code in flat:
            if code == 0:
                zeros += 1
                continue
            while zeros > 15:  # too long a run: an entry of value zero bridges 16 positions
                codes.append(0)
                gaps.append(15)
                zeros -= 16
            codes.append(code)
            gaps.append(zeros)
            zeros = 0
        counts.append(len(codes))
        gaps += [0] * (len(gaps) % 2)
        body += struct.pack(f"<{len(codebook)}f", *codebook)
        body += struct.pack(f"<{len(bias)}f", *bias)
        body += bytes(codes)
        body += bytes(low + 16 * high for low, high in zip(gaps[::2], gaps[1::2], strict=True))
    table = struct.pack(f"<{len(counts)}I", *counts)
    return table + body


def made(seed, density):
    rng = np.random.default_rng(seed)
    layers = []
    for layer in TINY:
        codebook = [0.0, *rng.standard_normal(255).astype(np.float32).tolist()]
        bias = rng.standard_normal(layer.filters).astype(np.float32).tolist()
        flat = rng.integers(1, 256, layer.entries) * (rng.random(layer.entries) < density)
        layers.append((codebook, bias, flat.tolist()))
    return layers


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), density=st.sampled_from([0.0, 0.02, 0.1, 0.5, 1.0]))
def test_round_trip(seed, density):
    layers = made(seed, density)
    decoded = decode(encode(layers), "made", TINY)
    assert list(decoded.weights) == ["one", "two"]
    assert decoded.entries == 90 + 200
    for layer, (codebook, bias, flat) in zip(TINY, layers, strict=True):
        kernel, got = decoded.weights[layer.name]
        assert kernel.dtype == got.dtype == np.float32
        np.testing.assert_array_equal(got, np.array(bias, np.float32))
        height, width, channels, filters = layer.kernel
        for o in range(filters):
            for c in range(channels):
                for y in range(height):
                    for x in range(width):
                        place = ((o * channels + c) * height + y) * width + x
                        assert kernel[y, x, c, o] == np.float32(codebook[flat[place]])


def test_long_gaps_are_bridged():
    flat = [0] * 200
    flat[0], flat[16], flat[33], flat[199] = 1, 2, 3, 4  # gaps of 0, 15, 16 and 165 zeros
    codebook = [0.0, 1.0, 2.0, 3.0, 4.0, *([9.0] * 251)]
    data = encode([(codebook, [0.0] * 5, [0] * 90), (codebook, [0.0] * 40, flat)])
    one, two = parse(data, "made", TINY)
    assert len(one.codes) == 0
    assert two.codes.tolist() == [1, 2, 0, 3] + [0] * 10 + [4]
    kernel = two.kernel()[0, 0]  # (in, filters); 5 inputs a filter
    assert {(c, o): kernel[c, o] for c, o in np.argwhere(kernel).tolist()} == {
        (0, 0): 1, (1, 3): 2, (3, 6): 3, (4, 39): 4,
    }  # fmt: skip


def test_real_file(real):
    decoded = decode(real, "real")
    assert (decoded.stored, decoded.entries) == (422_083, 1_244_448)
    assert sum(k.size + b.size for k, b in decoded.weights.values()) == 1_248_424
    # The other 6,162 entries bridge long runs of zeros.
    assert sum(np.count_nonzero(k) for k, _ in decoded.weights.values()) == 415_921
    # conv10 once more, entry by entry, from the end of the file.
    count = struct.unpack("<26I", real[:104])[25]
    start = len(real) - (count + 1) // 2 - count - 4000 - 1024
    codebook = struct.unpack("<256f", real[start : start + 1024])
    codes, gaps = real[start + 5024 :][:count], real[start + 5024 + count :]
    kernel, bias = decoded.weights["conv10"]
    assert bias.tolist() == list(struct.unpack("<1000f", real[start + 1024 : start + 5024]))
    expected, place = np.zeros((1000, 512), np.float32), -1
    for n in range(count):
        place += 1 + (gaps[n // 2] >> 4 if n % 2 else gaps[n // 2] & 15)
        expected[divmod(place, 512)] = codebook[codes[n]]
    np.testing.assert_array_equal(kernel, expected.T[np.newaxis, np.newaxis])


def patched(data, offset, replacement):
    return data[:offset] + replacement + data[offset + len(replacement) :]


def _damaged():
    """name → (file, what the message says). Layer one begins at byte 8 and has 90 entries."""
    good = encode(made(1, 1.0))
    bias, codes = 8 + 1024, 8 + 1024 + 20
    gaps = codes + 90
    nan, infinity = struct.pack("<f", np.nan), struct.pack("<f", np.inf)
    odd = encode([(*made(1, 1.0)[0][:2], [1] * 3 + [0] * 87), made(1, 1.0)[1]])
    return {
        "empty": (b"", r"table of counts.*8 bytes.*got: 0 bytes"),
        "short table": (good[:7], "table of counts"),
        "count": (patched(good, 0, b"\x5b\0\0\0"), "too many entries.*layer one.*at most 90.*91"),
        "absurd count": (patched(good, 4, b"\xff" * 4), "layer two.*at most 200.*4294967295"),
        "cut in one": (good[:1100], "truncated layer.*layer one.*at least 1187 bytes.*1100"),
        "cut in two": (good[:-1], "truncated layer.*layer two"),
        "longer": (good + b"\0", "trailing bytes"),
        "nan": (patched(good, 8 + 40, nan), "codebook.*layer one.*nan at 10"),
        "infinite bias": (patched(good, bias + 4, infinity), "bias.*layer one.*inf at 1"),
        "no zero": (patched(good, 8, struct.pack("<f", 2)), "codebook.*layer one.*0 for code 0"),
        "outside": (patched(good, gaps, b"\x11"), "outside the layer.*layer one.*below 90.*91"),
        "spare bits": (patched(odd, codes + 3 + 1, b"\x10"), "unused last nibble"),
    }


@pytest.mark.parametrize("name", _damaged())
def test_damage_is_named(name):
    data, message = _damaged()[name]
    with pytest.raises(ZooError, match=message) as caught:
        decode(data, "FILE.net", TINY)
    assert "FILE.net" in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_damage_is_a_zoo_error(data):
    good = encode(made(data.draw(st.integers(0, 3)), data.draw(st.sampled_from([0.05, 0.6]))))
    broken = bytearray(good[: data.draw(st.integers(0, len(good)))])
    for _ in range(data.draw(st.integers(0, 4)) if broken else 0):
        place = data.draw(st.integers(0, len(broken) - 1) | st.integers(0, min(7, len(broken) - 1)))
        broken[place] = data.draw(st.integers(0, 255))
    broken += data.draw(st.binary(max_size=3))
    try:
        decoded = decode(bytes(broken), "broken", TINY)
    except ZooError:
        return
    for kernel, bias in decoded.weights.values():
        assert np.isfinite(kernel).all() and np.isfinite(bias).all()


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_are_a_zoo_error(data):
    with pytest.raises(ZooError):
        decode(data, "bytes")


def test_every_cut_of_the_real_file_is_refused(real):
    for end in [*range(0, 200), *range(200, len(real), 4999), len(real) - 1]:
        with pytest.raises(ZooError, match=r"table of counts|truncated layer"):
            decode(real[:end], "cut")


@pytest.mark.parametrize("counts", ["all ones", "as large as can be"])
def test_memory_is_bounded(counts):
    if counts == "all ones":
        data = b"\xff" * 700_000
    else:
        sizes = [layer.entries for layer in LAYERS]
        data = struct.pack("<26I", *sizes) + bytes(
            sum(
                1024 + 4 * layer.filters + n + (n + 1) // 2
                for layer, n in zip(LAYERS, sizes, strict=True)
            )
        )
    tracemalloc.start()
    try:
        decoded = decode(data, "large")
    except ZooError:
        assert counts == "all ones"
    else:
        assert decoded.stored == decoded.entries
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * 2**20


def test_real_file_is_written_back(real):
    assert deep_compression.encode(parse(real, "real")) == real


def test_real_weights_are_exported_exactly(real):
    weights = decode(real, "real").weights
    again = deep_compression.encode(from_weights(weights))
    for name, (kernel, bias) in decode(again, "again").weights.items():
        np.testing.assert_array_equal(kernel, weights[name][0])
        np.testing.assert_array_equal(bias, weights[name][1])
    # Entries that the public file stores, as code 0 or a value of zero, without need are left out.
    assert len(again) <= len(real)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    density=st.sampled_from([0.0, 0.01, 0.05, 0.3, 1.0]),
    values=st.integers(1, 255),
)
def test_export_is_exact(seed, density, values):
    rng = np.random.default_rng(seed)
    weights = {}
    for layer in TINY:
        book = rng.standard_normal(values).astype(np.float32)
        kernel = rng.choice(book, layer.kernel) * (rng.random(layer.kernel) < density)
        weights[layer.name] = kernel, rng.standard_normal(layer.filters).astype(np.float32)
    coded = from_weights(weights, TINY)
    data = deep_compression.encode(coded)
    for name, (kernel, bias) in decode(data, "made", TINY).weights.items():
        np.testing.assert_array_equal(kernel, weights[name][0])
        np.testing.assert_array_equal(bias, weights[name][1])
    assert deep_compression.encode(parse(data, "made", TINY)) == data
    # The encoder above, which writes one number at a time, says the same.
    flats = [k.transpose(3, 2, 0, 1).reshape(-1) for k, _ in weights.values()]
    slow = encode(
        [
            (each.codebook, each.bias, [each.codebook.tolist().index(v) for v in flat.tolist()])
            for each, flat in zip(coded, flats, strict=True)
        ]
    )
    assert data == slow


def _layers_with(change):
    rng = np.random.default_rng(0)
    weights = {
        layer.name: (np.zeros(layer.kernel, np.float32), np.zeros(layer.filters, np.float32))
        for layer in TINY
    }
    kernel, bias = weights["two"]
    return {**weights, **change(kernel + rng.standard_normal(kernel.shape, np.float32), bias)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda k, b: {"two": (np.tile(k, 2)[..., :40], b)}, None),
        (lambda k, b: {"two": (k[..., :39], b)}, r"unexpected shape.*layer two.*40.*39"),
        (lambda k, b: {"two": (k, b * np.nan)}, "layer two.*finite"),
    ],
)
def test_export_names_what_is_wrong(change, message):
    weights = _layers_with(change)
    if message is None:
        assert len(from_weights(weights, TINY)) == 2
        return
    with pytest.raises(ZooError, match=message):
        from_weights(weights, TINY)


def test_export_of_too_many_values_or_too_few_layers():
    wide = (CodedLayer("wide", (1, 1, 8, 40)),)
    kernel = np.arange(320, dtype=np.float32).reshape(1, 1, 8, 40)
    weights = {"wide": (kernel, np.zeros(40, np.float32))}
    with pytest.raises(
        ZooError, match=r"too many distinct values.*layer wide.*at most 255.*319.*cluster"
    ):
        from_weights(weights, wide)
    weights["wide"] = (np.minimum(kernel, 255), weights["wide"][1])
    assert len(from_weights(weights, wide)[0].codes) == 319
    with pytest.raises(ZooError, match=r"missing.*layer one"):
        from_weights(weights, TINY)
