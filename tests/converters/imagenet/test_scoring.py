"""Public weights, found or refused, and their score on real pictures."""

import contextlib
import hashlib
import io
import json
import random
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.imagenet.scores import KERAS, Scores
from tests.conftest import PICTURES
from tests.zoo.pretrained.test_deep_compression import REAL
from zoo.catalog import model_spec
from zoo.catalog.preprocessing import TORCH
from zoo.data import imagenet
from zoo.data.imagenet_synsets import ILSVRC2012
from zoo.errors import ZooError
from zoo.pretrained import public
from zoo.pretrained.transfer import Initial
from zoo.schema.model import Preprocessing

NAME = "squeezenet_v1_0_deep_compressed"
ROW = public.WEIGHTS[NAME]


@pytest.fixture(scope="module")
def sample():
    for path in (PICTURES, REAL):
        if not path.exists():
            pytest.skip(f"the public weights and pictures are not at {path.parent}")
    return PICTURES


def tar_of(path, files, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w") as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def jpeg(height=256, width=256, seed=0):
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 4, 3)).astype(np.float32)
    pixels = tf.image.resize(coarse, (height, width), "nearest")
    return tf.io.encode_jpeg(tf.cast(pixels, tf.uint8), quality=95).numpy()


def score(command, path, *flags):
    done = command("evaluate", f"--weights={NAME}", f"--weights_file={REAL}", f"--images={path}",
                   "--json", *flags)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def some_of(sample, path, every):
    """A tar of every n-th picture."""
    with tarfile.open(sample) as tar:
        members = [member for member in tar if member.isreg()][::every]
        return tar_of(path, [(member.name, tar.extractfile(member).read()) for member in members])


@pytest.mark.slow
def test_score_on_some_classes(command, sample, tmp_path):
    images = some_of(sample, tmp_path / "some.tar", 50)
    result = score(command, images, "--precision=int8", f"--into={tmp_path}")
    assert (result["images"], result["classes"], result["crops"]) == (20, 20, 4)
    assert result["top1"] == pytest.approx(0.7125, abs=0.03)  # processors round differently
    assert result["top5"] == pytest.approx(0.8, abs=0.03)
    small = result["converted"]["int8"]
    assert (tmp_path / "squeezenet_v1_0-int8.tflite").stat().st_size == small["bytes"]
    assert small["top1"] == pytest.approx(result["top1"], abs=0.05)  # 4 of 80 crops
    assert small["calibration_images"] == 20


@pytest.mark.slow
def test_converted_weights_score_as_in_keras(command, sample, tmp_path):
    every = some_of(sample, tmp_path / "some.tar", 20)
    result = score(command, every, "--precision=float16,int8", f"--into={tmp_path}")
    half, whole = result["converted"]["float16"], result["converted"]["int8"]
    kept = tmp_path / "squeezenet_v1_0-int8.tflite"
    assert kept.stat().st_size == whole["bytes"]
    assert half["top1"] == pytest.approx(result["top1"], abs=0.005)  # 1 of 200 crops
    assert whole["top1"] == pytest.approx(result["top1"], abs=0.03)
    assert whole["top5"] == pytest.approx(result["top5"], abs=0.03)
    assert whole["calibration_images"] == 50
    # 1,248,424 parameters, two bytes each or one, and what else a file holds.
    assert 2_496_848 < half["bytes"] < 2_560_000
    assert 1_248_424 < whole["bytes"] < 1_400_000


def test_the_sentences_say_how_far_the_converted_are_from_keras():
    keras = np.array([[0, 0], [0, 1], [4, 5], [9, 9]])
    seen = np.array([True, False, False, False])
    scores = Scores(
        places={KERAS: keras, "int8": np.array([[0, 0], [1, 1], [0, 4], [5, 5]])},
        labels=np.array([1, 2, 2, 3]), calibrated=seen, bytes={"int8": 1_380_000},
    )  # fmt: skip
    start = Initial("a.net", "0" * 64, "squeezenet_v1_0", {}, TORCH, note="all of it")
    result, lines = scores.report(start, Path("set.tar"))
    # 3 of 8 crops are hits in both, 5 and 6 of 8 within five; without the first picture 1 of 6.
    wanted = [
        "a.net: squeezenet_v1_0 in Keras, all of it",
        "4 images of 3 classes, 2 central crops per image, set.tar",
        "top-1: 37.5 % (",
        "top-5: 62.5 % (",
        "published by the authors: top-1 57.5 %, top-5 80.3 % (ImageNet, paper, table 3",
        "int8.tflite, 1.38 MB, on LiteRT:",
        "  top-1: 37.5 % (",
        "  top-5: 75.0 % (",
        "  calibrated on 1 of the images, without labels; on the rest, top-1 is +0.0 points",
    ]
    assert [line[: len(text)] for line, text in zip(lines, wanted, strict=True)] == wanted
    assert lines[6].endswith(", +0.0 points relative to Keras")
    assert lines[7].endswith(", +12.5 points relative to Keras")
    converted: Any = result["converted"]
    assert (result["top1"], converted["int8"]["calibration_images"]) == (0.375, 1)


