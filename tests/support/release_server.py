"""A release of one model, and a web server on loopback for it that can misbehave."""

import hashlib
import os
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.processes import HANG_S
from tests.support.report_samples import artifact
from zoo.hub import download, index, sources
from zoo.hub.source import SourceError
from zoo.schema.release import Entry, Index, ReleaseFile

CONTENT = os.urandom(300_000)  # never executed, so any bytes will do
OTHER = os.urandom(len(CONTENT))
NAME = "net-fashion_mnist-int8"


def file(path, content):
    return ReleaseFile(path=path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def released(name=NAME, content=CONTENT, packed=None, **changes):
    """Returns the contents of the files of a release of one model, by path.

    Args:
        name: Name of the artifact.
        content: Contents of the `.tflite`.
        packed: Contents of a container that is published instead of the `.tflite`; None for none.
        changes: Fields of the manifest that differ from `report_samples.artifact`.
    """
    digest = hashlib.sha256(content).hexdigest()
    row = artifact(name, sha256=digest, bytes=len(content), **changes)
    manifest = row.model_dump_json().encode()
    path = f"artifacts/{name}.tflite"
    files = {path: content, f"artifacts/{name}.json": manifest}
    transferred = file(path, content)
    if packed is not None:
        files = {f"{path}.ztfl": packed, f"artifacts/{name}.json": manifest}
        transferred = file(f"{path}.ztfl", packed)
    entry = Entry(
        name=name, kind="tflite", run=name.rsplit("-", 1)[0], model="resnet20",
        dataset="fashion_mnist", precision="int8", parameters=1, file=file(path, content),
        download=transferred, manifest=file(f"artifacts/{name}.json", manifest),
    )  # fmt: skip
    return {**files, "index.json": Index(entries=(entry,)).model_dump_json().encode()}


class Server(ThreadingHTTPServer):
    """A web server for the files of a release.

    Attributes:
        asked: Path and Range header of each request.
        ended: Set when the test is done with the server; an answer that must never arrive waits
            for it.

    Args:
        files: Contents by path.
        misbehave: Called with the handler and the path of each request; returns whether it has
            answered the request itself.
    """

    daemon_threads = True

    def __init__(self, files, misbehave=lambda handler, path: False):
        self.files, self.misbehave, self.asked = files, misbehave, []
        self.ended = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request, client_address):
        pass  # clients that disconnect early


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    server: Server

    def do_GET(self):
        path = self.path.lstrip("/")
        self.server.asked.append((path, self.headers.get("Range")))
        if self.server.misbehave(self, path):
            return
        content = self.server.files.get(path)
        if content is None:
            self.send_error(404)
            return
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(match.group(1)) if match else 0
        self.answer(content[first:], first, len(content))

    def answer(self, content, first, whole, **headers):
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{whole - 1}/{whole}")
        fields = {"Content-Length": str(len(content)), **headers}
        for key, value in fields.items():
            if value is not None:
                self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def serving(files, misbehave=lambda handler, path: False):
    server = Server(files, misbehave)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()


@dataclass
class Impatient:
    """A source with a timeout of `timeout_s` for models and `HANG_S` for other files."""

    address: str
    timeout_s: float

    @property
    def name(self):
        return self.address

    def read(self, place, limit):
        return sources.source(self.address, HANG_S).read(place, limit)

    def copy(self, place, size, out):
        sources.source(self.address, self.timeout_s).copy(place, size, out)


def get(addresses, folder, timeout_s=HANG_S, names=(NAME,)):
    """Downloads models and returns the problems as text.

    Args:
        addresses: Sources to download from.
        folder: Target folder.
        timeout_s: Timeout for a server that sends nothing while a model is transferred.
        names: Names of the models.
    """
    remote = [Impatient(str(each), timeout_s) for each in addresses]
    try:
        entries = index.chosen(index.index(remote), names)
    except SourceError as error:
        return str(error)
    _, problems = download.fetch(entries, remote, folder)
    return "\n".join(map(str, problems))


def whole(folder, content=CONTENT, name=NAME):
    return (folder / "artifacts" / f"{name}.tflite").read_bytes() == content


def is_model(path):
    return path.startswith("artifacts/") and ".tflite" in path


def nothing_there(folder):
    """Returns whether a folder has no files except in `.partial`, where partial downloads stay."""
    return not [
        path
        for path in folder.rglob("*")
        if path.is_file() and ".partial" not in path.relative_to(folder).parts
    ]


def answering(content, first=0, **headers):
    """Returns a `misbehave` for `serving` that answers requests for models with other bytes."""

    def misbehave(handler, path):
        if not is_model(path):
            return False
        handler.answer(content, first, len(CONTENT), **headers)
        return True

    return misbehave
