"""Takes the screenshots of the release page in the documentation: desktop, phone and dark mode.

    python -m tests.speed.screenshots --release=release --docs=docs

Opens RELEASE/index.html in headless Chromium and writes DOCS/page_desktop.png, page_phone.png and
page_dark.png. The exit code is 1 if the page logs an error or requests any other file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from absl import app, flags

from tests.support.browser import CHROMIUM, Browser

FLAGS = flags.FLAGS
flags.DEFINE_string("release", "release", "folder with the page")
flags.DEFINE_string("docs", "docs", "folder for the screenshots")
_VIEWS = {  # width, height, phone, dark, view
    "page_desktop": (1100, 960, False, False, ""),
    "page_phone": (390, 844, True, False, "#x=latency"),
    "page_dark": (1100, 960, False, True, "#x=size"),
}
_SHOW = "document.getElementById('choose-section').scrollIntoView()"


def main(_: list[str]) -> None:
    """Takes the screenshots."""
    page = Path(FLAGS.release).resolve() / "index.html"
    if CHROMIUM is None or not page.is_file():
        sys.exit(f"error: this needs {page} (see zoo publish) and Chromium (see apt-get)")
    bad = False
    for name, (width, height, phone, dark, view) in _VIEWS.items():
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
            Browser(Path(profile), width, height, mobile=phone, dark=dark) as browser,
        ):
            browser.open(page.as_uri() + view)
            browser.run(_SHOW)
            image = Path(FLAGS.docs) / f"{name}.png"
            image.write_bytes(browser.screenshot())
            print(f"{image}: {image.stat().st_size / 1000:.0f} kB")
            others = [url for url in browser.requests if url not in ("about:blank", page.as_uri())]
            for problem in (*browser.complaints, *others):
                bad = True
                print(f"error: {problem}", file=sys.stderr)
    sys.exit(int(bad))


if __name__ == "__main__":
    app.run(main)
