"""Measures `.tflite` files on this computer, on phones, or on both.

    python -m scripts.benchmark                                  every artifact, this computer
    python -m scripts.benchmark --device=all                     and every phone that adb lists
    python -m scripts.benchmark --device=R58M123 --delegate=gpu  one phone, one delegate
    python -m scripts.benchmark --models=my.tflite --runtime=litert,tflite_runtime --threads=2

On this computer, artifacts are also scored on their whole test split, through the same runtime.
Each case appends one line to OUTPUT/results.jsonl, a failed one too, with its reason; the exit
code is 1 where any case failed.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from scripts import cli
from zoo import runtime
from zoo.errors import UnknownNameError, ZooError
from zoo.provenance import Provenance
from zoo.records import append_record
from zoo.types import Accuracy, Measurement

if TYPE_CHECKING:
    from android_bench.adb import Attached
    from android_bench.cases import Candidate

FLAGS = flags.FLAGS
cli.define_output()
_PHONE_DELEGATES = ("xnnpack", "none", "gpu")
flags.DEFINE_list("models", [], "artifact names or .tflite paths (default: every artifact)")
flags.DEFINE_list(
    "device", ["host"], "host, adb serials, or all: this computer and every phone that adb lists"
)
flags.DEFINE_list("runtime", ["litert"], f"on this computer: {', '.join(runtime.RUNTIMES)}")
flags.DEFINE_list(
    "delegate",
    [],
    f"of {', '.join(_PHONE_DELEGATES)}; gpu on phones only (default: all that the device has)",
)
flags.DEFINE_integer("threads", 1, "CPU threads", lower_bound=1, upper_bound=256)
flags.DEFINE_integer("num_runs", 50, "inferences a process, at least", lower_bound=1)
flags.DEFINE_float("min_secs", 0.5, "seconds a process measures, at least", lower_bound=0)
flags.DEFINE_integer("processes", 3, "processes a case; figures are medians over them", 1)
flags.DEFINE_bool("accuracy", True, "score artifacts on their test split, on this computer")
flags.DEFINE_float("recovery_secs", 60, "how long to wait for a phone that left", lower_bound=0)
flags.DEFINE_string("benchmark_binary", None, "benchmark_model for the phone (default: download)")
flags.DEFINE_string("adb", None, "the adb client (default: the one on PATH, else adbutils' own)")


def main(_: list[str]) -> int:
    """Measures by the flags; 1 where a case failed."""
    for name in FLAGS.delegate:
        if name not in _PHONE_DELEGATES:
            raise UnknownNameError("--delegate", name, _PHONE_DELEGATES)
    for name in FLAGS.runtime:
        runtime.version(name)
    from android_bench.cases import candidates

    files = candidates(FLAGS.models, cli.output() / "artifacts")
    phones = _phones()
    failed = 0
    if {"host", "all"} & set(FLAGS.device):
        failed += _on_host(files)
    for phone in phones:
        failed += _on_phone(files, phone)
    if failed:
        cli.say(f"{failed} case(s) failed; each is a row with its reason in results.jsonl")
    return 1 if failed else 0


def _phones() -> list[Attached]:
    """The phones meant by --device; adb is not asked where none is."""
    wanted = [name for name in FLAGS.device if name != "host"]
    if not wanted:
        return []
    from android_bench.adb import Adb
    from android_bench.session import attached_phones

    every = "all" in wanted
    try:
        return attached_phones(Adb(FLAGS.adb), "all" if every else ",".join(wanted))
    except ZooError as error:
        if not every:
            raise
        cli.say(f"phones: {error.what}; measuring on this computer only")
        return []


def _on_host(files: list[Candidate]) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from android_bench import host

    provenance = Provenance.here()
    delegates = FLAGS.delegate or list(runtime.DELEGATES)
    configurations = [(r, d) for r in FLAGS.runtime for d in delegates]
    cases = [f.case(r, d, FLAGS.threads) for f in files for r, d in configurations]
    timing = host.Timing(FLAGS.num_runs, FLAGS.min_secs, 0.2, FLAGS.processes)
    failed = sum(map(_record, host.measure(cases, timing, provenance, cli.say)))
    if not FLAGS.accuracy:
        return failed
    scored = [
        (f.case(r, delegates[0], 1), f.artifact) for f in files if f.artifact for r in FLAGS.runtime
    ]
    # Scoring is not timed, so it may use every core; timing above never shares the machine.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = pool.map(lambda pair: host.score(pair[0], pair[1], provenance), scored)
        return failed + sum(map(_record, rows))


def _on_phone(files: list[Candidate], phone: Attached) -> int:
    from android_bench import binary, session
    from android_bench.adb import Adb

    delegates = FLAGS.delegate or list(_PHONE_DELEGATES)
    cases = [f.case("benchmark_model", d, FLAGS.threads) for f in files for d in delegates]
    own = Path(FLAGS.benchmark_binary) if FLAGS.benchmark_binary else None
    failed = 0
    rows = session.measure_on_phone(
        Adb(FLAGS.adb),
        phone.serial,
        cases,
        lambda abi: binary.benchmark_binary(own, abi, cli.cache()),
        Provenance.here(),
        num_runs=FLAGS.num_runs,
        min_secs=FLAGS.min_secs,
        processes=FLAGS.processes,
        tolerance_s=min(20.0, FLAGS.recovery_secs),
        recovery_s=FLAGS.recovery_secs,
        progress=cli.say,
    )
    with closing(rows):
        for row in rows:
            failed += _record(row)
    return failed


def _record(row: Measurement | Accuracy) -> int:
    """Appends a row to the results and says it in one line; 1 for a failed one, else 0."""
    append_record(cli.output() / "results.jsonl", row)
    c = row.configuration
    where = "host" if row.device.kind == "host" else row.device.name
    what = f"{row.model}, {where}, {c.runtime}, {c.delegate}"
    if isinstance(row, Accuracy) and row.top1 is not None:
        cli.say(f"  {what}: {100 * row.top1:.2f} % of {row.images} test images right")
    elif isinstance(row, Measurement) and row.latency is not None:
        took = row.placement
        nodes = f", {took.delegated}/{took.nodes} nodes delegated" if took and took.nodes else ""
        cli.say(f"  {what}: {row.latency.typical_us / 1000:.3f} ms{nodes}")
    if not row.valid:
        cli.say(f"  FAILED {what}: {'; '.join(row.reasons)}")
    return 0 if row.valid else 1


if __name__ == "__main__":
    cli.run(main)
