"""CIFAR-10 (JPEG): the real archive's splits, and what other archives lead to."""

import io
import tarfile

import numpy as np
import pytest

from tests.conftest import ROOT
from zoo import data
from zoo.data import cifar10_jpeg
from zoo.errors import ZooError
from zoo.io import cache

ARCHIVE = ROOT.parent / "shared" / "data" / "cifar10_jpeg.tar.xz"


@pytest.fixture(scope="module")
def fetched():
    if not ARCHIVE.exists():
        pytest.skip(f"CIFAR-10 (JPEG) is not at {ARCHIVE}")
    data.fetch("cifar10_jpeg", print, ARCHIVE)


def test_splits(fetched):
    dataset = data.load("cifar10_jpeg", 32, 5000)
    assert dataset.train.images.shape == (45000, 32, 32, 3)
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10
    labels = np.concatenate([dataset.train.labels, dataset.validation.labels])
    assert np.bincount(labels).tolist() == [5000] * 10
    # The means of the published pictures are 125.3, 123.0 and 113.9 (Krizhevsky 2009's training
    # set, as many recipes state them); compressing them again hardly moves those.
    means = dataset.train.images.mean(axis=(0, 1, 2))
    assert means == pytest.approx([125.3, 123.0, 113.9], abs=1)
    told = dataset.preprocessing()
    assert (told["channels"], len(told["mean"]), len(told["std"])) == ("RGB", 3, 3)


def test_a_damaged_copy_is_refused(fetched, tmp_path, monkeypatch):
    good = cifar10_jpeg.folder(cache.folder()) / "test.bin"
    content = bytearray(good.read_bytes())
    content[20_000] ^= 1
    damaged = cifar10_jpeg.folder(tmp_path) / "test.bin"
    damaged.parent.mkdir()
    damaged.write_bytes(content)
    with pytest.raises(ZooError, match=r"corrupt CIFAR-10 \(JPEG\) file"):
        cifar10_jpeg.read(tmp_path, "test")


def _archive(path, names):
    with tarfile.open(path, "w:xz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"\xff\xd8\xff\xe0"))
    return path


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["train/wolf/0000.jpg"], "not an image of CIFAR-10"),
        (["train/cat/5000.jpg"], "not an image of CIFAR-10"),
        (["cat.jpg"], "not an image of CIFAR-10"),
        (["train/cat/0000.jpg"], "broken image"),
        (["README"], "the archive lacks train images"),
    ],
)
def test_other_archives_are_refused(tmp_path, names, why):
    archive = _archive(tmp_path / "a.tar.xz", names)
    with pytest.raises(ZooError, match=why):
        cifar10_jpeg.fetch(tmp_path, archive, print)
    assert not cifar10_jpeg.folder(tmp_path).exists()


def test_without_an_archive_there_is_one_error(tmp_path):
    with pytest.raises(ZooError) as found:
        cifar10_jpeg.fetch(tmp_path, None, print)
    assert str(found.value) == (
        "--archive is required: CIFAR-10 (JPEG) has no public download | where: --archive | "
        "expected: a tar of train/CLASS/NNNN.jpg and test/CLASS/NNNN.jpg | "
        "got: CIFAR-10 (JPEG) is not on this machine | to do: give --archive=PATH"
    )


def test_not_an_archive(tmp_path):
    archive = tmp_path / "a.tar.xz"
    archive.write_bytes(b"no tar")
    with pytest.raises(ZooError, match="cannot read the archive"):
        cifar10_jpeg.fetch(tmp_path, archive, print)
    with pytest.raises(ZooError, match="give --archive"):
        cifar10_jpeg.fetch(tmp_path, None, print)
