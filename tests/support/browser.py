"""Drives a headless Chromium through the DevTools protocol over two pipes.

This needs neither a port nor a Python package. Messages are JSON, each terminated by a zero byte.
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.support.processes import HANG_S

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_KEYS = {"Enter": "\r", " ": " "}  # text that a key types; these keys press buttons


class Browser:
    """A browser with one tab.

    Attributes:
        complaints: Console messages and errors, as JSON.
        requests: All requested URLs.

    Args:
        profile: Empty folder for Chromium's own files.
        width: Width of the window in CSS pixels.
        height: Height of the window in CSS pixels.
        mobile: Whether to use a phone's viewport, with two device pixels per CSS pixel.
        dark: Whether `prefers-color-scheme` is dark instead of light.
    """

    def __init__(
        self,
        profile: Path,
        width: int = 1200,
        height: int = 900,
        *,
        mobile: bool = False,
        dark: bool = False,
    ):
        self._session: str | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._next = 0
        self._rest = b""
        self._events: list[dict[str, Any]] = []
        to_browser, self._to = os.pipe()
        self._from, from_browser = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4; a shell puts them there.
        plumbing = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        flags = (
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--hide-scrollbars", "--remote-debugging-pipe", f"--user-data-dir={profile}",
        )  # fmt: skip
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", plumbing, "bash", str(CHROMIUM), *flags, "about:blank"],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(profile)},
        )
        os.close(to_browser)
        os.close(from_browser)
        target = self._send("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._send("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if mobile else 1}
        self._send("Emulation.setDeviceMetricsOverride", {**metrics, "mobile": mobile})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", {"features": [scheme]})

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def open(self, url: str) -> float:
        """Loads a page and waits until its chooser is ready.

        Returns:
            Duration of the navigation in seconds.
        """
        # A URL that differs only in its hash would not be reloaded.
        self._send("Page.navigate", {"url": "about:blank"})
        self._send("Page.navigate", {"url": url})
        deadline = time.monotonic() + HANG_S
        ready = "document.readyState === 'complete' && document.documentElement.dataset.ready"
        while self.run(ready) != "1":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{url} is not ready after {HANG_S} s: {self.complaints}")
            time.sleep(0.02)
        return float(self.run("performance.getEntriesByType('navigation')[0].duration")) / 1000

    def run(self, expression: str) -> Any:
        """Evaluates JavaScript on the page and returns its value; promises are awaited."""
        params = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self._send("Runtime.evaluate", params)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Presses keys, one after another, named as in `KeyboardEvent.key`."""
        for key in keys:
            event = {"key": key, "code": key, "windowsVirtualKeyCode": _code(key)}
            text = {"text": _KEYS[key]} if key in _KEYS else {}
            self._send("Input.dispatchKeyEvent", {"type": "keyDown", **event, **text})
            self._send("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def screenshot(self) -> bytes:
        """Returns the contents of the window as PNG."""
        return base64.b64decode(self._send("Page.captureScreenshot", {"format": "png"})["data"])

    def _send(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        self._next += 1
        message: dict[str, Any] = {"id": self._next, "method": method, "params": params or {}}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._next:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._from], [], [], HANG_S)[0]:
                raise TimeoutError(f"no answer from Chromium for {HANG_S} s")
            part = os.read(self._from, 1 << 20)
            if not part:
                raise RuntimeError("Chromium has exited")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method", ""), event.get("params", {})
        if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(params)[:4000])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])


def _code(key: str) -> int:
    codes = {"Tab": 9, "Enter": 13, " ": 32, "End": 35, "Home": 36}
    codes |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
    return codes[key]
