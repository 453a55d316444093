"""Downloads released models and verifies them.

    zoo download squeezenet_v1_1-fashion_mnist-int8
    zoo download resnet20-fashion_mnist --precision=int8,checkpoint
    zoo download --all --source=https://example.org/release

A name is that of a file or of a run; `zoo search` lists them. A run stands for its files in all
precisions, or in those of --precision, which it must have. Without --source, the source is
$MODEL_ZOO_SOURCE, or else the clone's own release, which needs no network.

Files go to $MODEL_ZOO_CACHE/models (default: ~/.cache/mobile-model-zoo/models), where zoo.load,
--init_from and --artifact find them by name, or to --into. With --into=output, `zoo benchmark`
measures them. A complete and correct file is not downloaded again, and an interrupted download
resumes. Proxies are taken from the environment. The exit code is 1 if a file could not be
downloaded; the others are still downloaded.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from absl import flags

from scripts.common import cli, source_flags
from zoo.errors import ZooError
from zoo.hub import download, index, local

FLAGS = flags.FLAGS
source_flags.define()
flags.DEFINE_list(
    "precision",
    [],
    "download only these precisions; checkpoint is the weights for further training",
)
flags.DEFINE_bool("all", False, "download all runs; checkpoints only with --precision=checkpoint")
flags.DEFINE_string("into", None, "folder for the files (default: the cache)")


def main(argv: list[str]) -> int:
    """Downloads the named files; returns 1 if one failed."""
    if len(argv) < 2 and not FLAGS.all:
        raise ZooError("a model name is required", remedy="run zoo download NAME, or pass --all")
    sources = source_flags.chosen()
    release = index.index(sources)
    entries = index.chosen(release, argv[1:], FLAGS.precision, FLAGS.all)
    folder = Path(FLAGS.into) if FLAGS.into else local.downloads()
    with _ProgressBar(sum(entry.download.bytes for entry in entries)) as bar:
        paths, problems = download.fetch(entries, sources, folder, bar.progress)
    for name, path in paths.items():
        cli.say(f"{name}: {path} ({bar.outcomes[name]})")
    for problem in problems:
        cli.complain(problem)
    return 1 if problems else 0


class _ProgressBar:
    """Progress bar over all files; collects how each one was obtained."""

    def __init__(self, total: int):
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

        self.outcomes: dict[str, str] = {}
        self._lock = threading.Lock()
        self._bar = Progress(
            BarColumn(), DownloadColumn(), TransferSpeedColumn(), disable=not sys.stdout.isatty()
        )
        self._task = self._bar.add_task("download", total=total)
        self.progress = download.Progress(more=self._more, ended=self._ended)

    def __enter__(self) -> _ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _more(self, _: str, count: int) -> None:
        self._bar.advance(self._task, count)

    def _ended(self, name: str, outcome: str) -> None:
        with self._lock:
            self.outcomes[name] = outcome


if __name__ == "__main__":
    cli.run(main, positional=True)
