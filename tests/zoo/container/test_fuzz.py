"""Containers that were damaged, or made to do harm: one clear error, little memory, little work."""

import io
import random
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.packing.pack import pack
from converters.packing.segment import segments
from tests.support.tiny_tflite import Builder
from zoo.container import lzma_stream, sections
from zoo.container import unpack as container
from zoo.container.ans import Decoder
from zoo.container.prediction import TensorShape
from zoo.container.unpack import VERSION, unpack, unpack_bytes
from zoo.errors import ZooError

HEADER = 4 + 1 + 8 + 32 + 4 + 8
# Mutated containers: 10,100 in all.
SHALLOW, DEEP, PLANS = (
    pytest.mark.parametrize(
        "seeds", [range(few), pytest.param(range(few, every), marks=pytest.mark.slow)], ids=str
    )
    for few, every in ((1000, 9_500), (60, 300), (60, 300))
)


def made():
    """A model with each kind of section, and its container."""
    rng = np.random.default_rng(0)
    build = Builder()
    image = build.tensor("image", (1, 8, 8, 4))
    small = np.rint(rng.laplace(0, 1.5, (8, 3, 3, 8)))
    build.tensor("stepped", small.shape, small * np.float32(0.02) + 0.0)
    book = rng.standard_normal(20)
    build.tensor("clustered", (16, 1, 1, 40), book[rng.integers(0, 20, (16, 1, 1, 40))])
    build.tensor("dense", (8, 80), rng.standard_normal((8, 80)))
    scales = rng.uniform(0.01, 0.02, 24).astype(np.float32)
    kernel = build.tensor("kernel", (24, 1, 1, 4), np.zeros((24, 1, 1, 4)))
    bias = build.tensor("bias", (24,), np.zeros(24))
    result = build.tensor("result", (1, 8, 8, 24))
    tensors, buffers = build.graph.tensors, build.model.buffers
    for index, kind, values, scale in (
        (image, schema.TensorType.INT8, None, [np.float32(0.0314)]),
        (kernel, schema.TensorType.INT8, rng.integers(-9, 9, 96).astype(np.int8), scales),
        (
            bias,
            schema.TensorType.INT32,
            rng.integers(-9999, 9999, 24).astype(np.int32),
            scales * np.float32(0.0314),
        ),
    ):
        tensors[index].type = kind
        tensors[index].quantization = schema.QuantizationParametersT()
        tensors[index].quantization.scale = list(scale)
        tensors[index].quantization.zeroPoint = [0] * len(scale)
        if values is not None:
            buffers[tensors[index].buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    options = schema.Conv2DOptionsT()
    build.operator(3, [image, kernel, bias], result, schema.BuiltinOptions.Conv2DOptions, options)
    content = build.finish(image, result)
    return content, pack(content).data


@pytest.fixture(scope="module")
def good():
    return made()


def with_crc(data):
    """The container with the checksum that fits what it now says."""
    crc = zlib.crc32(data[HEADER + 4 :], zlib.crc32(data[:HEADER]))
    return data[:HEADER] + struct.pack("<I", crc) + data[HEADER + 4 :]


def mutated(data, chance):
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(data))
        kind = chance.randrange(6)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.randrange(256)
        elif kind == 2:
            del data[at : at + chance.choice((1, 4, 100))]
        elif kind == 3:
            data[at:at] = chance.randbytes(chance.choice((1, 4, 30)))
        elif kind == 4:
            data[at : at + 8] = chance.choice((b"\0", b"\xff", b"\x7f")) * 8
        else:
            data += chance.randbytes(chance.choice((1, 4)))
        if len(data) < 2:
            break
    return bytes(data)


def outcome(data, content):
    """Whether the container was refused; what is not refused is right."""
    try:
        found = unpack_bytes(data, limit=1 << 22)
    except ZooError as error:
        assert "\n" not in str(error)
        return True
    assert found == content
    return False


def test_it_has_each_kind_of_section(good):
    kinds = {type(part.section).__name__ for part in segments(good[0])}
    assert kinds == {"Plain", "Floats", "Again", "Integers", "Dense", "WeightsSection"}
    assert unpack_bytes(good[1]) == good[0]


@SHALLOW
def test_mutated_containers(good, seeds):
    content, data = good
    refused = sum(outcome(mutated(data, random.Random(n)), content) for n in seeds)
    assert refused > 0.99 * len(seeds)  # a change that changes nothing is no damage


@DEEP
def test_mutated_containers_of_the_right_checksum(good, seeds):
    content, data = good
    refused = 0
    for number in seeds:
        broken = mutated(data, random.Random(number))
        refused += outcome(with_crc(broken), content) if len(broken) > HEADER + 4 else True
    assert refused > 0.95 * len(seeds)


def rebuilt(good, change):
    """The container with its plan changed, all checks of the outer form kept right."""
    content, data = good
    *_, size, digest, general_length, raw_length = struct.unpack_from("<4sBQ32sIQ", data)
    body = data[HEADER + 4 :]
    reader = lzma_stream.LzmaReader(body[:general_length])
    plan = reader.exactly(int.from_bytes(reader.exactly(3), "little"))
    listed = sections.from_bytes(plan, size)
    plain = sum(each.count for each in listed if isinstance(each, sections.Plain))
    rest = reader.exactly(plain)
    changed = change(plan)
    part = lzma_stream.compress(len(changed).to_bytes(3, "little") + changed + rest)
    raw = body[general_length : general_length + raw_length]
    assert digest and len(content) == size
    return container.assemble(content, part, raw, body[general_length + raw_length :])


