"""A release on a web server, with bounded sizes, times and redirects."""

from __future__ import annotations

import contextlib
import io
import math
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

from zoo.errors import ZooError

if TYPE_CHECKING:
    import requests
from zoo.hub.source import BLOCK_BYTES, Sink, SourceError, T, pour

_REDIRECTS = 5


_MIN_BYTES_PER_S = 1000  # aborts servers that send so slowly that a download would never end


# A step may take this many timeouts, because connecting to the second address of a host restarts
# the timeout.
_TIMEOUTS_PER_STEP = 3


# Objects and connections in messages of urllib3, and numbers of errors.
_NOISE = (
    r"<[^<>]* object at 0x[0-9a-f]+>[,:]? ?|\w+\(host=.*?, port=.*?\): |\[(?:Errno|SSL)[^\]]*\] "
    r"| \(_ssl\.c:\d+\)"
)
_HEADERS = {"User-Agent": "mobile-model-zoo", "Accept-Encoding": "identity"}


class WebSource:
    """A release on a web server. `requests` takes proxies and certificates from the environment.

    Args:
        address: URL of the folder that contains index.json.
        timeout_s: Maximum time without data, in seconds. The headers may take three times as long.
        hosts: Other hosts that the server may redirect to, over https.

    Raises:
        ZooError: if the address is invalid or has no host.
    """

    def __init__(self, address: str, timeout_s: float = 30.0, hosts: tuple[str, ...] = ()):
        self.name = address.rstrip("/") + "/"
        self._timeout_s, self._hosts = timeout_s, hosts
        try:
            host = urlsplit(self.name).hostname
        except ValueError as error:  # for example an incomplete IPv6 address
            raise ZooError("invalid address", where=address, got=error) from error
        if not host:
            raise ZooError("the address has no host", where=address)

    def read(self, place: str, limit: int) -> bytes:
        """See `ReleaseSource`."""
        out = io.BytesIO()
        with self._get(place) as response:
            if response.status_code != 200:
                raise self._unexpected_status(response)
            pour(self._blocks(response), limit, out.write, response.url, exactly=False)
        return out.getvalue()

    def copy(self, place: str, size: int, out: Sink) -> None:
        """See `ReleaseSource`."""
        with self._get(place, out.done) as response:
            if response.status_code == 200 and out.done:  # the server does not support ranges
                out.restart()
            elif response.status_code == 206 and out.done:
                expected = f"bytes {out.done}-{size - 1}/{size}"
                got = response.headers.get("Content-Range", "none")
                if got.strip() != expected:
                    raise SourceError(
                        "the server sent the wrong range",
                        where=response.url,
                        expected=expected,
                        got=got,
                    )
            elif response.status_code != 200:
                raise self._unexpected_status(response)
            left = size - out.done
            length = response.headers.get("Content-Length", str(left))
            if length != str(left):
                raise SourceError(
                    "the server reports a different size",
                    where=response.url,
                    expected=f"{left} bytes",
                    got=length,
                )
            pour(self._blocks(response), left, out.write, response.url)

    def _get(self, place: str, done: int = 0) -> requests.Response:
        import requests

        headers = {**_HEADERS, **({"Range": f"bytes={done}-"} if done else {})}
        address = urljoin(self.name, place)
        session = requests.Session()
        # Even with redirects disabled, requests parses the target and reads the whole body of a
        # redirect. Hiding the target prevents both.
        session.get_redirect_target = lambda response: None

        def send(address: str) -> requests.Response:
            with session:
                return session.get(address, headers=headers, stream=True, timeout=self._timeout_s)

        for _ in range(_REDIRECTS):
            try:
                response = _within(_TIMEOUTS_PER_STEP * self._timeout_s, partial(send, address))
            # urllib3 raises ValueError for some invalid host names that requests accepts.
            except (requests.RequestException, ValueError, TimeoutError) as error:
                raise SourceError(
                    "no response",
                    where=address,
                    got=_plain(error),
                    remedy="check the address, the network and the proxy",
                ) from error
            if not response.is_redirect:
                return response
            location = response.headers.get("Location", "")
            response.close()
            address = self._allowed(address, location)
        raise SourceError("too many redirects", where=address)

    def _allowed(self, address: str, location: str) -> str:
        """Returns the target of a redirect, which must be on the same or an allowed host."""
        home = urlsplit(self.name)
        try:
            target = urljoin(address, location)
            parts = urlsplit(target)
            allowed = parts.scheme == "https" and parts.hostname in self._hosts
        except ValueError as error:
            raise SourceError(
                "redirect to an invalid address", where=address, got=f"{location} ({error})"
            ) from error
        if not allowed and (parts.scheme, parts.netloc) != (home.scheme, home.netloc):
            raise SourceError(
                "redirect to another host",
                where=address,
                expected=home.netloc,
                got=target,
                remedy="use that address as --source, or allow its host with --redirect_hosts",
            )
        return target

    def _blocks(self, response: requests.Response) -> Iterator[bytes]:
        """Yields the body in blocks as they arrive."""
        import requests
        from urllib3.exceptions import HTTPError

        start, received = time.monotonic(), 0
        try:
            with _Deadline(
                _TIMEOUTS_PER_STEP * self._timeout_s, response.raw.shutdown
            ) as run_in_time:
                # read1 returns the available bytes; read would wait for a full block.
                while block := run_in_time(partial(response.raw.read1, BLOCK_BYTES)):
                    yield block
                    received += len(block)
                    elapsed = time.monotonic() - start
                    if elapsed > self._timeout_s and received < _MIN_BYTES_PER_S * elapsed:
                        raise SourceError(
                            "the server is too slow",
                            where=response.url,
                            got=f"{received / elapsed:.0f} bytes/s",
                        )
        except (HTTPError, requests.RequestException, OSError) as error:
            raise SourceError(
                "the transfer was interrupted", where=response.url, got=_plain(error)
            ) from error

    def _unexpected_status(self, response: requests.Response) -> SourceError:
        return SourceError(
            "unexpected HTTP status",
            where=response.url,
            got=f"{response.status_code} {response.reason}",
        )


