"""Downloads from a web server on loopback, from a folder, and from mirrors."""

import hashlib
import re

import pytest

from converters.packing.pack import pack
from tests.support import processes
from tests.support.release_server import (
    CONTENT,
    NAME,
    OTHER,
    answering,
    get,
    is_model,
    released,
    serving,
    whole,
)
from zoo.hub import local


def test_a_file_comes_once_and_is_checked(tmp_path):
    folder = tmp_path / "cache"
    with serving(released()) as server:
        assert get([server.address], folder) == ""
        assert whole(folder)
        assert get([server.address], folder) == ""
        assert [path for path, _ in server.asked if is_model(path)] == [f"artifacts/{NAME}.tflite"]
        (folder / "artifacts" / f"{NAME}.tflite").write_bytes(OTHER)  # damaged since
        assert get([server.address], folder) == ""
    assert whole(folder)
    assert local.find(NAME, (folder,)).content == CONTENT
    assert not list((folder / ".partial").iterdir())


def test_a_folder_is_a_source_too(tmp_path):
    for path, content in released().items():
        (tmp_path / "release" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "release" / path).write_bytes(content)
    assert get([tmp_path / "release"], tmp_path / "cache") == ""
    assert whole(tmp_path / "cache")
    assert "cannot read the file" in get([tmp_path], tmp_path / "other")


@pytest.mark.parametrize("web", [False, True])
def test_a_full_disk_is_no_fault_of_the_source(tmp_path, web):
    for path, content in released().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    partial = tmp_path / "cache" / ".partial" / hashlib.sha256(CONTENT).hexdigest()
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    with serving(released()) as server:
        problem = get([server.address if web else tmp_path], tmp_path / "cache")
    assert re.search(f"cannot save the download.*cache/.*{NAME}.*No space left", problem), problem
    assert problem.count("\n") == 0


def test_a_container_is_unpacked_on_arrival(tmp_path):
    content = (b"weights" * 5000)[:30_000]
    with serving(released(content=content, packed=pack(content).data)) as server:
        assert get([server.address], tmp_path) == ""
    assert whole(tmp_path, content)


def test_the_next_mirror_is_taken(tmp_path):
    with (
        serving(released(), answering(OTHER)) as bad,
        serving(released()) as good,
        serving({}) as empty,
    ):
        nobody = "http://127.0.0.1:1/"
        assert get([nobody, empty.address, bad.address, good.address], tmp_path) == ""
    assert whole(tmp_path)


def test_two_processes_want_the_same(tmp_path):
    with serving(released()) as server:
        command = (
            "scripts.download", NAME, f"--source={server.address}", f"--into={tmp_path}",
            f"--timeout_secs={processes.HANG_S}",
        )  # fmt: skip
        both = [processes.start(*command) for _ in range(2)]
        assert [process.wait(processes.HANG_S) for process in both] == [0, 0]
        assert len([path for path, _ in server.asked if is_model(path)]) == 1
    assert whole(tmp_path)
