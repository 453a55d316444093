"""Downloads from web servers that misbehave, and addresses without a server."""

import itertools
import re

import pytest

from tests.support import processes
from tests.support.release_server import (
    CONTENT,
    OTHER,
    answering,
    get,
    is_model,
    nothing_there,
    released,
    serving,
)
from zoo.errors import ZooError
from zoo.hub import sources


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