@pytest.mark.slow
def test_score_on_all_classes(command, sample):
    result = score(command, sample)
    assert (result["images"], result["classes"], result["sha256"]) == (1000, 1000, ROW.sha256)
    assert result["top1"] == pytest.approx(0.623, abs=0.003)
    assert result["top5"] == pytest.approx(0.833, abs=0.0031)
    # Each of the four crops that are equally near the center: rows 14 and 15, columns 14 and 15.
    assert result["top1_by_crop"] == pytest.approx([0.626, 0.622, 0.624, 0.627], abs=0.002)
    assert result["top5_by_crop"] == pytest.approx([0.838, 0.838, 0.837, 0.831], abs=0.002)


def test_network_is_the_one_of_caffe(sample):
    """On one picture, against the prototxt written with plain operators.

    But for its padding around conv10, which the paper's table does not have.
    """
    import tensorflow as tf

    from zoo.catalog import build, published_config
    from zoo.pretrained import initial
    from zoo.pretrained.transfer import apply

    start = initial.public(NAME, REAL)
    spec = model_spec("squeezenet_v1_0")
    model = build(published_config(spec))
    apply(model, spec.name, start, spec.preprocessing)
    picture = next(imagenet.read_images(sample))
    pixels = imagenet.decode(picture)
    x = imagenet.normalize(imagenet.central_crops(pixels, 227, 227)[:1], spec.preprocessing)
    assert x[0, 0, 0, 0] == float(pixels[14, 14, 2]) - 104
    assert x[0, 3, 5, 2] == float(pixels[17, 19, 0]) - 123

    def conv(x, name, stride=1, padding="SAME"):
        kernel, bias = start.weights[name]
        return tf.nn.relu(tf.nn.conv2d(x, kernel, stride, padding) + bias)

    def pool(x):  # Caffe rounds the size up: one more row and column where 3 + 2n does not fit
        more = (x.shape[1] - 3) % 2
        x = tf.pad(x, [[0, 0], [0, more], [0, more], [0, 0]], constant_values=-1e9)
        return tf.nn.max_pool2d(x, 3, 2, "VALID")

    y = pool(conv(x, "conv1", 2, "VALID"))
    for n in range(2, 10):
        squeezed = conv(y, f"fire{n}_squeeze1x1")
        halves = [conv(squeezed, f"fire{n}_expand{k}x{k}") for k in (1, 3)]
        y = tf.concat(halves, -1)
        if n in (4, 8):
            y = pool(y)
    logits = tf.reduce_mean(conv(y, "conv10"), [1, 2]).numpy()
    got = model.predict_on_batch(x)
    np.testing.assert_allclose(got, logits, rtol=1e-3, atol=1e-3)
    assert picture.label == 0 == got.argmax()  # the tench


def test_synsets_are_the_sorted_thousand():
    assert len(set(ILSVRC2012)) == 1000
    assert list(ILSVRC2012) == sorted(ILSVRC2012)
    assert all(re.fullmatch(r"n\d{8}", synset) for synset in ILSVRC2012)
    # Classes that everyone knows by their number.
    known = {0: "n01440764", 207: "n02099601", 281: "n02123045", 954: "n07753592"}
    assert {index: ILSVRC2012[index] for index in known} == known


def test_tar_and_folders_say_the_same(tmp_path):
    files = [
        ("set/n07753592_banana.jpg", b"1"),
        ("set/n01440764/ILSVRC2012_val_00000293.JPEG", b"2"),
        ("set/README.txt", b"no picture"),
    ]
    (tmp_path / "set" / "n01440764").mkdir(parents=True)
    for name, data in files:
        (tmp_path / name).write_bytes(data)
    packed = list(imagenet.read_images(tar_of(tmp_path / "set.tar", files)))
    unpacked = list(imagenet.read_images(tmp_path / "set"))
    assert sorted((p.label, p.data) for p in packed) == [(0, b"2"), (954, b"1")]
    assert {p.name: p for p in packed} == {p.name: p for p in unpacked}
    assert not (tmp_path / "n07753592_banana.jpg").exists()


