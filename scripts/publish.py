"""Turns finished runs into a release: files to download, manifests, model cards and an index.

    python -m scripts.publish --run=resnet20-fashion_mnist --release=release
    python -m http.server --directory release

index.html is the page of scripts.report, to choose a model by.

Takes the artifacts of each run from OUTPUT/artifacts and its weights from OUTPUT/runs, with the
result lines about them. An artifact is refused, with the reason, where its manifest is not what the
file says, a scale is absurd, XNNPACK does not take the whole graph, or its test accuracy, which
scripts.benchmark must have measured, is too far below float32's. The others are published all the
same, and the exit code is 1.

A release is a folder of plain files that any web server, hub or GitHub release can hold, and an
--output folder too: scripts.report, training_table and benchmark read it. Publishing again changes
nothing; publishing a run again replaces it, with --precision only what that names and what was made
of other weights. Without --run everything is made anew from what the release has. It is changed as
a whole: where publishing fails or is interrupted, the release stays as it was.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from absl import flags

from converters.release import build
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
from zoo.schema.release import Checkpoint
from zoo.schema.run import Run

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_list("run", [], "names of finished runs, under OUTPUT/runs")
flags.DEFINE_string("release", "release", "folder of the release")
flags.DEFINE_list(
    "precision",
    [],
    "only these of each run; its others in the release stay (default: all that were converted)",
)
flags.DEFINE_bool("checkpoint", True, "publish the weights to train on from, too")
flags.DEFINE_integer(
    "container_from", 8_000_000, "files of so many bytes are published packed alone", lower_bound=0
)


def main(_: list[str]) -> int:
    """Publishes."""
    source, target = cli.output(), Path(FLAGS.release)
    report.need_packages()
    build.manifests(target)  # names what is wrong before anything is copied
    with staged(target) as folder:
        refused = _publish(source, folder)
        if not (folder / "artifacts").is_dir():
            raise ZooError(
                "nothing to publish",
                where=target,
                remedy="give --run, or the --release that there is",
            )
        merge(source, folder, *build.manifests(folder))
        measured = measured_in(folder)
        made = build.complete(
            folder, measured, FLAGS.container_from, lambda: _page(folder), cli.say
        )
    total = sum(entry.download.bytes for entry in made.entries)
    cli.say(f"{len(made.entries)} files to download, {total / 1e6:.1f} MB → {target}")
    return 1 if refused else 0


def _publish(source: Path, folder: Path) -> bool:
    """Takes the runs that were named; whether anything was refused."""
    refused = False
    measured = measured_in(source) if FLAGS.run else {}
    for name in dict.fromkeys(FLAGS.run):
        run = runs.load(source / "runs" / cli.file_name(name, "--run"))
        if run.name != name:
            raise ZooError(
                "the run's description names another run",
                where=source / "runs" / name,
                expected=name,
                got=run.name,
                remedy="give the folder its name back, or train again",
            )
        for line in _take(run, source, folder, measured):
            cli.complain(line)
            refused = True
    return refused


def _take(run: Run, source: Path, target: Path, measured: dict[str, FileMeasurements]) -> list[str]:
    own = [
        each
        for each in build.manifests(source)[0]
        if each.parent_run == run.name and each.precision in (FLAGS.precision or [each.precision])
    ]
    if not own:
        raise ZooError(
            "the run has no artifact",
            where=source / "artifacts",
            remedy=f"python -m scripts.convert --run={run.name}",
        )
    build.forget(target, run, own, FLAGS.precision)
    for what in ("sparsity", "bits", "rank"):
        _scan(f"{run.name}-{what}.json", source, target)
    refused = build.take(source, target, run, own, measured, cli.say)
    if FLAGS.checkpoint and "qat" not in run.scheme:
        _checkpoint(run, source, target)
    return refused


def _scan(name: str, source: Path, target: Path) -> None:
    """The run's sensitivity scan goes with it; that of an earlier training goes away."""
    scan, published = (folder / "sensitivity" / name for folder in (source, target))
    if scan.is_file():
        write_bytes(published, scan.read_bytes())
    else:
        published.unlink(missing_ok=True)


def _page(target: Path) -> None:
    found = report.load(target)
    more, problems = extras(found, target)
    for problem in problems:
        cli.complain(problem)
    report.write_page(found, target, target / "index.html", more)


def _checkpoint(run: Run, source: Path, target: Path) -> None:
    import_tensorflow()
    from zoo.pretrained import checkpoint, transfer

    initial = transfer.from_run(run, source / "runs" / run.name)
    content = checkpoint.encode(run.name, run.config, initial)
    name = f"{run.name}{local.CHECKPOINT}"
    path = target / "checkpoints" / f"{name}{checkpoint.SUFFIX}"
    write_bytes(path, content)
    told = Checkpoint(
        name=name,
        run=run.name,
        model=run.config.model,
        dataset=run.dataset,
        scheme=run.scheme,
        parameters=sum(array.size for each in initial.weights.values() for array in each),
        sha256=sha256(content).hexdigest(),
        bytes=len(content),
        run_sha256=run.weights_sha256,
        config=run.config,
        recipe=public_recipe(run.recipe),
        validation_accuracy=run.validation_accuracy,
        versions=run.versions,
    )
    write_text(path.with_suffix(".json"), told.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    cli.run(main)
