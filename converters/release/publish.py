"""Publishes runs into a release folder: checks, copies, records, page and index."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from converters.release import build, histories
from converters.release.build import FileMeasurements
from converters.release.measured import measured_in
from converters.release.page_inputs import extras
from converters.release.result_lines import merge, public_recipe
from converters.release.staging import staged
from zoo import runs, runtime
from zoo.errors import ZooError
from zoo.hub import local
from zoo.io.files import write_bytes, write_text
from zoo.io.log import Log
from zoo.io.tf_import import import_tensorflow
from zoo.report import build as report
from zoo.schema.release import Checkpoint, Index
from zoo.schema.run import Run


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What to publish and where. `zoo publish` has a flag for each.

    Attributes:
        source: The --output folder with the runs and their files.
        target: The release, new or existing.
        names: Names of the runs.
        precisions: Precisions to publish; the others in the release are kept. Empty for all.
        checkpoint: Whether to publish the weights for further training, too.
        history_only: Whether to publish nothing of the runs but their training records.
        engines: Engines on which a file must compute what it does on the CPU.
        container_from: Size from which files are published only packed, in bytes.
        say: Called with each progress message.
        complain: Called with each reason why a file is refused, and each problem of the page.
    """

    source: Path
    target: Path
    names: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    checkpoint: bool = True
    history_only: bool = False
    engines: tuple[str, ...] = runtime.COMPARED
    container_from: int = 8_000_000
    say: Log
    complain: Log

    def publish(self) -> tuple[Index, bool]:
        """Changes the release as a whole, or not at all.

        Returns:
            The new index, and whether a file was refused.

        Raises:
            ZooError: if a run is missing or has no files, or the release is damaged.
        """
        report.need_packages()
        build.manifests(self.target)  # raises for an invalid manifest before anything is copied
        with staged(self.target) as folder:
            refused = self._publish(folder)
            if self.history_only:
                index = build.write_index(folder, *build.manifests(folder))
            else:
                index = self._complete(folder)
        return index, refused

    def _complete(self, folder: Path) -> Index:
        """Adds everything else to a release whose models and checkpoints are in place."""
        if not (folder / "artifacts").is_dir():
            raise ZooError(
                "nothing to publish",
                where=self.target,
                remedy="pass --run, or an existing --release",
            )
        merge(self.source, folder, *build.manifests(folder))
        measured = measured_in(folder)
        return build.complete(
            folder, measured, self.container_from, lambda: self._page(folder), self.say
        )

    def _publish(self, folder: Path) -> bool:
        """Copies the runs into the release; returns whether anything was refused."""
        refused = False
        measured = measured_in(self.source) if self.names else {}
        for name in dict.fromkeys(self.names):
            run = runs.load(self.source / "runs" / name)
            if run.name != name:
                raise ZooError(
                    "run.json names another run",
                    where=self.source / "runs" / name,
                    expected=name,
                    got=run.name,
                    remedy="rename the folder to that name, or train again",
                )
            for reason in self._take(run, folder, measured):
                self.complain(reason)
                refused = True
        return refused

    def _take(self, run: Run, target: Path, measured: dict[str, FileMeasurements]) -> list[str]:
        artifacts = [
            artifact
            for artifact in build.manifests(self.source)[0]
            if artifact.parent_run == run.name
            and artifact.precision in (self.precisions or [artifact.precision])
        ]
        if not artifacts:
            raise ZooError(
                "the run has no artifact",
                where=self.source / "artifacts",
                remedy=f"run zoo convert --run={run.name}",
            )
        if run.stage == "train":
            histories.write(histories.history(run, self.source, artifacts), target)
        if self.history_only:
            return []
        build.forget(target, run, artifacts, self.precisions)
        for what in ("sparsity", "bits", "rank"):
            self._scan(f"{run.name}-{what}.json", target)
        refused = build.take(self.source, target, run, artifacts, measured, self.engines, self.say)
        if self.checkpoint and "qat" not in run.scheme:
            self._checkpoint(run, target)
        return refused

    def _scan(self, name: str, target: Path) -> None:
        """Publishes a sensitivity scan of the run, or removes that of an earlier training."""
        scan, published = (folder / "sensitivity" / name for folder in (self.source, target))
        if scan.is_file():
            write_bytes(published, scan.read_bytes())
        else:
            published.unlink(missing_ok=True)

    def _page(self, target: Path) -> None:
        results = report.load(target)
        more, problems = extras(results, target)
        for problem in problems:
            self.complain(problem)
        report.write_page(results, target, target / "index.html", more)

    def _checkpoint(self, run: Run, target: Path) -> None:
        import_tensorflow()
        from zoo.pretrained import checkpoint, transfer

        initial = transfer.from_run(run, self.source / "runs" / run.name)
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
