"""Realistic result lines and manifests for the tests of the report."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.io.files import write_bytes, write_text
from zoo.schema.artifact import Artifact, Metric, Released
from zoo.schema.json_files import append_record
from zoo.schema.measurement import (
    Accuracy,
    Agreement,
    Configuration,
    Device,
    Energy,
    Latency,
    Measurement,
    Placement,
    Record,
    Sustained,
    SustainedPoint,
    TrainRecord,
)

HOST = Device(kind="host", id="host", name="Test CPU", details={"cpu": "Test CPU @ 2 GHz"})
PHONE = Device(kind="phone", id="a3f19c", name="Pixel 7", details={"android": "14"})


def sha256(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def artifact(name: str, precision: str = "int8", kilobytes: int = 800, **changes: Any) -> Artifact:
    fields: dict[str, Any] = {
        "name": name,
        "model": "squeezenet_v1_1",
        "dataset": "fashion_mnist",
        "precision": precision,
        "scheme": (),
        "sha256": sha256(name),
        "bytes": kilobytes * 1000,
        "gzip_bytes": kilobytes * 900,
        "parent_run": "squeeze",
        "parent_sha256": "0" * 64,
        "inputs": (),
        "outputs": (),
        "preprocessing": {},
        "labels": ("a", "b"),
        "operators": {"CONV_2D": 26},
        "parameters": 730000,
        "zeros": 0.0,
        "validation_accuracy": 0.92,
        "recipe": {"name": "test"},
        "versions": {},
    }
    return Artifact(**fields | changes)


def released(top1: float = 0.9, **changes: Any) -> Released:
    """What a release adds to a manifest, with this accuracy on the test split."""
    fields: dict[str, Any] = {
        "dataset": "fashion_mnist", "split": "test", "images": 10000, "top1": top1,
        "low": 0.0, "high": 1.0, "runtime": "litert 2.3.0",
    }  # fmt: skip
    text = "x"
    return Released(
        zip_bytes=1, container_bytes=1, labels=text, paper=text, license_code=text,
        license_weights=text, license_data=text, accuracies=(Metric(**fields | changes),),
    )  # fmt: skip


def head(name: str, minute: int) -> dict[str, Any]:
    return {
        "time_utc": f"2025-11-22T02:{minute:02d}:00+00:00",
        "command": ("scripts/benchmark.py", f"--artifact={name}"),
        "versions": {"litert": "2.3.0"},
        "model": name,
        "model_sha256": sha256(name),
    }


def timed(
    name: str,
    latency_ms: float | None,
    delegate: str = "xnnpack",
    minute: int = 0,
    device: Device = HOST,
    **changes: Any,
) -> Measurement:
    """Returns a timed case; a failed one if `latency_ms` is None."""
    us = 1000 * (latency_ms or 0)
    latency = Latency(
        runs=50,
        processes=3,
        init_us=9000,
        first_us=2 * us,
        avg_us=1.1 * us,
        min_us=0.9 * us,
        max_us=2 * us,
        std_us=1,
        median_us=us,
    )
    fields: dict[str, Any] = {
        **head(name, minute),
        "precision": "int8",
        "device": device,
        "configuration": Configuration(
            runtime="litert", runtime_version="2.3.0", delegate=delegate, threads=1
        ),
        "placement": Placement(level="full", nodes=41, delegated=41),
        "latency": None if latency_ms is None else latency,
        "valid": latency_ms is not None,
        "reasons": ("the delegate refused QUANTIZE",) if latency_ms is None else (),
    }
    return Measurement(**fields | changes)


def metered(net_mj: float, **changes: Any) -> Energy:
    """Returns the energy of a valid measurement, `net_mj` millijoules per inference."""
    fields: dict[str, Any] = {
        "gross_mw": 3200, "idle_mw": 600, "net_mw": 2600, "net_mw_uncertainty": 60,
        "net_mj": net_mj, "net_mj_uncertainty": net_mj * 60 / 2600,
        "inferences_per_percent": 639_900 / net_mj, "hours": 4.4, "window_s": 58.0,
        "readings": 57, "gauge_period_s": 1.0, "unit": "uA", "charging_is": "negative",
        "evidence": ("current_now 150000 idle, 810000 loaded",), "sampler": "native",
    }  # fmt: skip
    return Energy(**fields | changes)


def sustained(name: str, slower_from: int | None, delegate: str = "xnnpack") -> Sustained:
    """Returns a sustained run of half an hour with one point per 10 s.

    Args:
        name: Name of the artifact.
        slower_from: Index of the point from which on the latency is a third higher; None for never.
        delegate: The delegate.
    """
    slow = 10**6 if slower_from is None else slower_from
    points = tuple(
        SustainedPoint(
            at_s=10.0 * i,
            latency_us=9000 * (1 + 0.33 * (i >= slow)) + 50 * (i % 3),
            busy=0.97,
            battery_c=29 + 12 * (1 - 0.985**i),
            thermal_status=int(i >= slow),
        )
        for i in range(180)
    )
    like = timed(name, 1.0, delegate, device=PHONE)
    return Sustained(
        **head(name, 30),
        precision="int8",
        device=PHONE,
        configuration=like.configuration,
        points=points,
        first_us=9050,
        last_us=points[-2].latency_us,
        slower_after_s=None if slower_from is None else 10.0 * slower_from,
        limited_after_s=None if slower_from is None else 10.0 * slower_from - 20,
        valid=True,
    )


def scored(name: str, top1: float | None, minute: int = 0, **changes: Any) -> Accuracy:
    """Returns an accuracy on the test split; a failed one if `top1` is None."""
    fields: dict[str, Any] = {
        **head(name, minute),
        "precision": "int8",
        "dataset": "fashion_mnist",
        "split": "test",
        "images": 10000,
        "top1": top1,
        "device": HOST,
        "configuration": Configuration(
            runtime="litert", runtime_version="2.3.0", delegate="xnnpack", threads=1
        ),
        "valid": top1 is not None,
        "reasons": ("the interpreter crashed",) if top1 is None else (),
    }
    return Accuracy(**fields | changes)


def compared(name: str, agreement: float | None, **changes: Any) -> Agreement:
    """Returns a phone GPU's agreement on eight images; a failed line if `agreement` is None."""
    fields: dict[str, Any] = {
        **head(name, 0),
        "precision": "int8",
        "device": PHONE,
        "configuration": Configuration(
            runtime="benchmark_model", runtime_version="sha256:1", delegate="gpu", threads=1
        ),
        "reference": "litert 2.3.0, plain kernels",
        "pictures": "fashion_mnist/test",
        "images": 8,
        "top1_agreement": agreement,
        "largest_difference": None if agreement is None else 0.0041,
        "relative_difference": None if agreement is None else 0.002,
        "valid": agreement is not None,
        "reasons": ("benchmark_model saved no output",) if agreement is None else (),
    }
    return Agreement(**fields | changes)


