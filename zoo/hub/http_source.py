"""A release on a web server: bounded in size, time and redirects."""

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


_LEAST_RATE = 1000  # bytes a second: one that drips would hold us for ever


_PATIENCE = 3  # silences that one step may take: connecting to a second address of a host is one


_HEADERS = {"User-Agent": "mobile-model-zoo", "Accept-Encoding": "identity"}


class WebSource:
    """A web server. `requests` takes proxies and certificates from the environment.

    Args:
        address: of the folder that index.json is in.
        timeout_s: how long the server may be silent; three times that may go by until its headers
            are there.
        hosts: others that it may redirect to.
    """

    def __init__(self, address: str, timeout_s: float = 30.0, hosts: tuple[str, ...] = ()):
        self.name = address.rstrip("/") + "/"
        self._timeout_s, self._hosts = timeout_s, hosts
        try:
            host = urlsplit(self.name).hostname
        except ValueError as error:  # half of an IPv6 address, say
            raise ZooError("no address", where=address, got=error) from error
        if not host:
            raise ZooError("an address without a host", where=address)

    def read(self, place: str, limit: int) -> bytes:
        """See `Source`."""
        out = io.BytesIO()
        with self._get(place) as answer:
            if answer.status_code != 200:
                raise self._refused(answer)
            pour(self._blocks(answer), limit, out.write, answer.url, exactly=False)
        return out.getvalue()

    def copy(self, place: str, size: int, out: Sink) -> None:
        """See `Source`."""
        with self._get(place, out.done) as answer:
            if answer.status_code == 200 and out.done:  # it knows no ranges
                out.restart()
            elif answer.status_code == 206 and out.done:
                expected = f"bytes {out.done}-{size - 1}/{size}"
                got = answer.headers.get("Content-Range", "none")
                if got.strip() != expected:
                    raise SourceError(
                        "the server sends another part",
                        where=answer.url,
                        expected=expected,
                        got=got,
                    )
            elif answer.status_code != 200:
                raise self._refused(answer)
            left = size - out.done
            length = answer.headers.get("Content-Length", str(left))
            if length != str(left):
                raise SourceError(
                    "the server promises another size",
                    where=answer.url,
                    expected=f"{left} bytes",
                    got=length,
                )
            pour(self._blocks(answer), left, out.write, answer.url)

    def _get(self, place: str, done: int = 0) -> requests.Response:
        import requests

        headers = {**_HEADERS, **({"Range": f"bytes={done}-"} if done else {})}
        address = urljoin(self.name, place)
        session = requests.Session()
        # requests parses a redirect's address, and reads its body to the end, even if it is not to
        # follow: it does not get to see it.
        session.get_redirect_target = lambda answer: None

        def ask(address: str) -> requests.Response:
            with session:
                return session.get(address, headers=headers, stream=True, timeout=self._timeout_s)

        for _ in range(_REDIRECTS):
            try:
                answer = _within(_PATIENCE * self._timeout_s, partial(ask, address))
            # A ValueError is a host's name of a form that only urllib3 refuses.
            except (requests.RequestException, ValueError, TimeoutError) as error:
                raise SourceError("no answer", where=address, got=_plain(error)) from error
            if not answer.is_redirect:
                return answer
            to = answer.headers.get("Location", "")
            answer.close()
            address = self._allowed(address, to)
        raise SourceError("the server points from place to place", where=address)

    def _allowed(self, address: str, location: str) -> str:
        """Where an address redirects to: the same host, or one of those that the user allows."""
        home = urlsplit(self.name)
        try:
            to = urljoin(address, location)
            there = urlsplit(to)
            allowed = there.scheme == "https" and there.hostname in self._hosts
        except ValueError as error:
            raise SourceError(
                "the server points to no address", where=address, got=f"{location} ({error})"
            ) from error
        if not allowed and (there.scheme, there.netloc) != (home.scheme, home.netloc):
            raise SourceError(
                "the server points to another host",
                where=address,
                expected=home.netloc,
                got=to,
                remedy="name that source itself, or allow its host by --redirect_hosts",
            )
        return to

    def _blocks(self, answer: requests.Response) -> Iterator[bytes]:
        """The body, as it comes."""
        import requests
        from urllib3.exceptions import HTTPError

        began, got = time.monotonic(), 0
        try:
            with _Deadline(_PATIENCE * self._timeout_s, answer.raw.shutdown) as watch:
                # read1 gives what is there; read would wait for all.
                while block := watch(partial(answer.raw.read1, BLOCK_BYTES)):
                    yield block
                    got += len(block)
                    took = time.monotonic() - began
                    if took > self._timeout_s and got < _LEAST_RATE * took:
                        raise SourceError(
                            "the server is too slow",
                            where=answer.url,
                            got=f"{got / took:.0f} bytes/s",
                        )
        except (HTTPError, requests.RequestException, OSError) as error:
            raise SourceError(
                "the server broke off", where=answer.url, got=_plain(error)
            ) from error

    def _refused(self, answer: requests.Response) -> SourceError:
        return SourceError(
            "the server refuses", where=answer.url, got=f"{answer.status_code} {answer.reason}"
        )


def _within(seconds: float, call: Callable[[], T]) -> T:
    """What a call gives, if it does so in time; else it is left behind, in a thread of its own.

    A socket's timeout would not do: it is for one read alone, and a line of a header may take
    thousands of them.

    Raises:
        TimeoutError: it is not done yet.
        Exception: what the call raises.
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
    """Cuts what is read if one call takes too long: the length of a chunk may drip, too.

    It is one thread for all calls, where `_within` has one for each: half of a download's time.

    Args:
        seconds: that a call may take.
        cut: ends a call of another thread, early.
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
        """What the call gives.

        Raises:
            TimeoutError: it was cut.
            Exception: what the call raises.
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
                with contextlib.suppress(OSError, RuntimeError, ValueError):  # it is closed
                    self._cut()
                return


def _plain(error: Exception) -> str:
    """Without the addresses of Python's objects that urllib3 puts into its messages."""
    return re.sub(r"<[^<>]* object at 0x[0-9a-f]+>[,:]? ?", "", str(error))