def _header(size, kind):
    member = tarfile.TarInfo("n01440764_a.jpg")
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def test_bad_sets_are_refused(tmp_path, monkeypatch):
    good = tar_of(tmp_path / "good.tar", [("n01440764_a.jpg", b"x" * 2000)])
    cases = {
        "nothing.tar": (None, "no such images"),
        "text.tar": (b"not a tar at all" * 100, "cannot read the tar"),
        "empty.tar": (b"", "cannot read the tar"),
        "none.tar": (tar_of(tmp_path / "t", [("a.txt", b"")]).read_bytes(), "no images"),
        "cut.tar": (good.read_bytes()[:1024], "cannot read the tar"),
        "label.tar": (tar_of(tmp_path / "t", [("cat.jpg", b"")]).read_bytes(), "no label"),
        "class.tar": (
            tar_of(tmp_path / "t", [("n00000001_a.jpg", b"")]).read_bytes(),
            "n00000001 is not a class of ILSVRC-2012",
        ),
        "huge.tar": (_header(2**33, tarfile.REGTYPE), r"too large.*n01440764_a.jpg"),
        "link.tar": (_header(0, tarfile.SYMTYPE), "no images"),
        "device.tar": (_header(0, tarfile.CHRTYPE), "no images"),
        "longname.tar": (_header(2**30, tarfile.GNUTYPE_LONGNAME), "a header is too long"),
        "pax.tar": (_header(2**30, tarfile.XHDTYPE), "a header is too long"),
    }
    for name, (data, message) in cases.items():
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data + bytes(1024) * (name not in ("empty.tar", "cut.tar")))
        with pytest.raises(ZooError, match=message) as caught:
            list(imagenet.read_images(path))
        assert "\n" not in str(caught.value)
    packed = tmp_path / "packed.tar"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(good, "n01440764_a.jpg")
    with pytest.raises(ZooError, match="uncompressed tar"):
        list(imagenet.read_images(packed))
    monkeypatch.setattr(imagenet, "MAX_IMAGES", 0)
    with pytest.raises(ZooError, match="too many entries"):
        list(imagenet.read_images(good))


def test_any_damaged_tar_is_a_zoo_error(tmp_path):
    """Random bytes in the headers, pax and GNU extensions included; a fixed seed."""
    path, rng = tmp_path / "a.tar", random.Random(1)
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(path, "w", format=form) as tar:
            for name in ("n01440764_" + "é" * 120 + ".jpg", "n01440764_b.jpg"):
                member = tarfile.TarInfo(name)
                member.size = 3
                tar.addfile(member, io.BytesIO(b"abc"))
        good = path.read_bytes()
        end = good.rindex(b"abc") + 3
        for _ in range(300):
            data = bytearray(good[: rng.choice([len(good), rng.randrange(len(good))])])
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(min(end, len(data)))] = rng.choice([0, 32, 48, 49, 55, 61, 255])
            # A right checksum, or no damage gets past the first look.
            for start in range(0, len(data) - 511, 512):
                if data[start + 257 : start + 262] == b"ustar":
                    block = (
                        bytes(data[start : start + 148])
                        + b" " * 8
                        + data[start + 156 : start + 512]
                    )
                    data[start + 148 : start + 155] = b"%06o\0" % sum(block)
            path.write_bytes(data)
            with contextlib.suppress(ZooError):
                assert all(len(p.data) <= len(data) for p in imagenet.read_images(path))


