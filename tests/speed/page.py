"""Measures the size and the speed of a report page with many result lines in headless Chromium.

    python -m tests.speed.page --lines=2000

Prints the size of the page, the time until it is ready, including the chooser (median of 5 loads,
measured by the browser), and the time from a change of a filter to the next frame (median of 20).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from absl import app, flags

from tests.support.browser import Browser
from tests.support.report_samples import write_many
from zoo.report import build

FLAGS = flags.FLAGS
flags.DEFINE_integer("lines", 2000, "number of result lines, five per file", lower_bound=5)
_CHANGE = """new Promise(done => {
  const select = document.getElementById("choose-%s"), start = performance.now();
  select.selectedIndex = (select.selectedIndex + 1) %% select.options.length;
  select.dispatchEvent(new Event("change"));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""


def main(_: list[str]) -> None:
    """Writes the page, loads it and changes its filters."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        lines = write_many(folder, FLAGS.lines // 5)
        start = time.monotonic()
        page = build.write(build.load(folder), folder)
        print(f"{lines} result lines of {lines // 5} files")
        print(f"written in {time.monotonic() - start:.1f} s, {page.stat().st_size / 1e6:.2f} MB")
        with Browser(folder / "profile") as browser:
            ready = statistics.median(browser.open(page.as_uri()) for _ in range(5))
            print(f"ready in {ready:.2f} s")
            for what in ("precision", "x", "delegate"):
                changed = statistics.median(browser.run(_CHANGE % what) for _ in range(20))
                print(f"{what} changed in {changed:.0f} ms")
            if browser.complaints:
                print("\n".join(browser.complaints))


if __name__ == "__main__":
    app.run(main)
