"""Measures many cases on virtual phones while faults are injected, and checks the result lines.

    python -m tests.soak --cases=200 --seed=1                   takes about half an hour
    python -m tests.soak --cases=200 --seed=1 --scale=0.1       faults last a tenth as long

Runs the real `scripts.benchmark` with the real adb client, one command per phone, and repeats each
command until all cases are measured. Inferences only sleep, so results do not depend on this
computer's cores. The exit code is 1 if a check failed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from android_bench.adb.client import Adb
from android_bench.phone.phone import lock_path
from tests.soak import checks
from tests.soak.commands import Command
from tests.soak.faults import GONE, Injected, Injector, plan
from tests.support.tiny_tflite import tiny_model
from tests.virtual_phone import AdbServer, PhoneProfile, VirtualPhone, stand_in_binary

_PER_MODEL = 6  # three delegates, one and two threads
_SLOW_MS = 20.0
_CALM_MODELS = 3
_OVERHEAD_S = 2.0
_RATIO = 1.2
_MOST_LOAD = 0.5  # load per core before the start; above it, times depend on other programs


class Soak:
    """Phones, models, and the commands that measure them.

    Args:
        folder: Folder for models and results.
        stack: Closes the phones and the adb server.
        arguments: Arguments of the command line.
    """

    def __init__(self, folder: Path, stack: ExitStack, arguments: argparse.Namespace):
        self.folder, self.arguments = folder, arguments
        self.results = folder / "output" / "results.jsonl"
        self.binary = stand_in_binary(folder)
        self.server = stack.enter_context(AdbServer())
        self.adb = Adb(self.server.adb, env={**os.environ, **self.server.env})
        profile = PhoneProfile(slow_ms=_SLOW_MS, litert=False)
        self.phones = [stack.enter_context(VirtualPhone(profile)) for _ in range(arguments.phones)]
        for phone in self.phones:
            stack.callback(lock_path(phone.serial).unlink, missing_ok=True)

    def command(self, phone: VirtualPhone, models: int, session: str, *more: str) -> Command:
        """Returns a command that measures models on a phone.

        Args:
            phone: The phone.
            models: Number of models, each with `_PER_MODEL` cases.
            session: Name of the session.
            more: Additional flags.
        """
        paths = []
        for number in range(models):
            path = self.folder / f"tiny {number}.tflite"
            if not path.exists():
                tiny_model(path, image_size=8 + number)
            paths.append(str(path))
        flags = [
            f"--artifact={','.join(paths)}", f"--output={self.folder / 'output'}",
            f"--benchmark_binary={self.binary}", "--threads=1,2", "--processes=1",
            f"--session={session}", *more,
            f"--recovery_secs={max(2.0, 60 * self.arguments.scale):g}",
        ]  # fmt: skip
        return Command(self.server, phone, flags)

    def together(self, commands: Sequence[Command]) -> float:
        """Runs commands in parallel until all are done; returns the duration in seconds."""
        started = time.monotonic()
        threads = [threading.Thread(target=command.run_to_the_end) for command in commands]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - started


def overheads(command: Command, faults: Sequence[Injected]) -> list[float]:
    """Returns the seconds that each undisturbed case takes in addition to the tool.

    Args:
        command: The command.
        faults: Faults that disturbed its phone.
    """
    result = []
    for began, ended in command.cases:
        if any(fault.began_s < ended and began < fault.over_s + 1 for fault in faults):
            continue
        runs = [run for run in command.phone.benchmarks() if began < run["ended_s"] < ended]
        if len(runs) == 1:
            result.append(ended - began - float(str(runs[0]["seconds"])))
    return result


def calm(soak: Soak) -> list[str]:
    """Prints the overhead without faults, for one phone and for all; returns the problems."""
    load = os.getloadavg()[0]
    one = soak.command(soak.phones[0], _CALM_MODELS, "one")
    alone_s = soak.together([one])
    every = [soak.command(phone, _CALM_MODELS, "every") for phone in soak.phones]
    every_s = soak.together(every)
    ratio = every_s / alone_s
    cost = overheads(one, [])
    cost_of_every = [s for command in every for s in overheads(command, [])]
    cases = _CALM_MODELS * _PER_MODEL
    print(f"undisturbed, {cases} cases per phone")
    print(f"  one phone                         {alone_s:.1f} s")
    print(f"  {len(every)} phones in parallel              {every_s:.1f} s, {ratio:.2f} times")
    _print_cost("  overhead per case, one phone", cost)
    _print_cost("  overhead per case, all phones", cost_of_every)
    computed_s = sum(command.processor_s for command in every) / (cases * len(every))
    print(f"  CPU time per case                 {computed_s:.2f} s, including the start")
    problems = []
    if load > _MOST_LOAD * (os.cpu_count() or 1):
        print(f"  this computer was busy (load {load:.1f}), so these times are not checked")
    else:
        if ratio > _RATIO:
            problems.append(f"{len(every)} phones take {ratio:.2f} times as long as one")
        if statistics.median([*cost, *cost_of_every]) > _OVERHEAD_S:
            problems.append("the overhead per case is too large")
    for command in [one, *every]:
        if command.codes != [0]:
            problems += [f"an undisturbed command failed: {command.codes}", *command.output[-5:]]
    return problems


def disturbed(soak: Soak, draw: random.Random) -> list[str]:
    """Measures all cases with injected faults, prints statistics and returns the problems."""
    arguments = soak.arguments
    models = -(-arguments.cases // (_PER_MODEL * len(soak.phones)))
    cases = models * _PER_MODEL
    commands = [soak.command(phone, models, "faults", "--num_runs=30") for phone in soak.phones]
    injectors = []
    before = [len(phone.benchmarks()) for phone in soak.phones]
    for number, command in enumerate(commands):
        planned = plan(draw, round(cases * 1.5), arguments.faults)
        if number == len(commands) - 1:  # the last phone is disconnected for good near the end
            planned = [*planned[: round(cases * 0.8)], GONE]
        seeded = random.Random(draw.random())
        injectors.append(
            Injector(
                command.phone,
                soak.server,
                planned,
                arguments.scale,
                command.kill,
                command.leave,
                seeded,
            )
        )
    wall_s = soak.together(commands)
    faults = [injector.done for injector in injectors]
    everywhere = [f for done in faults for f in done if f.kind == "adb server killed"]
    problems, rows, costs = [], [], []
    for number, (command, done) in enumerate(zip(commands, faults, strict=True)):
        phone, gone = command.phone, command.gone
        journal = phone.benchmarks()[before[number] :]
        own = [
            row for row in checks.rows_of(soak.results, phone) if "--session=faults" in row.command
        ]
        rows += own
        problems += [f"phone {number}: {p}" for p in checks.wrong_rows(own, journal, cases, gone)]
        unheard, lost = checks.unheard(own, journal, [*done, *everywhere])
        problems += [f"phone {number}: run without a line or a fault: {each}" for each in lost]
        if not gone:
            left = checks.left_behind(soak.adb, phone)
            problems += [f"phone {number}: left behind: {what}" for what in left]
        costs += overheads(command, [*done, *everywhere])
        print(
            f"phone {number}: {len(own)} lines, {len(journal)} runs of the tool, "
            f"{unheard} of them without a line, "
            f"{len(command.codes)} commands, {command.seconds:.0f} s"
        )
    print(f"disturbed, {cases * len(commands)} cases, scale {arguments.scale:g}: {wall_s:.0f} s")
    kinds = Counter(fault.kind for done in faults for fault in done)
    print(f"faults: {sum(kinds.values())}")
    for kind, many in sorted(kinds.items()):
        print(f"  {many:4d}  {kind}")
    valid = sum(row.valid for row in rows)
    print(f"lines: {valid} valid, {len(rows) - valid} not")
    for reason, many in checks.reasons(rows).most_common():
        print(f"  {many:4d}  {reason}")
    _print_cost("overhead per case without a fault", costs)
    return problems


def _print_cost(what: str, seconds: Sequence[float]) -> None:
    median, worst = statistics.median(seconds), max(seconds)
    print(f"{what:36s}median {median:.2f} s, worst {worst:.2f} s of {len(seconds)}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--cases",
        type=int,
        default=200,
        help=f"number of cases on all phones, rounded up to a multiple of {_PER_MODEL} per phone "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--phones", type=int, default=4, help="number of virtual phones (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the faults (default: %(default)s)"
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="factor for the durations of faults (default: %(default)s)",
    )
    parser.add_argument(
        "--faults",
        type=float,
        default=0.3,
        help="share of runs of the tool with a fault (default: %(default)s)",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        help="new folder in which models and results are kept (default: a temporary folder)",
    )
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak_")))
        if arguments.keep:
            folder = arguments.keep
            folder.mkdir(parents=True)
        soak = Soak(folder, stack, arguments)
        problems = calm(soak)
        problems += disturbed(soak, random.Random(arguments.seed))
    for problem in problems:
        print(f"error: {problem}")
    print("all checks passed" if not problems else f"{len(problems)} checks failed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
