"""Builds a release from finished runs: files, manifests, model cards, a page and an index.

    zoo publish --run=resnet20-fashion_mnist
    python -m http.server --directory output/release

Publishes the artifacts of each run from OUTPUT/artifacts, its weights from OUTPUT/runs, and their
result lines. index.html is the page of `zoo report`. An artifact is refused, with the reason, if
its manifest does not match the file, a scale is implausible, XNNPACK does not take the whole graph,
its test accuracy (measure it with `zoo benchmark`) is too far below that of float32, or an engine
of --engines computes something else than the CPU, or nothing shows what it computes (`zoo prove`
does). The others are still published, and the exit code is 1.

Each trained run also gets a training record, runs/NAME.json: its epochs, and which test images its
files classify correctly. --history_only publishes nothing else of the runs.

A release is a folder of plain files for any web server, hub or GitHub release. It also serves as an
--output folder of `zoo report` and `zoo benchmark`. Publishing a run again replaces its files, or
with --precision only those precisions and files made from other weights; if nothing changed, the
result is identical. Without --run, everything is rebuilt from the files of the release. If
publishing fails or is interrupted, the release remains unchanged.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo import runtime

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_list("run", [], "names of the runs to publish, in OUTPUT/runs")
flags.DEFINE_string(
    "release", None, "folder of the release, new or existing (default: OUTPUT/release)"
)
flags.DEFINE_list(
    "precision",
    [],
    "publish only these precisions and keep the others in the release (default: all)",
)
flags.DEFINE_bool("checkpoint", True, "also publish the weights for further training")
flags.DEFINE_bool("history_only", False, "of the runs, publish only their training records")
flags.DEFINE_list(
    "engines",
    list(runtime.COMPARED),
    "engines on which files must compute what the CPU does, shown by zoo prove (empty: none); "
    "manifests name the engines that ran the file",
)
flags.DEFINE_integer(
    "container_from",
    8_000_000,
    "size from which files are published only packed, in bytes",
    lower_bound=0,
)


def main(_: list[str]) -> int:
    """Publishes the runs; returns 1 if an artifact was refused."""
    names = [cli.file_name(name, "--run") for name in FLAGS.run]
    source = cli.output()
    target = Path(FLAGS.release) if FLAGS.release else source / "release"
    from converters.release.publish import Publication

    index, refused = Publication(
        source=source,
        target=target,
        names=tuple(names),
        precisions=tuple(FLAGS.precision),
        checkpoint=FLAGS.checkpoint,
        history_only=FLAGS.history_only,
        engines=tuple(cli.choices("engines", runtime.COMPARED)) if FLAGS.engines else (),
        container_from=FLAGS.container_from,
        say=cli.say,
        complain=cli.complain,
    ).publish()
    total = sum(entry.download.bytes for entry in index.entries)
    cli.say(f"{len(index.entries)} files to download, {total / 1e6:.1f} MB → {target}")
    return 1 if refused else 0


if __name__ == "__main__":
    cli.run(main)
