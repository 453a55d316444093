"""Downloads from a web server on the loopback, which may do anything but behave."""

import hashlib
import itertools
import os
import re
import threading

import pytest

from converters.packing.pack import pack
from tests.support import processes
from tests.support.release_server import (
    CONTENT,
    NAME,
    get,
    is_model,
    nothing_there,
    released,
    serving,
    whole,
)
from zoo.errors import UnknownNameError, ZooError
from zoo.hub import download, local, sources
from zoo.hub import index as listing
from zoo.schema.release import Index

OTHER = os.urandom(len(CONTENT))


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


def answering(content, first=0, **headers):
    def misbehave(handler, path):
        if not is_model(path):
            return False
        handler.answer(content, first, len(CONTENT), **headers)
        return True

    return misbehave


def stalling(handler, path):
    if is_model(path):
        handler.answer(CONTENT[:1000], 0, 0, **{"Content-Length": str(len(CONTENT))})
        handler.wfile.flush()
        handler.server.ended.wait()
    return is_model(path)


def drip(handler, content):
    """A byte now and then, for ever: until the client has gone, or the test."""
    for byte in itertools.cycle(content):
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        if handler.server.ended.wait(0.05):
            break


def dripping(handler, path):
    if is_model(path):
        handler.answer(b"", 0, 0, **{"Content-Length": str(len(CONTENT))})
        drip(handler, CONTENT)
    return is_model(path)


def dripping_lines(*lines):
    """Answers with lines of which the last one comes byte by byte, without an end."""

    def misbehave(handler, path):
        if is_model(path):
            *first, last = lines
            handler.wfile.write("".join(f"{line}\r\n" for line in first).encode())
            drip(handler, last.encode())
        return is_model(path)

    return misbehave


CHUNKED = ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "")


def endless(handler, path):
    """Bytes until the client has gone, where 300 kB were promised."""
    if is_model(path):
        handler.answer(b"", 0, 0, **{"Content-Length": None})
        while not handler.server.ended.is_set():
            handler.wfile.write(bytes(2**20))
    return is_model(path)


def redirecting(where):
    def misbehave(handler, path):
        if is_model(path):
            handler.send_response(302)
            handler.send_header("Location", where.format(handler.server.server_port, path))
            handler.end_headers()
        return is_model(path)

    return misbehave


# How long those servers may be silent that are waited for, when they are asked for the model: they
# say their first words in a hundredth of it. A dripping line takes three times as long.
SILENCE_S = 2.0


