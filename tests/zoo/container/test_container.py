"""The container restores every file byte for byte, and is smaller than general means make it."""

import lzma
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.packing.pack import _packed, pack, packed_size
from converters.packing.segment import segments
from tests.conftest import ROOT
from tests.support.processes import HANG_S
from tests.support.tflite_samples import foreign
from tests.support.tiny_tflite import Builder, tiny_model
from zoo.container import codebooks, number_lists, weights
from zoo.container.ans import Decoder, Encoder, probabilities
from zoo.container.mixing import Models
from zoo.container.prediction import TensorShape, fitted
from zoo.container.unpack import unpack_bytes

PUBLIC = ROOT.parent / "shared" / "data" / "squeezenet_v1.0.deep_compressed.net"


def model_of(*tensors):
    """A flatbuffer that holds these float32 arrays as constants."""
    build = Builder()
    for number, each in enumerate(tensors):
        build.tensor(f"weights{number}", each.shape, each)
    return build.finish(0, 0)


def laplacian(rng, shape, scale=1.5):
    """Integers as rounding trained weights leaves them: mostly zeros, filters of unlike size."""
    per_filter = np.exp(0.5 * rng.standard_normal((shape[0], 1, 1, 1)))
    return np.rint(rng.laplace(0, scale * per_filter, shape)).astype(np.int32)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes(data):
    assert unpack_bytes(pack(data).data) == data


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 2000))
def test_bytes_that_look_like_a_flatbuffer(tail, cut):
    data = model_of(np.arange(600.0).reshape(3, 200))[:cut] + tail
    assert unpack_bytes(pack(data).data) == data
    data = b"\x1c\0\0\0TFL3" + tail
    assert unpack_bytes(pack(data).data) == data


@pytest.mark.parametrize("name", ["okay_nabu", "face_detection_front"])  # the two smallest
def test_models_of_others(name):
    content = foreign(name).read_bytes()
    packed = pack(content)
    assert unpack_bytes(packed.data) == content
    assert len(packed.data) < len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    assert packed.weights + packed.side + packed.rest == len(packed.data)


def test_our_own_model(tmp_path):
    content = tiny_model(tmp_path / "tiny.tflite").read_bytes()
    assert unpack_bytes(pack(content).data) == content


def entropy(integers):
    """Bytes that the integers take at least when coded one by one, not knowing the others."""
    share = np.unique(integers, return_counts=True)[1] / integers.size
    return -integers.size * float((share * np.log2(share)).sum()) / 8


@pytest.mark.parametrize("form", ["step", "step of each filter", "codebook"])
def test_rounded_weights_take_little_more_than_their_entropy(form):
    rng = np.random.default_rng(3)
    integers = np.clip(laplacian(rng, (96, 3, 3, 32)), -15, 15)
    steps = np.float32(0.013) * np.ones((96, 1, 1, 1), np.float32)
    if form == "step of each filter":
        steps = rng.uniform(0.01, 0.02, (96, 1, 1, 1)).astype(np.float32)
    if form == "codebook":
        book = np.sort(rng.standard_normal(31)).astype(np.float32)
        book[15] = 0
        kernel = book[integers + 15]
    else:
        kernel = integers.astype(np.float32) * steps + np.float32(0)  # no negative zeros
    content = model_of(kernel)
    packed = pack(content)
    assert unpack_bytes(packed.data) == content
    # Filters of unlike size are told from each other, which one entropy for all does not.
    assert packed.weights < 0.99 * entropy(integers)
    assert packed.side < {"step": 16, "step of each filter": 400, "codebook": 160}[form]


def test_negative_zeros_infinities_and_nan_are_kept():
    rng = np.random.default_rng(4)
    kernel = laplacian(rng, (16, 1, 1, 64)).astype(np.float32) * np.float32(0.02)
    kernel[0, 0, 0, :5] = [-0.0, np.inf, -np.inf, np.nan, 1e-40]
    bias = np.array([0.0, -0.0, np.nan, np.inf] * 8, np.float32)
    content = model_of(kernel, bias)
    assert unpack_bytes(pack(content).data) == content


def test_dense_weights_lose_their_exponents_and_zeros():
    rng = np.random.default_rng(5)
    dense = rng.standard_normal((64, 256)).astype(np.float32)
    assert packed_size(model_of(dense)) < 0.87 * dense.nbytes
    pruned = dense * (rng.random(dense.shape) < 0.2)
    content = model_of(np.abs(pruned))
    assert unpack_bytes(pack(content).data) == content
    assert packed_size(content) < 0.25 * dense.nbytes


@pytest.mark.parametrize("shape", [(1, 3, 3, 64), (64, 3, 3, 1), (2, 5, 64), (640,)])
@pytest.mark.parametrize("kind", ["dense", "rounded"])
def test_each_shape_is_recognized_and_restored(shape, kind):
    made = np.random.default_rng(6).standard_normal(shape).astype(np.float32)
    made = np.rint(2 * made) + np.float32(0) if kind == "rounded" else made
    content = model_of(made)
    parts = segments(content)
    assert len(parts) == 3
    # Before any fallback to general bytes, which would hide a section that is restored wrongly.
    assert unpack_bytes(_packed(content, parts).data) == content


@pytest.fixture(scope="module")
def public():
    if not PUBLIC.exists():
        pytest.skip(f"the public weights are not at {PUBLIC}")
    from zoo.pretrained.deep_compression import decode

    return decode(PUBLIC.read_bytes(), "public").weights