@PLANS
def test_mutated_plans(good, seeds):
    assert rebuilt(good, lambda plan: plan) == good[1]
    for number in seeds:
        chance = random.Random(number)
        outcome(rebuilt(good, lambda plan, c=chance: mutated(plan, c)), good[0])


@settings(max_examples=200, deadline=None)
@given(plan=st.binary(max_size=200), size=st.integers(0, 2**40))
def test_any_plan(plan, size):
    try:
        found = sections.from_bytes(plan, size)
    except ZooError:
        return
    assert sum(sections.bytes_of(found)) == size


def test_plans_are_written_and_read(good):
    listed = [part.section for part in segments(good[0])]
    assert sections.from_bytes(sections.to_bytes(listed), len(good[0])) == listed


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data):
    with pytest.raises(ZooError):
        unpack_bytes(data)
    with pytest.raises(ZooError):
        unpack_bytes(b"ZTFL" + bytes([VERSION]) + data)


def header(size=100, version=VERSION, magic=b"ZTFL", lengths=(0, 0), body=b""):
    start = struct.pack("<4sBQ32sIQ", magic, version, size, b"\0" * 32, *lengths)
    return start + struct.pack("<I", zlib.crc32(body, zlib.crc32(start))) + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a container"),
        (b"\x1c\0\0\0TFL3", "not a container"),
        (b"ZT", "truncated"),
        (header(version=1), r"unsupported container version.*expected: \d.*got: 1"),
        (header()[:-1], "truncated"),
        (header(size=1 << 62), r"too large.*at most 1073741824.*4611686018427387904"),
        (header(lengths=(9, 0), body=b"12345"), "longer than the container"),
        (header(lengths=(0, 1 << 63), body=b"12345"), "longer than the container"),
        (header() + b"!", "checksum"),
        (header(lengths=(1, 0), body=b"!"), "general part is missing"),
        (header(lengths=(2, 0), body=b"\x30\x10"), "unknown encoding"),
        (header(lengths=(2, 0), body=b"\x00\x40"), "unknown encoding"),
    ],
)
def test_damage_is_named(data, message):
    with pytest.raises(ZooError, match=message):
        unpack_bytes(data)


def bomb(*listed, rest=b"", coded=b"\1\0\0\0", size=None):
    plan = sections.to_bytes(list(listed))
    part = lzma_stream.compress(len(plan).to_bytes(3, "little") + plan + rest)
    size = sum(sections.bytes_of(list(listed))) if size is None else size
    return header(size, lengths=(len(part), 0), body=part + coded)


SHAPE = TensorShape(1 << 11, 1, 1, 1 << 11)
BOMBS = {
    "weights": [bomb(*[sections.WeightsSection(SHAPE, False, sections.STEP, 4, 1)] * 60)],
    "list": [bomb(*[sections.Integers(1 << 22)] * 60)],
    "dense": [bomb(*[sections.Dense(1 << 22, 4, True)] * 60)],
    "zeros": [bomb(sections.Plain(1 << 29), rest=bytes(1 << 24))],
    "tiny tensors": [
        bomb(
            *[sections.WeightsSection(TensorShape(1, 8, 8, 1), False, sections.DIRECT, 1, 1)]
            * 16000
        )
    ],
    "repeats": [
        bomb(
            sections.Floats(1 << 16, None, True),
            *[sections.Again(0, None)] * 4000,
        )
    ],
}


# Bytes that may be restored before it is seen: the work that a bomb makes. A list is restored as
# often as it is repeated.
MOST = {"zeros": 1 << 24, "tiny tensors": 1 << 12, "repeats": 1 << 30}
MOST |= dict.fromkeys(("weights", "list", "dense"), 0)


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name):
    class Nowhere(io.RawIOBase):
        written = 0

        def write(self, data):
            self.written += len(data)
            return len(data)

    for data in BOMBS[name]:
        tracemalloc.start()
        out = Nowhere()
        with pytest.raises(ZooError, match="damaged"):
            unpack(io.BytesIO(data), out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 400e6
        assert out.written <= MOST[name]


def test_a_panic_of_the_coder_is_an_error():
    decoder = Decoder(b"\1\0\0\0")
    decoder._p = np.full(128, np.nan, np.float32)
    with pytest.raises(ZooError, match="damaged"):
        decoder.code(np.zeros(3, np.uint8))
    with pytest.raises(ZooError, match="histogram"):
        decoder.plane(np.zeros(256, np.int64), 3)


def test_nothing_is_handed_out_by_the_command(command, tmp_path, good):
    box = tmp_path / "box"
    data = bytearray(good[1])
    data[20] ^= 1  # the SHA-256: all else is right
    box.write_bytes(with_crc(bytes(data)))
    done = command("unpack", str(box), f"--output_file={tmp_path / 'out'}")
    assert done.returncode == 1 and "not the file that was packed" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["box"]
