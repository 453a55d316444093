"""Measures how fast a release is searched, downloaded and used on this computer.

    python -m tests.speed.release

Downloads are served by Python's web server on loopback and alternate with downloads by curl; the
ratio of the times is printed. Commands are timed as whole processes (median of --turns). On a busy
computer the elapsed time grows, but not the CPU time.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from absl import app, flags

from tests.conftest import ROOT
from tests.support.release_server import NAME, released
from zoo.hub import download, index, sources

FLAGS = flags.FLAGS
flags.DEFINE_integer("megabytes", 300, "size of the downloaded file", lower_bound=1)
flags.DEFINE_integer("turns", 5, "repetitions of each measurement", lower_bound=1)
_MODEL = "resnet20-fashion_mnist-int8"
_CLASSIFY = f"""
import zoo
zoo.load({_MODEL!r}).classify("docs/ankle_boot.png")
"""


def main(_: list[str]) -> None:
    """Prints a Markdown table of commands and a line about downloads."""
    print("| command | seconds | CPU seconds |\n|---|---:|---:|")
    python = [sys.executable, "-m"]
    for what, command in (
        ("scripts.list", [*python, "scripts.list"]),
        ("scripts.search", [*python, "scripts.search", "--precision=int8"]),
        ("zoo.load and a first classification", [sys.executable, "-c", _CLASSIFY]),
    ):
        took = [_process(command) for _ in range(FLAGS.turns + 1)][1:]
        elapsed, processor = (statistics.median(each) for each in zip(*took, strict=True))
        print(f"| {what} | {elapsed:.2f} | {processor:.2f} |")
    with tempfile.TemporaryDirectory() as name:
        ratios = _downloads(Path(name))
    print(
        f"\nspeed of a download of {FLAGS.megabytes} MB relative to curl: median "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def _process(command: list[str]) -> tuple[float, float]:
    """Runs a command and returns its elapsed seconds and CPU seconds."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before, began = used(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began, used() - before


def _downloads(folder: Path) -> list[float]:
    """Returns the time of curl divided by ours, for each turn."""
    for path, content in released(content=os.urandom(FLAGS.megabytes * 1_000_000)).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split("(")[1].split(")")[0]
        ratios = []
        for turn in range(FLAGS.turns + 1):
            into = folder / str(turn)
            runs: dict[str, Callable[[], object]] = {
                "curl": lambda: _curl(address, folder),
                "ours": lambda into=into: _ours(address, into),  # type: ignore[misc]
            }
            took = {}
            for who in sorted(runs, reverse=turn % 2 == 1):  # alternate the order
                began = time.perf_counter()
                runs[who]()
                took[who] = time.perf_counter() - began
            ratios.append(took["curl"] / took["ours"])
        return ratios[1:]  # without the first, which includes imports
    finally:
        server.kill()
        server.wait()


def _curl(address: str, folder: Path) -> None:
    out = folder / "by_curl"
    url = f"{address}artifacts/{NAME}.tflite"
    subprocess.run(["curl", "--silent", "--fail", "--output", str(out), url], check=True)  # noqa: S607
    out.unlink()


def _ours(address: str, into: Path) -> None:
    """Downloads as users do, including the check of the hash."""
    remote = [sources.source(address)]
    entries = index.chosen(index.index(remote), [NAME])
    files, problems = download.fetch(entries, remote, into)
    assert not problems, problems
    files[NAME].unlink()


if __name__ == "__main__":
    app.run(main)