def _within(seconds: float, call: Callable[[], T]) -> T:
    """Returns the result of a call that must finish within `seconds`.

    The call runs in its own thread, which is abandoned after a timeout. A socket timeout would not
    suffice, because it applies to a single read and one header line may take thousands of reads.

    Raises:
        TimeoutError: if the call takes longer.
        Exception: any exception raised by the call.
    """
    done: Future[T] = Future()

    def work() -> None:
        try:
            done.set_result(call())
        except Exception as error:
            done.set_exception(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not done.done():
        raise TimeoutError(f"timed out after {seconds:g} s")
    return done.result()


class _Deadline:
    """Aborts a blocking read that takes too long, for example if a server sends one byte at a time.

    All calls share one thread. One thread per call, as in `_within`, would double the time of a
    download.

    Args:
        seconds: Time limit of each call.
        cut: Called from another thread to abort a call.
    """

    def __init__(self, seconds: float, cut: Callable[[], object]):
        self._seconds, self._cut = seconds, cut
        self._until, self._late, self._ended = math.inf, False, Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def __call__(self, call: Callable[[], T]) -> T:
        """Returns the result of the call.

        Raises:
            TimeoutError: if the call was aborted.
            Exception: any exception raised by the call.
        """
        self._until = time.monotonic() + self._seconds
        try:
            return call()
        finally:
            self._until = math.inf
            if self._late:
                raise TimeoutError(f"timed out after {self._seconds:g} s")

    def _watch(self) -> None:
        while not self._ended.wait(min(self._seconds, 1.0) / 4):
            if time.monotonic() > self._until:
                self._late = True
                with contextlib.suppress(OSError, RuntimeError, ValueError):  # already closed
                    self._cut()
                return


def _plain(error: BaseException) -> str:
    """Returns the message of the innermost cause, without what urllib3 and ssl add to it."""
    inner = (getattr(error, "reason", None), *error.args)
    causes = [each for each in inner if isinstance(each, BaseException)]
    if causes:
        return _plain(causes[0])
    return re.sub(_NOISE, "", str(error))
