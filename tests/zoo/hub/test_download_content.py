"""Downloads of an index, manifests and containers that mean no good, or are of something else."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from converters.packing.pack import pack
from tests.support.release_server import NAME, file, get, nothing_there, released, serving
from zoo.schema.release import ReleaseFile


@pytest.mark.parametrize(
    "name",
    [
        "../../evil",
        "/etc/evil",
        "a/b",
        "..",
        ".hidden",
        "a\\b",
        "a\nb",
        "a b",
        "",
        "x" * 200,
        "C:x",
    ],
)
def test_names_that_leave_the_folder_are_no_names(tmp_path, name):
    told = json.loads(released()["index.json"])
    told["entries"][0]["name"] = name
    with serving({**released(), "index.json": json.dumps(told).encode()}) as server:
        problem = get([server.address], tmp_path / "cache", names=[name])
    assert re.search(r"index is not valid.*entries\.0\.name", problem)
    assert problem.count("\n") == 0
    assert not list(tmp_path.iterdir())


@given(st.text(max_size=60))
def test_no_path_of_an_index_leaves_the_release(path):
    try:
        found = ReleaseFile(path=path, bytes=1, sha256="0" * 64)
    except ValidationError:
        return
    place = Path(found.path)
    assert not place.is_absolute()
    assert ".." not in place.parts
    assert len(place.parts) <= 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told.update(name="other"), "manifest describes another file"),
        (lambda told: told.update(sha256="1" * 64), "manifest describes another file"),
        (lambda told: told.update(bytes=5), "manifest describes another file"),
        (lambda told: told.update(surprise=1), "manifest is not valid"),
    ],
)
def test_a_manifest_must_be_of_the_file(tmp_path, change, said):
    files = released()
    told = json.loads(files[f"artifacts/{NAME}.json"])
    change(told)
    manifest = json.dumps(told).encode()
    index = json.loads(files["index.json"])
    index["entries"][0]["manifest"] = file(f"artifacts/{NAME}.json", manifest).model_dump()
    files |= {
        f"artifacts/{NAME}.json": manifest,
        "index.json": json.dumps(index).encode(),
    }
    with serving(files) as server:
        assert said in get([server.address], tmp_path)
    assert nothing_there(tmp_path)


def test_a_swapped_manifest_is_refused(tmp_path):
    files = released()
    with serving({**files, f"artifacts/{NAME}.json": b"{}"}) as server:
        assert "the manifest does not match the index" in get([server.address], tmp_path)
    assert nothing_there(tmp_path)


def test_an_index_may_not_be_endless(tmp_path):
    def misbehave(handler, path):
        handler.answer(b"", 0, 0, **{"Content-Length": None})
        while not handler.server.ended.is_set():  # until the client has gone
            handler.wfile.write(b" " * 2**20)
        return True

    with serving({}, misbehave) as server:
        assert "more bytes than expected" in get([server.address], tmp_path)


@pytest.mark.parametrize("size", [2_000_000, pytest.param(50_000_000, marks=pytest.mark.slow)])
def test_a_bomb_in_a_container_is_refused(tmp_path, size):
    bomb = pack(bytes(size)).data
    assert len(bomb) < size / 500
    content = bytes(1000)
    with serving(released(content=content, packed=bomb)) as server:
        problem = get([server.address], tmp_path)
    assert re.search("1000|limit|too large", problem), problem
    assert problem.count("\n") == 0
    assert nothing_there(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 1000
