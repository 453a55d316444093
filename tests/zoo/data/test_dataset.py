"""Data sets: real splits, pinned content, and what damaged or missing files lead to."""

import gzip
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from zoo import data
from zoo.data import fashion_mnist
from zoo.errors import UnknownNameError, ZooError
from zoo.io import cache


@pytest.fixture(scope="session")
def fashion(tmp_path_factory):
    """The folder with Fashion-MNIST, fetched as `make demo` does."""
    try:
        return fashion_mnist.fetch(cache.folder(), print)
    except ZooError as error:
        pytest.skip(f"Fashion-MNIST can't be had on this machine: {error}")


def _keys(split):
    return {image.tobytes() for image in split.images}


def test_digits_splits_are_disjoint_and_complete():
    dataset = data.load("digits", 32, 200)
    sizes = (len(dataset.train), len(dataset.validation), len(dataset.test))
    assert sizes == (1200, 200, 397)
    assert not _keys(dataset.train) & _keys(dataset.validation)
    assert not _keys(dataset.train) & _keys(dataset.test)
    assert dataset.mean == pytest.approx(dataset.train.images.mean(), abs=1e-3)


def test_splits_do_not_depend_on_anything_but_their_size():
    first, second = data.load("digits", 32, 200), data.load("digits", 16, 200)
    assert np.array_equal(first.train.labels, second.train.labels)


def test_fashion_mnist_is_the_published_one(fashion):
    dataset = data.load("fashion_mnist", 32, 5000)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (55000, 5000, 10000)
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10
    labels = np.concatenate([dataset.train.labels, dataset.validation.labels])
    assert np.bincount(labels).tolist() == [6000] * 10
    assert dataset.train.images.shape[1:] == (32, 32, 1)
    assert not dataset.train.images[:, :2].any()  # padding


@pytest.mark.parametrize("damage", ["flip", "truncate", "garbage", "bomb"])
def test_damaged_file_is_refused(fashion, tmp_path, damage):
    name = fashion_mnist.FILES["test_labels"].name
    content = bytearray((fashion / name).read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    elif damage == "truncate":
        content = content[: len(content) // 2]
    elif damage == "garbage":
        content = bytearray(b"not gzip at all")
    else:
        content = bytearray(gzip.compress(bytes(50 * 2**20)))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ZooError, match=r"corrupt Fashion-MNIST file.*run zoo data"):
        fashion_mnist.read(tmp_path, "test_labels")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(tmp_path):
    """A loopback web server over `tmp_path/www`."""
    (tmp_path / "www").mkdir()
    handler = partial(_Quiet, directory=tmp_path / "www")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield tmp_path / "www", f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()


def test_wrong_download_is_not_kept(server, tmp_path, monkeypatch):
    www, address = server
    for file in fashion_mnist.FILES.values():
        (www / file.name).write_bytes(gzip.compress(b"another data set"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "nowhere")
    monkeypatch.setenv("PATH", "/nonexistent")  # no apt-get
    with pytest.raises(ZooError, match=r"not available.*no apt-get.*download failed"):
        fashion_mnist.fetch(tmp_path / "cache", print, publisher=address)
    kept = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert kept == []


def test_fetch_repairs_a_damaged_cache(fashion, tmp_path, monkeypatch):
    cache = tmp_path / "cache" / "fashion_mnist"
    shutil.copytree(fashion, cache)
    labels = cache / fashion_mnist.FILES["test_labels"].name
    good = labels.read_bytes()
    labels.write_bytes(good[:100])
    monkeypatch.setattr(
        fashion_mnist, "_from_debian", lambda target, log, _: labels.write_bytes(good)
    )
    said: list[str] = []
    fashion_mnist.fetch(tmp_path / "cache", said.append)
    assert "damaged" in said[0]
    assert labels.read_bytes() == good


def test_bad_arguments():
    with pytest.raises(UnknownNameError, match="did you mean digits"):
        data.load("digit", 32, 200)
    with pytest.raises(ZooError, match="validation_images"):
        data.load("digits", 32, 1400)
    with pytest.raises(ZooError, match="image_size"):
        data.load("digits", 7, 200)
