"""What the page shows beyond results: roofline estimates of the files, sensitivity scans."""

from __future__ import annotations

from pathlib import Path

from converters.inspection import macs, roofline
from converters.release import read
from converters.tflite import reader
from zoo.errors import ZooError
from zoo.report.inputs import Estimated, EstimatedChip, Extras, scans
from zoo.report.rows import Report
from zoo.schema.release import packed

CHIP = "snapdragon_865_gpu"
_TITLE = "Snapdragon 865, GPU"


def extras(report: Report, output: Path) -> tuple[Extras, list[str]]:
    """Estimates of every model file in `OUTPUT/artifacts`, scans in `OUTPUT/sensitivity`.

    Returns:
        them, and a line for each file that can't be read.
    """
    found, problems = scans(output)
    estimates = {}
    for row in report.rows:
        path = output / "artifacts" / f"{row.artifact.name}.tflite" if row.artifact else None
        if path is None or not (path.is_file() or packed(path).is_file()):
            continue
        try:
            model = reader.read(read.content(path), path)
            one = roofline.estimate(model, CHIP)
            estimates[row.sha256] = Estimated(macs.total(model), one.bytes, one.us, one.bound)
        except ZooError as error:
            problems.append(str(error))
    peak = roofline.chip(CHIP)
    chip = EstimatedChip(_TITLE, peak.gflops, peak.gbps, peak.source, roofline.ABOVE)
    return Extras(chip if estimates else None, estimates, tuple(found)), problems