def test_public_weights(public):
    """One real layer: clusters of the published file, 58,982 weights with its bias."""
    kernel, bias = public["fire6_expand3x3"]
    kernel = kernel.transpose(3, 0, 1, 2)
    packed = pack(model_of(kernel, bias))
    places = np.unique(kernel, return_inverse=True)[1]
    assert packed.weights < 1.0 * entropy(places)
    assert packed.side < 4 * len(bias) + 720  # 256 entries of the codebook


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_weights_come_back(data):
    sides = [data.draw(st.integers(1, top)) for top in (40, 7, 7, 30)]
    shape = TensorShape(*sides)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    largest = data.draw(st.sampled_from([1, 2, 12, 40, 255, 65536]))
    size = (shape.filters, shape.positions, shape.channels)
    numbers = np.rint(rng.laplace(0, data.draw(st.sampled_from([0.1, 1, 30])), size))
    numbers = np.clip(numbers, -largest, largest).astype(np.int32)
    coefficients = fitted(shape, numbers)
    encoder, models = Encoder(), Models()
    for _ in range(2):  # the second with what the first taught
        weights.code(encoder, models, shape, largest, coefficients, numbers)
    coded = encoder.finish()
    # Only above: while a coder's state is empty, likely decisions cost nothing.
    assert len(coded) < encoder.bits / 8 + 12 + 0.001 * len(coded)
    decoder, models = Decoder(coded), Models()
    for _ in range(2):
        found = weights.code(decoder, models, shape, largest, coefficients)
        np.testing.assert_array_equal(found, numbers)
    decoder.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), max_size=100), st.integers(0, 31))
def test_lists_come_back(numbers, shift):
    array = (np.array(numbers, np.uint64) >> np.uint64(shift) << np.uint64(shift // 2)).astype(
        np.uint32
    )
    encoder = Encoder()
    number_lists.code_floats(encoder, Models(), "a", len(array), array)
    number_lists.code_integers(encoder, Models(), "b", len(array), array)
    decoder = Decoder(encoder.finish())
    np.testing.assert_array_equal(
        number_lists.code_floats(decoder, Models(), "a", len(array)), array
    )
    np.testing.assert_array_equal(
        number_lists.code_integers(decoder, Models(), "b", len(array)), array
    )
    decoder.close()


@settings(max_examples=100, deadline=None)
@given(
    step=st.floats(2**-20, 8, width=32),
    integers=st.lists(st.integers(-300, 300), min_size=2, max_size=60),
)
def test_a_step_is_found(step, integers):
    numbers = np.array(integers, np.int32)
    numbers[0] = 1
    made = numbers.astype(np.float32) * np.float32(step)
    found = codebooks.step_of(made)
    assert found is not None
    back = codebooks.integers_of(made, np.array([found], np.float32))
    np.testing.assert_array_equal(back, numbers)


def test_no_step_where_there_is_none():
    assert (
        codebooks.step_of(np.random.default_rng(0).standard_normal(50).astype(np.float32)) is None
    )


@given(st.lists(st.integers(0, 2**32 - 1), max_size=50))
def test_order_of_floats(bits):
    array = np.array(bits, np.uint32)
    np.testing.assert_array_equal(codebooks.unordered(codebooks.ordered(array), 4), array)
    floats = array.view(np.float32)
    floats = floats[np.isfinite(floats)]
    order = np.argsort(codebooks.ordered(floats.view(np.uint32)), kind="stable")
    assert (np.diff(floats[order].astype(np.float64)) >= 0).all()


def test_probabilities_are_the_logistic_function():
    middles = (np.arange(128) - 63.5) / 8
    np.testing.assert_allclose(probabilities() / 65536, 1 / (1 + np.exp(-middles)), atol=2e-5)


def test_unpacking_needs_little(tmp_path):
    (tmp_path / "c").write_bytes(pack(model_of(np.arange(900.0).reshape(9, 100) % 7)).data)
    code = (
        "import sys, pathlib; from zoo.container.unpack import unpack_bytes;"
        f"unpack_bytes(pathlib.Path({str(tmp_path / 'c')!r}).read_bytes());"
        "sys.exit(','.join(m for m in ('tensorflow', 'ai_edge_litert', 'flatbuffers',"
        "'converters.inspection', 'zoo.schema.artifact') if m in sys.modules) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=HANG_S
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_commands(command, tmp_path):
    model = tiny_model(tmp_path / "tiny.tflite")
    box, back = tmp_path / "tiny.ztfl", tmp_path / "back.tflite"
    done = command("pack", str(model), f"--output_file={box}")
    assert done.returncode == 0, done.stderr
    assert f"{model.stat().st_size:,} bytes" in done.stdout and "zip (deflate)" in done.stdout
    assert f"{box.stat().st_size:,} bytes" in done.stdout
    done = command("unpack", str(box), f"--output_file={back}")
    assert done.returncode == 0, done.stderr
    assert back.read_bytes() == model.read_bytes()
    box.write_bytes(box.read_bytes()[:-1])
    done = command("unpack", str(box), f"--output_file={tmp_path / 'other'}")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"damaged: its checksum is wrong | where: {box} | to do: " in done.stderr
    for name in ("pack", "unpack"):
        assert "exactly one file is required" in command(name).stderr
        assert "got: none" in command(name).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [model.name, box.name, back.name]
    )