def test_broken_picture_is_named(tmp_path, monkeypatch):
    whole = jpeg()
    for data in (b"", b"GIF89a", whole[:700], whole[: len(whole) // 2]):
        with pytest.raises(ZooError, match=r"broken image.*set/n01440764_a\.jpg") as caught:
            imagenet.decode(imagenet.JpegImage("set/n01440764_a.jpg", 0, data))
        assert "\n" not in str(caught.value)
    assert imagenet.decode(imagenet.JpegImage("a", 0, whole)).shape == (256, 256, 3)
    monkeypatch.setattr(imagenet, "MAX_PIXELS", 65_535)
    with pytest.raises(ZooError, match="256×256"):
        imagenet.decode(imagenet.JpegImage("a", 0, whole))


@pytest.mark.parametrize(
    ("shape", "crops"),
    [((256, 256), 4), ((256, 400), 4), ((512, 512), 4), ((300, 1000), 2), ((100, 77), 4)],
)
def test_central_crops(shape, crops):
    # A horizontal ramp: the middle of the crops is the middle of the picture.
    ramp = np.linspace(0, 255, shape[1])
    pixels = np.broadcast_to(ramp[:, np.newaxis], (*shape, 3)).astype(np.float32)
    got = imagenet.central_crops(pixels, 227, 227)
    assert (got.shape, got.dtype) == ((crops, 227, 227, 3), np.float32)
    assert got[:, 113, 113, 0].mean() == pytest.approx(127.5, abs=0.2)
    assert np.ptp(got[0, 0, :, 0]) == pytest.approx(255 * 227 / 256 * min(shape) / shape[1], abs=4)
    with pytest.raises(ZooError, match="too large for this evaluation"):
        imagenet.central_crops(pixels, 299, 299)


def test_one_crop_where_the_margin_is_even():
    pixels = np.arange(256 * 256 * 3, dtype=np.float32).reshape(256, 256, 3)
    (crop,) = imagenet.central_crops(pixels, 224, 226)
    np.testing.assert_array_equal(crop, pixels[16:240, 15:241])


def test_normalize():
    pixels = np.array([[[10, 20, 30]]], np.uint8)
    rgb = Preprocessing(channels="RGB", mean=(1, 2, 3), std=(1, 2, 4))
    bgr = Preprocessing(channels="BGR", mean=(1, 2, 3), std=(1, 2, 4))
    assert imagenet.normalize(pixels, rgb).tolist() == [[[9, 9, 6.75]]]
    assert imagenet.normalize(pixels, bgr).tolist() == [[[29, 9, 1.75]]]
    with pytest.raises(ZooError, match="gray"):
        imagenet.normalize(pixels, Preprocessing(channels="gray", mean=(0,), std=(1,)))


def test_named_weights_are_refused_by_hash(command, tmp_path):
    other = tmp_path / "other.net"
    other.write_bytes(b"\0" * ROW.bytes)
    done = command("evaluate", f"--weights={NAME}", f"--weights_file={other}", "--images=x")
    assert done.returncode == 1
    assert re.search(
        rf"the file is not {NAME}.*{ROW.sha256}.*675763 bytes with sha256", done.stderr
    )
    assert done.stderr.count("\n") == 1
    done = command("evaluate", f"--weights={other}", "--images=x")  # unnamed: only decoded
    assert done.returncode == 1
    assert "trailing bytes" in done.stderr
    done = command("evaluate", "--weights=squeezenet", "--images=x")
    assert "unknown weights 'squeezenet'" in done.stderr
    done = command("evaluate", f"--weights={NAME}", "--images=x", MODEL_ZOO_CACHE=str(tmp_path))
    assert f"to do: run zoo data --weights={NAME}" in done.stderr


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A loopback web server; what it answers, an own cache, and stand-in weights of 1000 bytes."""
    answer: dict[str, Any] = {"status": 200, "body": b"w" * 1000, "sent": 0}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer["status"])
            self.end_headers()
            try:
                for start in range(0, len(answer["body"]), 2**16):
                    self.wfile.write(answer["body"][start : start + 2**16])
                    answer["sent"] = start + 2**16
            except OSError:
                pass

        def log_message(self, format, *args):
            pass

    monkeypatch.setenv("MODEL_ZOO_CACHE", str(tmp_path))
    row = public.PublicWeights(
        name="made", model="squeezenet_v1_0", url="", bytes=1000, license="", labels="",
        sha256=hashlib.sha256(b"w" * 1000).hexdigest(),
    )  # fmt: skip
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield answer, row, f"http://127.0.0.1:{http.server_port}/w.net"
        http.shutdown()


def test_fetch_keeps_only_the_right_file(served, tmp_path):
    answer, row, url = served
    said: list[str] = []
    path = public.fetch(row, said.append, url)
    assert path == tmp_path / "weights" / "made.net"
    assert public.read(row) == b"w" * 1000
    answer["status"] = 500  # not asked again
    assert public.fetch(row, said.append, url) == path
    assert "found at" in said[-1]
    path.write_bytes(b"damaged")
    with pytest.raises(ZooError, match=r"download failed.*500.*copy it to"):
        public.fetch(row, said.append, url)
    answer.update(status=200, body=b"v" * 1000)
    with pytest.raises(ZooError, match="the file is not made"):
        public.fetch(row, said.append, url)
    assert path.read_bytes() == b"damaged"
    answer["body"] = b"w" * (50 * 2**20)
    with pytest.raises(ZooError, match="the file is not made"):
        public.fetch(row, said.append, url)
    assert answer["sent"] < 40 * 2**20  # given up early
    answer["body"] = b"w" * 1000
    assert public.fetch(row, said.append, url).read_bytes() == b"w" * 1000
    assert [p.name for p in path.parent.iterdir()] == ["made.net"]


def test_the_row_is_of_the_real_file(sample):
    data = REAL.read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (ROW.bytes, ROW.sha256)
    assert public.read(ROW, REAL) == data
    assert model_spec(ROW.model).preprocessing.channels == "BGR"


def test_data_command_still_fetches_data_sets(command, tmp_path):
    done = command("data", "--dataset=digits")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    cached = tmp_path / "weights" / f"{NAME}.net"
    if not REAL.exists():
        pytest.skip(f"the public weights are not at {REAL}")
    cached.parent.mkdir()
    cached.write_bytes(Path(REAL).read_bytes())
    done = command("data", f"--weights={NAME}", MODEL_ZOO_CACHE=str(tmp_path))
    assert done.stdout == f"{NAME}: found at {cached}, checksum OK\n"
    done = command("data", "--weights=none")
    assert "unknown weights" in done.stderr
