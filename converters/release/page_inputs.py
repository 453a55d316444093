"""Collects further inputs of the page: roofline estimates and sensitivity scans."""

from __future__ import annotations

from pathlib import Path

from converters.inspection import chips, macs, roofline
from converters.release import read
from converters.tflite import reader
from zoo.errors import ZooError
from zoo.report.inputs import Estimated, EstimatedChip, Extras, scans
from zoo.report.rows import Report
from zoo.schema.release import packed

CHIP = "snapdragon_865_gpu"
_TITLE = "Snapdragon 865, GPU"


def extras(report: Report, output: Path) -> tuple[Extras, list[str]]:
    """Estimates all models in `OUTPUT/artifacts` and reads the scans in `OUTPUT/sensitivity`.

    Args:
        report: Report with the rows to estimate.
        output: An --output folder or a release.

    Returns:
        The estimates and scans, and one line per unreadable file.
    """
    sensitivity, problems = scans(output)
    estimates = {}
    for row in report.rows:
        path = output / "artifacts" / f"{row.artifact.name}.tflite" if row.artifact else None
        if path is None or not (path.is_file() or packed(path).is_file()):
            continue
        try:
            model = reader.read(read.content(path), path)
            estimate = roofline.estimate(model, CHIP)
            estimates[row.sha256] = Estimated(
                macs.total(model), estimate.bytes, estimate.us, estimate.bound
            )
        except ZooError as error:
            problems.append(str(error))
    peak = chips.chip(CHIP)
    chip = EstimatedChip(_TITLE, peak.gflops, peak.gbps, peak.source, roofline.ABOVE)
    return Extras(chip if estimates else None, estimates, tuple(sensitivity)), problems
