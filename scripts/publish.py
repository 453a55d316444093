"""Builds a release from finished runs: files, manifests, model cards, a page and an index.

    zoo publish --run=resnet20-fashion_mnist
    python -m http.server --directory output/release

Publishes the artifacts of each run from OUTPUT/artifacts, its weights from OUTPUT/runs, and their
result lines. index.html is the page of `zoo report`. An artifact is refused, with the reason, if
its manifest does not match the file, a scale is implausible, XNNPACK does not take the whole graph,
or its test accuracy (measure it with `zoo benchmark`) is too far below that of float32. The others
are still published, and the exit code is 1.

Each trained run also gets a training record, runs/NAME.json: its epochs, and which test images its
files classify correctly. --history_only publishes nothing else of the runs.

A release is a folder of plain files for any web server, hub or GitHub release. It also serves as an
--output folder of `zoo report` and `zoo benchmark`. Publishing a run again replaces its files, or
with --precision only those precisions and files made from other weights; if nothing changed, the
result is identical. Without --run, everything is rebuilt from the files of the release. If
publishing fails or is interrupted, the release remains unchanged.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from absl import flags

from converters.release import build, histories
from converters.release.build import FileMeasurements
from converters.release.measured import measured_in
from converters.release.page_inputs import extras
from converters.release.result_lines import merge, public_recipe
from converters.release.staging import staged
from scripts.common import cli
from zoo import runs
from zoo.errors import ZooError
from zoo.hub import local
from zoo.io.files import write_bytes, write_text
from zoo.io.tf_import import import_tensorflow
from zoo.report import build as report
from zoo.schema.release import Checkpoint, Index
from zoo.schema.run import Run

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
flags.DEFINE_integer(
    "container_from",
    8_000_000,
    "size from which files are published only packed, in bytes",
    lower_bound=0,
)


def main(_: list[str]) -> int:
    """Publishes the runs; returns 1 if an artifact was refused."""
    source = cli.output()
    target = Path(FLAGS.release) if FLAGS.release else source / "release"
    report.need_packages()
    build.manifests(target)  # raises for an invalid manifest before anything is copied
    with staged(target) as folder:
        refused = _publish(source, folder)
        if FLAGS.history_only:
            index = build.write_index(folder, *build.manifests(folder))
        else:
            index = _complete(source, folder, target)
    total = sum(entry.download.bytes for entry in index.entries)
    cli.say(f"{len(index.entries)} files to download, {total / 1e6:.1f} MB → {target}")
    return 1 if refused else 0


def _complete(source: Path, folder: Path, target: Path) -> Index:
    """Adds everything else to a release whose models and checkpoints are in place."""
    if not (folder / "artifacts").is_dir():
        raise ZooError(
            "nothing to publish", where=target, remedy="pass --run, or an existing --release"
        )
    merge(source, folder, *build.manifests(folder))
    measured = measured_in(folder)
    return build.complete(folder, measured, FLAGS.container_from, lambda: _page(folder), cli.say)


def _publish(source: Path, folder: Path) -> bool:
    """Copies the runs into the release; returns whether anything was refused."""
    refused = False
    measured = measured_in(source) if FLAGS.run else {}
    for name in dict.fromkeys(FLAGS.run):
        run = runs.load(source / "runs" / cli.file_name(name, "--run"))
        if run.name != name:
            raise ZooError(
                "run.json names another run",
                where=source / "runs" / name,
                expected=name,
                got=run.name,
                remedy="rename the folder to that name, or train again",
            )
        for reason in _take(run, source, folder, measured):
            cli.complain(reason)
            refused = True
    return refused


def _take(run: Run, source: Path, target: Path, measured: dict[str, FileMeasurements]) -> list[str]:
    artifacts = [
        artifact
        for artifact in build.manifests(source)[0]
        if artifact.parent_run == run.name
        and artifact.precision in (FLAGS.precision or [artifact.precision])
    ]
    if not artifacts:
        raise ZooError(
            "the run has no artifact",
            where=source / "artifacts",
            remedy=f"run zoo convert --run={run.name}",
        )
    if run.stage == "train":
        histories.write(histories.history(run, source, artifacts), target)
    if FLAGS.history_only:
        return []
    build.forget(target, run, artifacts, FLAGS.precision)
    for what in ("sparsity", "bits", "rank"):
        _scan(f"{run.name}-{what}.json", source, target)
    refused = build.take(source, target, run, artifacts, measured, cli.say)
    if FLAGS.checkpoint and "qat" not in run.scheme:
        _checkpoint(run, source, target)
    return refused


def _scan(name: str, source: Path, target: Path) -> None:
    """Publishes a sensitivity scan of the run, or removes that of an earlier training."""
    scan, published = (folder / "sensitivity" / name for folder in (source, target))
    if scan.is_file():
        write_bytes(published, scan.read_bytes())
    else:
        published.unlink(missing_ok=True)


def _page(target: Path) -> None:
    results = report.load(target)
    more, problems = extras(results, target)
    for problem in problems:
        cli.complain(problem)
    report.write_page(results, target, target / "index.html", more)


def _checkpoint(run: Run, source: Path, target: Path) -> None:
    import_tensorflow()
    from zoo.pretrained import checkpoint, transfer

    initial = transfer.from_run(run, source / "runs" / run.name)
    content = checkpoint.encode(run.name, run.config, initial)
    name = f"{run.name}{local.CHECKPOINT}"
    path = target / "checkpoints" / f"{name}{checkpoint.SUFFIX}"
    write_bytes(path, content)
    manifest = Checkpoint(
        name=name,
        run=run.name,
        model=run.config.model,
        dataset=run.dataset,
        scheme=run.scheme,
        parameters=sum(array.size for arrays in initial.weights.values() for array in arrays),
        sha256=sha256(content).hexdigest(),
        bytes=len(content),
        run_sha256=run.weights_sha256,
        config=run.config,
        recipe=public_recipe(run.recipe),
        validation_accuracy=run.validation_accuracy,
        versions=run.versions,
    )
    write_text(path.with_suffix(".json"), manifest.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    cli.run(main)
