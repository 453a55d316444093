"""Measures `.tflite` files on this computer, on phones, or on both.

    python -m scripts.benchmark                                  every artifact, this computer
    python -m scripts.benchmark --device=all                     and every phone that adb lists
    python -m scripts.benchmark --device=R58M123 --delegate=gpu  one phone, one delegate
    python -m scripts.benchmark --device=R58M123 --energy        with the energy of an inference
    python -m scripts.benchmark --artifact=my.tflite --runtime=litert,tflite_runtime --threads=1,2

On this computer, artifacts are also scored on their whole test split, through the same runtime.
Each process of a case appends one line to OUTPUT/results.jsonl, a failed one too, with its reason;
the exit code is 1 where any case failed. The processes of all cases run in a seeded random order.
The same command, run again, goes on with what has no good line yet; --session=NAME measures anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from scripts.common import cli
from zoo import runtime
from zoo.errors import ZooError
from zoo.io.provenance import Provenance

if TYPE_CHECKING:
    from android_bench.adb.client import Attached
    from android_bench.outputs.reference import OutputImages
    from android_bench.power.metered import Metering
    from android_bench.session.options import RunOptions
    from android_bench.tasks.cases import Case, RequestedFile
    from android_bench.tasks.recorder import Recorder
    from android_bench.tasks.schedule import Task

FLAGS = flags.FLAGS
cli.define_output()
_PHONE_DELEGATES = ("xnnpack", "none", "gpu")
_LITERT_DELEGATES = ("xnnpack", "gpu")
flags.DEFINE_list("artifact", [], "artifact names or .tflite paths (default: every artifact)")
cli.former_flag("models", "artifact")
flags.DEFINE_list(
    "device", ["host"], "host, adb serials, or all: this computer and every phone that adb lists"
)
flags.DEFINE_list("runtime", ["litert"], f"on this computer: {', '.join(runtime.RUNTIMES)}")
flags.DEFINE_list(
    "delegate",
    [],
    "of xnnpack and none (or cpu), on phones also gpu, nnapi, external:LIBRARY?NAME:VALUE "
    "(default: xnnpack and none, on phones gpu too)",
)
flags.DEFINE_list("threads", ["1"], "numbers of CPU threads")
flags.DEFINE_list("cores", [""], "on phones: big, little, prime, or masks such as f0")
flags.DEFINE_integer("num_runs", 50, "inferences a process, at least", lower_bound=1)
flags.DEFINE_float("min_secs", 0.5, "seconds a process measures, at least", lower_bound=0)
flags.DEFINE_integer("processes", 3, "processes a case; figures are medians over them", 1)
flags.DEFINE_bool("energy", False, "energy too, in the first process of each case")
# A window of 30 s is the least, and the tool's last second is left out.
flags.DEFINE_float("energy_secs", 60, "seconds of inferences for --energy", lower_bound=32)
flags.DEFINE_float(
    "idle_secs", 20, "seconds of rest before and after them, for --energy", lower_bound=5
)
flags.DEFINE_bool("op_profile", False, "on phones: which operators take the time, no latency")
flags.DEFINE_bool("verify_outputs", False, "on phones: compare outputs with this computer's too")
flags.DEFINE_integer("verify_images", 8, "pictures for --verify_outputs", lower_bound=1)
flags.DEFINE_string(
    "images", None, "pictures for files without a manifest: a .tar or folder of JPEGs"
)
flags.DEFINE_float(
    "sustained_minutes", 0, "on phones: inference after inference for so long, as a curve", 0
)
flags.DEFINE_bool(
    "fixed_performance", False, "on phones: Android's fixed performance mode meanwhile"
)
flags.DEFINE_float(
    "start_c", 38, "on phones: a process starts at this battery temperature (°C), at most"
)
flags.DEFINE_float("cool_down_secs", 300, "seconds to wait for --start_c", 0)
flags.DEFINE_bool("accuracy", True, "score artifacts on their test split, on this computer")
flags.DEFINE_string("session", "", "a name; under another one all is measured anew")
flags.DEFINE_integer("seed", 1, "of the order")
flags.DEFINE_bool("plan", False, "only print what would be measured, and how long it takes")
flags.DEFINE_bool("dry_run", False, "only print the phone's commands")
flags.DEFINE_float("recovery_secs", 60, "how long to wait for a phone that left", lower_bound=0)
flags.DEFINE_enum("tool", "tflite", ["tflite", "litert"], "whose benchmark_model to download")
flags.DEFINE_string("benchmark_binary", None, "benchmark_model for the phone (default: download)")
flags.DEFINE_string("adb", None, "the adb client (default: the one on PATH, else adbutils' own)")


def main(_: list[str]) -> int:
    """Measures by the flags; 1 where a case failed."""
    if FLAGS.op_profile and FLAGS.sustained_minutes:
        raise ZooError("--op_profile and --sustained_minutes are two runs", remedy="give one")
    _delegates(())
    for name in FLAGS.runtime:
        runtime.version(name)
    from android_bench.tasks.cases import candidates

    files = candidates(FLAGS.artifact, cli.output() / "artifacts")
    phones = _phones()
    failed = 0
    if {"host", "all"} & set(FLAGS.device):
        failed += _on_host(files)
    if len(phones) > 1 and not (FLAGS.plan or FLAGS.dry_run):
        failed += _on_several(phones)
    else:
        failed += sum(_on_phone(files, phone) for phone in phones)
    if failed:
        cli.say(f"{failed} case(s) failed; each is a row with its reason in results.jsonl")
    return 1 if failed else 0


def _phones() -> list[Attached]:
    """The phones meant by --device; adb is not asked where none is."""
    wanted = [name for name in FLAGS.device if name != "host"]
    if not wanted:
        return []
    from android_bench.adb.client import Adb
    from android_bench.session.session import attached_phones

    every = "all" in wanted
    try:
        return attached_phones(Adb(FLAGS.adb), "all" if every else ",".join(wanted))
    except ZooError as error:
        if not every:
            raise
        cli.say(f"phones: {error.what}; measuring on this computer only")
        return []


def _threads() -> list[int]:
    found = [int(text) if text.isdecimal() else 0 for text in FLAGS.threads]
    if not found or not all(1 <= number <= 256 for number in found):
        raise ZooError(
            "impossible numbers of threads",
            where="--threads",
            expected="numbers from 1 to 256, with commas between",
            got=",".join(FLAGS.threads),
        )
    return found


def _delegates(default: tuple[str, ...]) -> list[str]:
    from android_bench.tools.delegates import parse_delegate

    return list(dict.fromkeys(str(parse_delegate(name)) for name in FLAGS.delegate or default))


def _metering() -> Metering | None:
    from android_bench.power.metered import Metering

    return Metering(FLAGS.energy_secs, FLAGS.idle_secs) if FLAGS.energy else None


def _on_host(files: list[RequestedFile]) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from android_bench.host import bench

    provenance = Provenance.here()
    delegates = _delegates(tuple(runtime.DELEGATES))
    configurations = [(r, d, t) for r in FLAGS.runtime for d in delegates for t in _threads()]
    cases = [f.case(r, d, t) for f in files for r, d, t in configurations]
    timing = bench.HostTiming(FLAGS.num_runs, FLAGS.min_secs, 0.2)
    metering = _metering()
    asked = asdict(timing) | ({"metering": asdict(metering)} if metering else {})
    tasks = _tasks(cases, bench.device().name, asked)
    recorder = _recorder()
    if FLAGS.plan or FLAGS.dry_run:
        process_s = 1.5 + timing.warmup_secs + timing.min_secs
        metered_s = metering.load_s + 2 * metering.idle_s if metering else 0.0
        where = f"on {bench.device().name}"
        _plan(where, tasks, lambda task: process_s + metered_s * (task.number == 1))
        return 0
    rows = bench.measure(_pending(tasks), timing, provenance, cli.say, metering=metering)
    failed = recorder.processes(tasks, rows)
    if not FLAGS.accuracy:
        return failed
    unscored = recorder.unscored((f.sha256, r) for f in files for r in FLAGS.runtime)
    scored = [
        (f.case(r, delegates[0], 1), f.artifact)
        for f in files
        for r in FLAGS.runtime
        if f.artifact and (f.sha256, r) in unscored
    ]
    # Scoring is not timed, so it may use every core; timing above never shares the machine.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        scores = pool.map(lambda pair: bench.score(pair[0], pair[1], provenance), scored)
        return failed + sum(map(recorder.score, scores))


def _on_phone(files: list[RequestedFile], phone: Attached) -> int:
    from android_bench.adb.client import Adb
    from android_bench.outputs.reference import References
    from android_bench.session import session
    from android_bench.tools import binary

    delegates = _delegates(_PHONE_DELEGATES if FLAGS.tool == "tflite" else _LITERT_DELEGATES)
    configurations = [(d, t, c) for d in delegates for t in _threads() for c in FLAGS.cores]
    cases = [f.case("benchmark_model", d, t, c) for f in files for d, t, c in configurations]
    own = Path(FLAGS.benchmark_binary) if FLAGS.benchmark_binary else None
    options = _options()
    asked = {**asdict(options), "tool": FLAGS.benchmark_binary or FLAGS.tool}
    identity = _identity(phone)
    tasks = _tasks(cases, identity, asked)
    if FLAGS.plan or FLAGS.dry_run:
        _plan(f"on the phone {phone.serial}", tasks, options.expected_s, options)
        return 0
    recorder = _recorder()
    with ExitStack() as stack:
        compared, references = [], None
        if FLAGS.verify_outputs:
            compared = recorder.uncompared(cases, identity)
            references = stack.enter_context(References(_pictures()))
        rows = session.measure_on_phone(
            Adb(FLAGS.adb),
            phone.serial,
            _pending(tasks),
            lambda abi: binary.benchmark_binary(own, abi, cli.cache(), tool=FLAGS.tool),
            Provenance.here(),
            options,
            cli.say,
            compared=compared,
            references=references,
        )
        return recorder.processes(tasks, stack.enter_context(closing(rows)))


def _identity(phone: Attached) -> str:
    """The phone's id; of what adb calls it, where it can't be reached."""
    from android_bench.adb.client import Adb
    from android_bench.phone.phone import Phone
    from zoo.schema.device import device_id

    try:
        return Phone(Adb(FLAGS.adb), phone.serial).identify()
    except ZooError:
        return device_id(phone.serial)


def _pictures() -> OutputImages:
    from android_bench.outputs.reference import OutputImages

    images = Path(FLAGS.images) if FLAGS.images else None
    return OutputImages(FLAGS.verify_images, FLAGS.seed, images)


def _options() -> RunOptions:
    from android_bench.session.options import RunOptions
    from android_bench.session.sustained import Sustaining

    return RunOptions(
        num_runs=FLAGS.num_runs,
        min_secs=FLAGS.min_secs,
        tolerance_s=min(20.0, FLAGS.recovery_secs),
        recovery_s=FLAGS.recovery_secs,
        metering=_metering(),
        profiling=FLAGS.op_profile,
        sustaining=Sustaining(FLAGS.sustained_minutes) if FLAGS.sustained_minutes else None,
        fixed_performance=FLAGS.fixed_performance,
        start_c=FLAGS.start_c,
        cool_down_s=FLAGS.cool_down_secs,
    )


def _on_several(phones: list[Attached]) -> int:
    """One process a phone, so that Ctrl-C reaches each; how many of them failed."""
    words = [sys.executable, "-m", "scripts.benchmark", *sys.argv[1:]]
    started = [subprocess.Popen([*words, f"--device={phone.serial}"]) for phone in phones]
    try:
        return sum(process.wait() != 0 for process in started)
    finally:
        for process in started:
            process.wait()  # Ctrl-C reaches them too, and they tidy their phones up


def _tasks(cases: list[Case], device_id: str, asked: dict[str, object]) -> list[Task]:
    from android_bench.tasks.schedule import schedule

    # How patiently a phone is waited for does not change what is measured.
    patience = ("tolerance_s", "recovery_s", "cool_down_s")
    told = {k: v for k, v in asked.items() if k not in patience}
    told["session"] = FLAGS.session
    processes = 1 if told.get("sustaining") or told.get("profiling") else FLAGS.processes
    return schedule(cases, processes, device_id, told, FLAGS.seed)


def _recorder() -> Recorder:
    from android_bench.tasks.recorder import Recorder

    return Recorder(cli.output() / "results.jsonl", cli.say)


def _pending(tasks: list[Task]) -> list[Task]:
    todo = _recorder().pending(tasks)
    if len(todo) < len(tasks):
        cli.say(
            f"{len(tasks) - len(todo)} of {len(tasks)} processes are measured already; "
            "--session=NAME measures anew"
        )
    return todo


def _plan(
    where: str,
    tasks: list[Task],
    expected_s: Callable[[Task], float],
    options: RunOptions | None = None,
) -> None:
    """Prints the cases and how long they take; the phone's commands too, if asked for."""
    from android_bench.session.options import tool_command
    from android_bench.tasks.recorder import how
    from android_bench.tools.tool import TOOLS

    todo = _recorder().pending(tasks)
    seconds = sum(map(expected_s, todo))
    cli.say(
        f"{len({task.key for task in tasks})} cases {where}, {len(tasks)} processes in all, "
        f"{len(todo)} of them to be run: {seconds / 60:.1f} minutes or more"
    )
    for task in sorted(tasks, key=lambda task: (task.case.model, task.key, task.number)):
        case = task.case
        if options and FLAGS.dry_run:
            metered = options.metering is not None and task.number == 1
            cores = f"taskset ({case.configuration.cores}) " if case.configuration.cores else ""
            line = TOOLS[FLAGS.tool]
            command = tool_command(options, case, "benchmark_model", case.path.name, metered, line)
            cli.say(f"  {cores}{command}")
        elif task.number == 1:
            cli.say(f"  {case.model} {case.precision}: {how(case.configuration)}")


if __name__ == "__main__":
    cli.run(main)
