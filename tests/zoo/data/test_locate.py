"""Where datasets are, found by the files that reading them takes."""

import pytest

from zoo.data import DATASETS, cifar10_jpeg, fashion_mnist
from zoo.data.locate import locate


@pytest.fixture(autouse=True)
def empty(monkeypatch, tmp_path):
    monkeypatch.setenv("MODEL_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "none")


def test_files_of_all_splits_make_a_dataset(tmp_path):
    for name, files in (
        ("fashion_mnist", [file.name for file in fashion_mnist.FILES.values()]),
        ("cifar10_jpeg", [f"{split}.bin" for split in cifar10_jpeg.COUNTS]),
    ):
        folder = tmp_path / "cache" / name
        folder.mkdir(parents=True)
        for file in files:
            missing = locate(name)
            assert missing.place is None and f"--dataset={name}" in missing.remedy
            (folder / file).touch()
        assert locate(name).place == str(folder)


def test_a_prepared_set_of_tensorflow_datasets(tmp_path):
    folder = tmp_path / "other" / "imagenette" / "320px-v2"
    (folder / "incomplete.ABC_1.0.0").mkdir(parents=True)
    missing = locate("imagenette", str(tmp_path / "other"))
    assert missing.place is None
    assert missing.remedy.endswith(
        f"run zoo data --dataset=imagenette --data_dir={tmp_path / 'other'}"
    )
    (folder / "1.0.0").mkdir()
    (folder / "1.0.0" / "dataset_info.json").touch()
    assert locate("imagenette", str(tmp_path / "other")).place == str(folder / "1.0.0")
    assert locate("imagenette").place is None


def test_what_has_to_be_downloaded_by_hand_is_told_first():
    assert locate("imagenet").remedy.index("ILSVRC2012") < locate("imagenet").remedy.index("zoo ")


def test_each_dataset_has_a_source_and_a_remedy():
    for name in DATASETS:
        if name != "image_folder":
            located = locate(name)
            assert located.name == name and located.source and located.remedy
