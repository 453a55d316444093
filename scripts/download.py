"""Downloads models of a release, each checked before it is used.

    python -m scripts.download squeezenet_v1_1-fashion_mnist-int8
    python -m scripts.download resnet20-fashion_mnist --precision=int8,checkpoint
    python -m scripts.download --all --source=https://example.org/release

A name is a file's or a run's, which stands for all its precisions, or for those of --precision,
which it must have; python -m scripts.search lists them. --source may be given several times: each
file comes from the first that has it. Without one it is $MODEL_ZOO_SOURCE, else a clone's own
release, which needs no network.

What was downloaded is in the cache, where zoo.load, --init_from and --artifact find it by name (or
in the --into folder). A file that is there already, and right, is not transferred again; an
interrupted download goes on where it broke off. Proxies are taken from the environment. Exit code 1
where a file could not be had; the others are there all the same.
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
flags.DEFINE_list("precision", [], "only these; checkpoint is the weights to train on from")
flags.DEFINE_bool("all", False, "everything, but for checkpoints unless --precision names them")
flags.DEFINE_string("into", None, "folder for the files, instead of the cache")


def main(argv: list[str]) -> int:
    """Downloads what is named."""
    if len(argv) < 2 and not FLAGS.all:
        raise ZooError("no model is named", remedy="python -m scripts.download NAME, or --all")
    sources = source_flags.chosen()
    release = index.index(sources)
    entries = index.chosen(release, argv[1:], FLAGS.precision, FLAGS.all)
    folder = Path(FLAGS.into) if FLAGS.into else local.downloads()
    with _Shown(sum(entry.download.bytes for entry in entries)) as shown:
        found, problems = download.fetch(entries, sources, folder, shown.progress)
    for name, path in found.items():
        cli.say(f"{name}: {path} ({shown.words[name]})")
    for problem in problems:
        cli.complain(problem)
    return 1 if problems else 0


class _Shown:
    """A progress bar of all files together, on a terminal."""

    def __init__(self, total: int):
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

        self.words: dict[str, str] = {}
        self._lock = threading.Lock()
        self._bar = Progress(
            BarColumn(), DownloadColumn(), TransferSpeedColumn(), disable=not sys.stdout.isatty()
        )
        self._task = self._bar.add_task("download", total=total)
        self.progress = download.Progress(more=self._more, ended=self._ended)

    def __enter__(self) -> _Shown:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _more(self, _: str, count: int) -> None:
        self._bar.advance(self._task, count)

    def _ended(self, name: str, words: str) -> None:
        with self._lock:
            self.words[name] = words


if __name__ == "__main__":
    cli.run(main, positional=True)
