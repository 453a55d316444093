"""Result lines and atomic writes, also after crashes and against hostile files."""

import multiprocessing
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import ZooError, one_line
from zoo.io.files import atomic_path, write_text
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import append_record, read_model, read_records
from zoo.schema.measurement import ConvertRecord


def _record(model="m", seconds=1.0):
    return ConvertRecord(
        time_utc="2026-01-01T00:00:00+00:00",
        command=("python", "-m", "scripts.convert"),
        versions={"python": "3.11"},
        model=model,
        model_sha256="0" * 64,
        precision="int8",
        bytes=1,
        gzip_bytes=1,
        seconds=seconds,
    )


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_full_disk_is_told_with_the_file(tmp_path):
    full = tmp_path / "results.jsonl"
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left.*results\.jsonl"):
        append_record(full, _record())
    path = tmp_path / "x.json"
    with pytest.raises(OSError, match=r"No space left.*x\.json"), atomic_path(path):
        full.write_text("some")
    with pytest.raises(OSError, match="nothing of a file") as other, atomic_path(path):
        raise OSError("nothing of a file")
    assert other.value.filename is None


def test_a_line_that_only_begins_to_fit_is_an_error(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:10]))
    with pytest.raises(OSError, match=r"No space left.*r\.jsonl"):
        append_record(tmp_path / "r.jsonl", _record())


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_records_come_back_as_written(tmp_path_factory, model, seconds):
    path = tmp_path_factory.mktemp("r") / "results.jsonl"
    records = [_record(model, seconds), _record("other", 0.0)]
    for record in records:
        append_record(path, record)
    assert read_records(path) == (records, [])


def test_a_line_cut_off_by_a_crash_costs_only_itself(tmp_path):
    path = tmp_path / "results.jsonl"
    append_record(path, _record("a"))
    whole = path.read_bytes()
    with path.open("ab") as stream:
        stream.write(whole[: len(whole) // 2])
    append_record(path, _record("b"))
    records, problems = read_records(path)
    assert [record.model for record in records] == ["a", "b"]
    assert len(problems) == 1
    assert ":2:" in problems[0]


@given(st.binary(max_size=300))
def test_any_bytes_are_reported_not_raised(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("r") / "results.jsonl"
    path.write_bytes(junk)
    records, problems = read_records(path)
    assert records == []
    assert len(problems) <= junk.count(b"\n") + 1


def _append_many(path, name):
    for _ in range(50):
        append_record(path, _record(name * 500))


def test_parallel_writers_do_not_mix(tmp_path):
    path = tmp_path / "results.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    records, problems = read_records(path)
    assert (len(records), problems) == (150, [])


def test_unknown_keys_in_a_manifest_are_refused(tmp_path):
    path = tmp_path / "m.json"
    path.write_text('{"name": "x", "surprise": 1}')
    with pytest.raises(ZooError, match=r"manifest is not valid .* where: .*m\.json"):
        read_model(path, Artifact, "the manifest", "convert again")


@given(st.text())
def test_messages_are_one_printable_line(text):
    assert one_line(text).isprintable()
    assert len(one_line(text)) <= 600
