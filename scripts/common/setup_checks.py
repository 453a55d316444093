"""What `zoo doctor` looks at: one check for each engine, program, dataset and folder."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from android_bench.doctor.diagnosis import Check, failed
from scripts.common.tensorflow_worker import Answer, Request
from zoo import runtime
from zoo.data import DATASETS
from zoo.data.locate import locate
from zoo.errors import ZooError, one_line
from zoo.io import cache
from zoo.io.tf_import import REMEDY as TENSORFLOW_REMEDY
from zoo.runtime.child import Child

BASICS = ("TensorFlow", "LiteRT")
_ENGINES = {
    "LiteRT": "litert",
    "tflite_runtime": "tflite_runtime",
    "GPU engine": "litert_gpu",
    "NPU engine": "litert_npu",
}
# What compressing and converting need besides TensorFlow itself.
_WITH_TENSORFLOW = ("tf-keras", "tensorflow-model-optimization")
_PROGRAM_TIMEOUT_S = 20.0
_LEAST_FREE = 2 * 10**9  # bytes; a training with its checkpoints and files takes less


@dataclass(frozen=True)
class Setup:
    """What is examined, and how.

    Attributes:
        output: Folder of results.
        quick: Whether to start nothing, only to see what is installed.
        timeout_s: Limit of each engine, in seconds.
        adb: Path of adb, None for the usual one.
        data_dir: Data folder of tensorflow_datasets, empty for its default.
    """

    output: Path
    quick: bool = False
    timeout_s: float = 120.0
    adb: str | None = None
    data_dir: str = ""


def checks(setup: Setup) -> Mapping[str, Callable[[], Check]]:
    """Returns all checks by name; none of them raises."""
    found: dict[str, Callable[[], Check]] = {"TensorFlow": partial(_tensorflow, setup)}
    for name, engine in _ENGINES.items():
        found[name] = partial(_engine, name, engine, setup)
    found |= {
        "ARM kernels": partial(_arm, setup),
        "adb": partial(_adb, setup),
        "phones": partial(_phones, setup),
        "chromium": partial(_chromium, setup),
    }
    for dataset in DATASETS:
        if dataset != "image_folder":
            found[f"data: {dataset}"] = partial(_dataset, dataset, setup)
    found["cache"] = partial(_space, "cache", cache.folder(), cache.ELSEWHERE)
    elsewhere = "free some space, or pass another folder with --output"
    found["output"] = partial(_space, "output", setup.output, elsewhere)
    return {name: partial(_guarded, name, check) for name, check in found.items()}


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """Makes whatever goes wrong in a check its row, since the others must be seen all the same."""
    try:
        return check()
    except ZooError as error:
        return failed(name, error, ())
    except Exception as error:
        return Check(name, "problem", one_line(f"{type(error).__name__}: {error}", 300))


def _tensorflow(setup: Setup) -> Check:
    name = "TensorFlow"
    lacking = [each for each in ("tensorflow", *_WITH_TENSORFLOW) if _version(each) is None]
    if "tensorflow" in lacking:
        found = "not installed: models can be used and measured, not trained or converted"
        return Check(name, "missing", found, f"{TENSORFLOW_REMEDY} (Python 3.11 or 3.12)")
    version = _version("tensorflow")
    if setup.quick:
        found = f"{version} is installed"
    else:
        worker = Child(
            "scripts.common.tensorflow_worker",
            name="the process with TensorFlow",
            timeout_s=setup.timeout_s,
            remedy=TENSORFLOW_REMEDY,
        )
        with worker:
            devices = worker.ask(Request(), Answer, name).accelerators
        found = f"{version}, on {', '.join(devices) or 'the processor'}"
    if lacking:
        return Check(name, "missing", f"{found}, without {', '.join(lacking)}", TENSORFLOW_REMEDY)
    return Check(name, "ok", found)


def _engine(name: str, engine: str, setup: Setup) -> Check:
    row = runtime.RUNTIMES[engine]
    try:
        version = runtime.version(engine)
    except ZooError as error:
        return failed(name, error, (), "problem" if name in BASICS else "missing")
    found = f"{row.package} {version}"
    if setup.quick:
        return Check(name, "ok", f"{found} is installed")
    from zoo.runtime import probe
    from zoo.runtime.sandbox import Sandbox

    delegate = runtime.delegates(engine, row.delegates)[0]
    with Sandbox(engine, setup.timeout_s, row.remedy) as sandbox:
        try:
            placed = probe.run(sandbox, delegate)
        except ImportError as error:
            raise ZooError(f"{engine} can't be loaded", got=error, remedy=row.remedy) from error
    device = placed.accelerator
    return Check(name, "ok", f"{found}: {device.words if device else 'runs on the processor'}")


def _arm(setup: Setup) -> Check:
    from zoo.runtime import arm64, probe
    from zoo.runtime.sandbox import Sandbox

    name = "ARM kernels"
    try:
        emulated = arm64.python()
    except ZooError as error:
        return failed(name, error, (), "missing")
    if not setup.quick:
        remedy = "make its folder again, as docs/arm_kernels.md tells"
        with Sandbox("litert", setup.timeout_s, remedy, emulated) as sandbox:
            probe.run(sandbox, "xnnpack")
    found = f"{emulated[0]} emulates a {arm64.DEFAULT_CPU}: outputs count, times do not"
    return Check(name, "ok", found)


def _adb(setup: Setup) -> Check:
    from android_bench.adb.client import Adb

    try:
        adb = Adb(setup.adb)
    except ZooError as error:
        return failed("adb", error, (), "missing")
    if setup.quick:
        return Check("adb", "ok", adb.path)
    done = adb.run("version", timeout_s=_PROGRAM_TIMEOUT_S)
    if done.returncode != 0:
        got = done.killed_for or done.stderr or f"exit code {done.returncode}"
        raise ZooError("adb does not run", where=adb.path, got=got, remedy="reinstall adb")
    first = done.stdout.partition("\n")[0]
    return Check("adb", "ok", f"{one_line(first, 80)}, {adb.path}")


def _phones(setup: Setup) -> Check:
    from android_bench.adb.client import Adb
    from android_bench.session.session import attached_phones

    if setup.quick:
        return Check("phones", "note", "not asked for (--quick)", "run zoo phone list")
    try:
        phones = attached_phones(Adb(setup.adb))
    except ZooError as error:
        return failed("phones", error, (), "missing")
    rows = [
        f"{phone.serial} {phone.problem or phone.details.get('model', '')}".strip()
        for phone in phones
    ]
    usable = any(phone.usable for phone in phones)
    remedy = "run zoo phone doctor, which tells what can be measured on each"
    return Check("phones", "ok" if usable else "note", one_line("; ".join(rows), 300), remedy)


def _chromium(setup: Setup) -> Check:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        found = "not installed: the page's tests are skipped, and no GPU has no stand-in"
        return Check("chromium", "missing", found, "apt-get install chromium")
    if setup.quick:
        return Check("chromium", "ok", program)
    done = subprocess.run(
        [program, "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_PROGRAM_TIMEOUT_S,
    )
    if done.returncode:
        raise ZooError("chromium does not run", where=program, got=one_line(done.stderr, 200))
    return Check("chromium", "ok", f"{one_line(done.stdout, 80)}, {program}")


def _dataset(dataset: str, setup: Setup) -> Check:
    located = locate(dataset, setup.data_dir)
    name = f"data: {dataset}"
    if located.place is None:
        return Check(name, "missing", f"not here; from {located.source}", located.remedy)
    return Check(name, "ok", f"in {located.place}")


def _space(name: str, folder: Path, elsewhere: str) -> Check:
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    found = f"{folder}, {free / 1e9:.1f} GB free"
    if not (there.is_dir() and os.access(there, os.W_OK)):
        return Check(name, "problem", f"{there} is no folder that can be written to", elsewhere)
    return Check(name, "note" if free < _LEAST_FREE else "ok", found,
                 elsewhere if free < _LEAST_FREE else "")  # fmt: skip


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