def trained(name: str = "squeeze") -> TrainRecord:
    return TrainRecord(
        **head(name, 0),
        kind="train",
        dataset="fashion_mnist",
        validation_accuracy=0.9262,
        epochs=10,
        seconds=600,
        zeros=0.0,
    )


def write_output(folder: Path, names: dict[str, Artifact], records: Sequence[Record]) -> None:
    """Writes an output folder.

    The content of each `.tflite` is the name of the artifact, whose SHA-256 is in the manifest.

    Args:
        folder: Folder to write to.
        names: Manifests by file name without suffix.
        records: Result lines.
    """
    for stem, manifest in names.items():
        write_bytes(folder / "artifacts" / f"{stem}.tflite", manifest.name.encode())
        write_text(folder / "artifacts" / f"{stem}.json", manifest.model_dump_json())
    for record in records:
        append_record(folder / "results.jsonl", record)


def write_many(folder: Path, files: int) -> int:
    """Writes an output folder of many files, each scored and timed by two delegates on two devices.

    Returns:
        Number of result lines, five per file.
    """
    precisions = ("float32", "float16", "dynamic_int8", "int8")
    names, lines = {}, []
    for i in range(files):
        precision = precisions[i % 4]
        name = f"network_{i // 4:03d}-fashion_mnist-{precision}"
        kilobytes = 100 + (i * 7919) % 4000
        names[name] = artifact(name, precision, kilobytes)
        lines.append(scored(name, 0.8 + (i * 104729 % 1500) / 10_000, precision=precision))
        for device, slower in ((HOST, 1.0), (PHONE, 3.0)):
            for delegate, factor in (("xnnpack", 1.0), ("none", 4.0)):
                ms = None if i % 50 == 9 else slower * factor * (0.2 + kilobytes / 900)
                lines.append(timed(name, ms, delegate, device=device, precision=precision))
    for stem, manifest in names.items():
        write_text(folder / "artifacts" / f"{stem}.json", manifest.model_dump_json())
    text = "".join(line.model_dump_json() + "\n" for line in lines)
    write_text(folder / "results.jsonl", text)
    return len(lines)
