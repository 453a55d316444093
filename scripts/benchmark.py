"""Measures .tflite files on this computer and on phones: latency, accuracy and energy.

    zoo benchmark                                   every artifact, on this computer
    zoo benchmark --device=all                      also on every phone that adb lists
    zoo benchmark --device=R58M123 --delegate=gpu   one phone, one delegate
    zoo benchmark --device=R58M123 --energy         also the energy per inference
    zoo benchmark --artifact=my.tflite --runtime=litert,tflite_runtime --threads=1,2

A case is a file in one configuration (device, runtime, delegate, threads, cores). Each case is
measured in several processes, and the processes of all cases run in a seeded random order. Each
process appends one line to OUTPUT/results.jsonl, with the reason if it failed. On this computer,
artifacts are also scored on their whole test split with the same runtime. The exit code is 1 if a
case failed.

The same command again continues with the processes that have no valid line yet; --session=NAME
measures everything again.
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

from scripts.common import benchmark_flags, cli
from zoo import runtime
from zoo.errors import ZooError
from zoo.io.provenance import Provenance
from zoo.runtime import host

if TYPE_CHECKING:
    from android_bench.adb.client import Attached
    from android_bench.session.options import RunOptions
    from android_bench.tasks.cases import Case, RequestedFile
    from android_bench.tasks.recorder import Recorder
    from android_bench.tasks.schedule import Task

FLAGS = flags.FLAGS
benchmark_flags.define()
cli.define_output()


def main(_: list[str]) -> int:
    """Measures all cases; returns 1 if one failed."""
    benchmark_flags.check()
    from android_bench.tasks.cases import candidates

    files = candidates(FLAGS.artifact, cli.output() / "artifacts")
    phones = _phones()
    if not phones:
        benchmark_flags.check_without_phones()
    failed = 0
    if {"host", "all"} & set(FLAGS.device):
        failed += _on_host(files)
    if len(phones) > 1 and not (FLAGS.plan or FLAGS.dry_run):
        failed += _on_several(phones)
    else:
        failed += sum(_on_phone(files, phone) for phone in phones)
    if failed:
        cli.say(f"{failed} case(s) failed; see the reasons in results.jsonl")
    return 1 if failed else 0


def _phones() -> list[Attached]:
    """Returns the phones of --device; does not need adb if there are none."""
    requested = [name for name in FLAGS.device if name != "host"]
    if not requested:
        return []
    from android_bench.adb.client import Adb
    from android_bench.session.session import attached_phones

    all_phones = "all" in requested
    try:
        return attached_phones(Adb(FLAGS.adb), "all" if all_phones else ",".join(requested))
    except ZooError as error:
        if not all_phones:
            raise
        cli.say(f"phones: {error.what}; measuring on this computer only")
        return []


def _on_host(files: list[RequestedFile]) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from android_bench.host import bench

    provenance = Provenance.here()
    delegates, threads = benchmark_flags.host_delegates(), benchmark_flags.threads()
    configurations = [
        (name, delegate, count)
        for name in FLAGS.runtime
        for delegate in runtime.delegates(name, delegates, FLAGS.soc)
        for count in (threads if name in runtime.INTERPRETERS else threads[:1])
    ]
    cases = [f.case(r, d, t) for f in files for r, d, t in configurations]
    timing = bench.HostTiming(FLAGS.num_runs, FLAGS.min_secs, 0.2)
    metering = benchmark_flags.metering()
    settings = asdict(timing) | ({"metering": asdict(metering)} if metering else {})
    tasks = _tasks(cases, host.device().name, settings) if FLAGS.latency else []
    recorder = _recorder()
    if FLAGS.plan or FLAGS.dry_run:
        process_s = 1.5 + timing.warmup_secs + timing.min_secs
        metered_s = metering.load_s + 2 * metering.idle_s if metering else 0.0
        where = f"on {host.device().name}"
        _plan(where, tasks, lambda task: process_s + metered_s * (task.number == 1))
        return 0
    rows = bench.measure(_pending(tasks), timing, provenance, cli.say, metering=metering)
    failed = recorder.processes(tasks, rows)
    if not FLAGS.accuracy:
        return failed
    unscored = recorder.unscored((f.sha256, r) for f in files for r in FLAGS.runtime)
    to_score = [
        (f.case(r, runtime.delegates(r, delegates, FLAGS.soc)[0], 1), f.artifact)
        for f in files
        for r in FLAGS.runtime
        if f.artifact and (f.sha256, r) in unscored
    ]
    # Scoring is not timed, so it may use all cores; nothing else runs during the timing above.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        scores = pool.map(lambda pair: bench.score(pair[0], pair[1], provenance), to_score)
        failed_scores = sum(map(recorder.score, scores))
    if failed_scores:
        cli.say("to time artifacts without scoring them, pass --noaccuracy")
    return failed + failed_scores


def _on_phone(files: list[RequestedFile], phone: Attached) -> int:
    from android_bench.adb.client import Adb
    from android_bench.outputs.reference import References
    from android_bench.session import session
    from android_bench.tools import binary

    delegates, threads = benchmark_flags.phone_delegates(), benchmark_flags.threads()
    configurations = [(d, t, c) for d in delegates for t in threads for c in FLAGS.cores]
    cases = [f.case("benchmark_model", d, t, c) for f in files for d, t, c in configurations]
    custom = Path(FLAGS.benchmark_binary) if FLAGS.benchmark_binary else None
    options = benchmark_flags.run_options()
    settings = {**asdict(options), "tool": FLAGS.benchmark_binary or FLAGS.tool}
    identity = _identity(phone)
    tasks = _tasks(cases, identity, settings)
    if FLAGS.plan or FLAGS.dry_run:
        _plan(f"on phone {phone.serial}", tasks, options.expected_s, options)
        return 0
    recorder = _recorder()
    with ExitStack() as stack:
        compared, references = [], None
        if FLAGS.verify_outputs:
            compared = recorder.uncompared(cases, identity)
            references = stack.enter_context(References(benchmark_flags.output_images()))
        rows = session.measure_on_phone(
            Adb(FLAGS.adb),
            phone.serial,
            _pending(tasks),
            lambda abi: binary.benchmark_binary(custom, abi, cli.cache(), tool=FLAGS.tool),
            Provenance.here(),
            options,
            cli.say,
            compared=compared,
            references=references,
        )
        return recorder.processes(tasks, stack.enter_context(closing(rows)))


def _identity(phone: Attached) -> str:
    """Returns the id of a phone, computed from its name in adb if it does not respond."""
    from android_bench.adb.client import Adb
    from android_bench.phone.phone import Phone
    from zoo.schema.device import device_id

    try:
        return Phone(Adb(FLAGS.adb), phone.serial).identify()
    except ZooError:
        return device_id(phone.serial)


def _on_several(phones: list[Attached]) -> int:
    """Runs one process per phone, so that Ctrl-C reaches each; returns how many failed."""
    command = [sys.executable, "-m", "scripts.benchmark", *sys.argv[1:]]
    children = [subprocess.Popen([*command, f"--device={phone.serial}"]) for phone in phones]
    try:
        return sum(child.wait() != 0 for child in children)
    finally:
        for child in children:
            child.wait()  # after Ctrl-C, children clean up their phones


def _tasks(cases: list[Case], device_id: str, settings: dict[str, object]) -> list[Task]:
    from android_bench.tasks.schedule import schedule

    # Timeouts do not change the results, so they are not part of a task's identity.
    timeouts = ("tolerance_s", "recovery_s", "cool_down_s")
    relevant = {k: v for k, v in settings.items() if k not in timeouts}
    relevant["session"] = FLAGS.session
    processes = 1 if relevant.get("sustaining") or relevant.get("profiling") else FLAGS.processes
    return schedule(cases, processes, device_id, relevant, FLAGS.seed)


def _recorder() -> Recorder:
    from android_bench.tasks.recorder import Recorder

    return Recorder(cli.output() / "results.jsonl", cli.say)


def _pending(tasks: list[Task]) -> list[Task]:
    todo = _recorder().pending(tasks)
    if len(todo) < len(tasks):
        cli.say(
            f"{len(tasks) - len(todo)} of {len(tasks)} processes are already measured; "
            "--session=NAME measures them again"
        )
    return todo


def _plan(
    where: str,
    tasks: list[Task],
    expected_s: Callable[[Task], float],
    options: RunOptions | None = None,
) -> None:
    """Prints the cases and their minimum duration, and with --dry_run the phone's commands."""
    from android_bench.session.options import tool_command
    from android_bench.tasks.recorder import how
    from android_bench.tools.tool import TOOLS

    todo = _recorder().pending(tasks)
    seconds = sum(map(expected_s, todo))
    cli.say(
        f"{len({task.key for task in tasks})} cases {where}, {len(tasks)} processes, "
        f"{len(todo)} of them to run: at least {seconds / 60:.1f} minutes"
    )
    for task in sorted(tasks, key=lambda task: (task.case.model, task.key, task.number)):
        case = task.case
        if options and FLAGS.dry_run:
            metered = options.metering is not None and task.number == 1
            cores = f"taskset ({case.configuration.cores}) " if case.configuration.cores else ""
            tool = TOOLS[FLAGS.tool]
            command = tool_command(options, case, "benchmark_model", case.path.name, metered, tool)
            cli.say(f"  {cores}{command}")
        elif task.number == 1:
            cli.say(f"  {case.model} {case.precision}: {how(case.configuration)}")


if __name__ == "__main__":
    cli.run(main)