@pytest.mark.parametrize(
    ("misbehave", "said"),
    [
        (stalling, "interrupted.*timed out"),
        (dripping, "too slow"),
        (dripping_lines("HTTP/1.1 200 OK", "X-Header: "), "no response.*timed out after 6 s"),
        pytest.param(
            dripping_lines("HTTP/1.1 100 Continue\r\n\r\n"), "no response.*timed out after 6 s",
            marks=pytest.mark.slow,
        ),
        (dripping_lines(*CHUNKED, "0"), "interrupted.*timed out after 6 s"),
        pytest.param(
            dripping_lines(*CHUNKED, "0", "Trailer: x\r\n"), "interrupted.*timed out after 6 s",
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_a_server_that_keeps_us_waiting_is_left(tmp_path, misbehave, said):
    """Each would go on for ever."""
    wrong(tmp_path, misbehave, said, SILENCE_S)


@pytest.mark.parametrize(
    ("misbehave", "said"),
    [
        (answering(CONTENT[:1000]), "reports a different size.*300000.*1000"),
        (answering(CONTENT[:1000], **{"Content-Length": None}), "fewer bytes than expected"),
        (answering(CONTENT + b"x"), "reports a different size"),
        (answering(CONTENT + b"x", **{"Content-Length": None}), "more bytes than expected"),
        (endless, "more bytes than expected"),
        (answering(OTHER), "the file does not match the index"),
        (answering(CONTENT[7:], first=7), "unexpected HTTP status.*206"),
        (redirecting("http://localhost:{}/{}"), "redirect to another host.*localhost"),
        (redirecting("file:///etc/passwd"), "redirect to another host.*file:///etc/passwd"),
        (redirecting("http://["), "redirect to an invalid address.*Invalid IPv6"),
        (redirecting("/{1}"), "too many redirects"),
        (
            lambda handler, path: is_model(path) and not handler.send_error(503),
            "unexpected HTTP status.*503",
        ),
    ],
)
def test_what_a_server_does_wrong_is_one_line(tmp_path, misbehave, said):
    wrong(tmp_path, misbehave, said, processes.HANG_S)


def wrong(tmp_path, misbehave, said, timeout_s):
    """Downloads from a server that does something wrong; nothing may be left but a beginning."""
    folder = tmp_path / "cache"
    with serving(released(), misbehave) as server:
        problem = get([server.address], folder, timeout_s)
    assert re.search(said, problem), problem
    assert problem.count("\n") == 0
    assert nothing_there(folder)
    partial = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert partial <= len(CONTENT)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_the_body_of_a_redirect_is_not_read(tmp_path):
    sent = []

    def misbehave(handler, path):
        if is_model(path):
            handler.send_response(302)
            handler.send_header("Location", "http://localhost/")
            handler.end_headers()
            for _ in range(100):
                handler.wfile.write(bytes(2**20))
                sent.append(2**20)
        return is_model(path)

    with serving(released(), misbehave) as server:
        assert "redirect to another host" in get([server.address], tmp_path)
    assert sum(sent) < 20 * 2**20  # what the system's buffers take


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://[x", "invalid address.*http://\\[x.*Invalid IPv6"),
        ("http://x\u2100y/", "invalid address.*invalid characters"),
        ("http://", "has no host"),
        ("http://a..b/", "no response.*a\\.\\.b.*label empty"),
        ("http://a:b/", "no response.*not a valid host or port"),
        ("ftp://a/", "unsupported address"),
    ],
)
def test_what_is_no_address_is_one_line(address, said):
    with pytest.raises(ZooError, match=said):
        sources.source(address).read("index.json", 1000)


def test_a_server_that_is_not_there_is_told_without_what_urllib3_adds():
    with pytest.raises(ZooError) as found:
        sources.source("http://127.0.0.1:1/").read("index.json", 1000)
    assert str(found.value) == (
        "no response | where: http://127.0.0.1:1/index.json"
        " | got: Failed to establish a new connection: Connection refused"
        " | to do: check the address, the network and the proxy"
    )


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


def test_the_next_mirror_is_taken(tmp_path):
    with (
        serving(released(), answering(OTHER)) as bad,
        serving(released()) as good,
        serving({}) as empty,
    ):
        nobody = "http://127.0.0.1:1/"
        assert get([nobody, empty.address, bad.address, good.address], tmp_path) == ""
    assert whole(tmp_path)


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


def test_names_stand_for_runs_and_precisions():
    def entry(name, precision):
        return (
            Index.model_validate_json(released(name)["index.json"])
            .entries[0]
            .model_copy(update={"precision": precision})
        )

    index = Index(
        entries=(
            *(
                entry(f"{run}-{p}", p)
                for run in ("a", "b")
                for p in ("int8", "float32", "checkpoint")
            ),
            entry("c-int8", "int8"),
            entry("d-checkpoint", "checkpoint"),
        )
    )

    def names(*asked, **more):
        return [each.name for each in listing.chosen(index, asked, **more)]

    assert names("a") == ["a-int8", "a-float32"]
    assert names("a", precisions=["checkpoint"]) == ["a-checkpoint"]
    assert names("a-checkpoint", "a") == ["a-checkpoint", "a-int8", "a-float32"]
    assert names(all_=True, precisions=["int8"]) == ["a-int8", "b-int8", "c-int8"]
    assert names(all_=True, precisions=["float32"]) == ["a-float32", "b-float32"]
    for precisions in (["float32"], ["int8", "float32"]):
        with pytest.raises(UnknownNameError, match=r"precision of c 'float32'.*one of int8"):
            names("a", "c", precisions=precisions)
    with pytest.raises(ZooError, match=r"has only checkpoints.*d .*--precision=checkpoint"):
        names("d")
    with pytest.raises(UnknownNameError, match="did you mean a-int8"):
        names("a-int9")
    with pytest.raises(UnknownNameError, match="did you mean int8"):
        names("a", precisions=["int7"])
