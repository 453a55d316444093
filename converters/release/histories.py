"""Training records of a release: what a study compares, without the models themselves."""

from __future__ import annotations

from pathlib import Path

from converters.release.result_lines import public_recipe
from zoo.io.files import write_text
from zoo.schema import epoch_log
from zoo.schema.artifact import Artifact
from zoo.schema.history import EpochResult, RunHistory, TestScore
from zoo.schema.json_files import read_model, read_records
from zoo.schema.measurement import Accuracy
from zoo.schema.run import Run

_FIELDS = tuple(EpochResult.model_fields)


def history(run: Run, source: Path, artifacts: list[Artifact]) -> RunHistory:
    """Returns the training record of a finished run.

    Args:
        run: The run.
        source: The --output folder with its epoch log and the result lines.
        artifacts: Manifests of the files that were converted from it; at least one.

    Raises:
        ZooError: if the epoch log or the result lines can't be read.
    """
    rows = epoch_log.read(
        source / "runs" / run.name / "epochs.csv", f"delete the run {run.name} and train it again"
    )
    lines = {
        line.model_sha256: line
        for line in read_records(source / "results.jsonl")[0]
        if isinstance(line, Accuracy) and line.valid and line.split == "test"
    }
    scores = {}
    for artifact in artifacts:
        line = lines.get(artifact.sha256)
        if line and line.top1 is not None and line.correct is not None:
            scores[artifact.precision] = TestScore(
                images=line.images, top1=line.top1, correct=line.correct
            )
    return RunHistory(
        run=run.model_copy(update={"recipe": public_recipe(run.recipe)}),
        parameters=artifacts[0].parameters,
        epochs=tuple(
            EpochResult.model_validate({name: row[name] for name in _FIELDS if name in row})
            for row in rows
        ),
        scores=scores,
    )


def write(record: RunHistory, folder: Path) -> None:
    """Writes a training record into a release."""
    path = folder / "runs" / f"{record.run.name}.json"
    write_text(path, record.model_dump_json() + "\n")


def load(folder: Path) -> dict[str, RunHistory]:
    """Returns the training records of a release by the name of the run.

    Raises:
        ZooError: if one is not valid.
    """
    return {
        path.stem: read_model(path, RunHistory, "the training record", "publish the run again")
        for path in sorted((folder / "runs").glob("*.json"))
    }
