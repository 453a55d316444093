"""Downloads that are resumed: after interruptions, and after a wrong beginning."""

import hashlib
import re
import threading

import pytest

from tests.support import processes
from tests.support.release_server import (
    CONTENT,
    NAME,
    OTHER,
    get,
    is_model,
    nothing_there,
    released,
    serving,
    whole,
)
from zoo.hub import download, sources
from zoo.hub import index as listing


def cut_once(handler, path):
    if not is_model(path) or handler.headers.get("Range"):
        return False
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[:100_000])
    return True


def test_a_broken_connection_goes_on_where_it_broke(tmp_path):
    with serving(released(), cut_once) as server:
        assert get([server.address], tmp_path) == ""
        ranges = [wanted for path, wanted in server.asked if is_model(path)]
    assert whole(tmp_path)
    assert len(ranges) == 2 and 0 < int(re.search(r"\d+", ranges[1]).group()) <= 100_000


def test_it_goes_on_after_kill_9(tmp_path):
    sent = threading.Event()

    def stall(handler, path):
        if not is_model(path) or sent.is_set():
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[:150_000])
        handler.wfile.flush()
        sent.set()
        return handler.server.ended.wait()

    with serving(released(), stall) as server:
        command = (
            "scripts.download", NAME, f"--source={server.address}", f"--into={tmp_path}",
            f"--timeout_secs={processes.HANG_S}",
        )  # fmt: skip
        process = processes.start(*command)
        processes.until(sent.is_set, process)
        partial = tmp_path / ".partial" / hashlib.sha256(CONTENT).hexdigest()
        processes.until(lambda: partial.exists() and partial.stat().st_size, process)
        process.kill()
        process.wait()
        assert nothing_there(tmp_path)
        done = processes.run(*command)
        assert done.returncode == 0, done.stderr
        wanted = server.asked[-1][1]
    assert whole(tmp_path)
    assert int(re.search(r"\d+", wanted).group()) > 0


def test_a_server_without_ranges_begins_anew(tmp_path):
    asked = []

    def no_ranges(handler, path):
        if not is_model(path):
            return False
        asked.append(path)
        part = CONTENT[:100_000] if len(asked) == 1 else CONTENT
        handler.answer(part, 0, 0, **{"Content-Length": str(len(CONTENT))})
        return True

    with serving(released(), no_ranges) as server:
        assert get([server.address], tmp_path) == ""
    assert whole(tmp_path)


def test_another_part_than_asked_for_is_refused(tmp_path):
    def shifted(handler, path):
        if not is_model(path):
            return False
        if not handler.headers.get("Range"):
            return cut_once(handler, path)
        handler.answer(CONTENT[5:], 5, len(CONTENT))
        return True

    with serving(released(), shifted) as server:
        assert re.search("wrong range.*got: bytes 5-", get([server.address], tmp_path))
    assert nothing_there(tmp_path)


def wrong_beginning(handler, path):
    if is_model(path):
        handler.answer(OTHER[:100_000], 0, 0, **{"Content-Length": str(len(CONTENT))})
    return is_model(path)


def test_a_wrong_beginning_of_another_source_does_not_spoil_a_good_one(tmp_path):
    with serving(released(), wrong_beginning) as bad, serving(released()) as good:
        assert get([bad.address, good.address], tmp_path) == ""
        asked = [wanted for path, wanted in good.asked if is_model(path)]
    assert whole(tmp_path)
    assert asked == ["bytes=100000-", None]


@pytest.mark.parametrize("begun", [OTHER[:1000], OTHER], ids=["a part", "all of it"])
def test_a_wrong_beginning_of_an_earlier_run_is_thrown_away(tmp_path, begun):
    partial = tmp_path / ".partial" / hashlib.sha256(CONTENT).hexdigest()
    partial.parent.mkdir()
    partial.write_bytes(begun)
    counts = []
    with serving(released()) as server:
        there = [sources.source(server.address)]
        entries = listing.chosen(listing.index(there), [NAME])
        progress = download.Progress(more=lambda name, count: counts.append(count))
        assert not download.fetch(entries, there, tmp_path, progress)[1]
    assert whole(tmp_path)
    assert sum(counts) == len(CONTENT)


def test_a_source_that_is_wrong_itself_is_asked_for_the_whole_once(tmp_path):
    partial = tmp_path / ".partial" / hashlib.sha256(CONTENT).hexdigest()
    partial.parent.mkdir()
    partial.write_bytes(OTHER[:1000])
    with serving(released() | {f"artifacts/{NAME}.tflite": OTHER}) as server:
        assert "the file does not match the index" in get([server.address], tmp_path)
        asked = [wanted for path, wanted in server.asked if is_model(path)]
    assert asked == ["bytes=1000-", None]
    assert not partial.exists()
