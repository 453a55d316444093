"""Measures many cases on virtual phones while everything goes wrong, and checks what came of it.

    python -m tests.soak --cases=200 --seed=1                   as it is, about half an hour
    python -m tests.soak --cases=200 --seed=1 --scale=0.1       absences a tenth as long

Runs the real `scripts.benchmark` over the real adb client, a command a phone at a time, again
after each end until nothing is left to do. Inferences only sleep, so that this computer's cores
are not what is measured. The exit code is 1 where a check failed.
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
_MOST_LOAD = 0.5  # a core, before the start, above which times tell of other programs


class Soak:
    """Phones, models, and the commands that measure them."""

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
        """Measures so many models on a phone; `more` flags of the command."""
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
        """Runs commands to their ends at the same time; seconds that took."""
        started = time.monotonic()
        threads = [threading.Thread(target=command.run_to_the_end) for command in commands]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - started


def overheads(command: Command, faults: Sequence[Injected]) -> list[float]:
    """Seconds of each undisturbed case besides those of the tool."""
    found = []
    for began, ended in command.cases:
        if any(fault.began_s < ended and began < fault.over_s + 1 for fault in faults):
            continue
        runs = [run for run in command.phone.benchmarks() if began < run["ended_s"] < ended]
        if len(runs) == 1:
            found.append(ended - began - float(str(runs[0]["seconds"])))
    return found


def calm(soak: Soak) -> list[str]:
    """What the harness costs when nothing goes wrong, one phone and all; problems."""
    load = os.getloadavg()[0]
    one = soak.command(soak.phones[0], _CALM_MODELS, "one")
    alone_s = soak.together([one])
    every = [soak.command(phone, _CALM_MODELS, "every") for phone in soak.phones]
    every_s = soak.together(every)
    ratio = every_s / alone_s
    cost = overheads(one, [])
    cost_of_every = [s for command in every for s in overheads(command, [])]
    cases = _CALM_MODELS * _PER_MODEL
    print(f"undisturbed, {cases} cases a phone")
    print(f"  one phone                         {alone_s:.1f} s")
    print(f"  {len(every)} phones at once                  {every_s:.1f} s, {ratio:.2f} times")
    _say_cost("  overhead a case, one phone", cost)
    _say_cost("  overhead a case, all at once", cost_of_every)
    computed_s = sum(command.processor_s for command in every) / (cases * len(every))
    print(f"  processor time a case             {computed_s:.2f} s, starting the command included")
    problems = []
    if load > _MOST_LOAD * (os.cpu_count() or 1):
        print(f"  this computer was busy (load {load:.1f}): these times are not judged")
    else:
        if ratio > _RATIO:
            problems.append(f"{len(every)} phones take {ratio:.2f} times as long as one")
        if statistics.median([*cost, *cost_of_every]) > _OVERHEAD_S:
            problems.append("a case costs too much besides the tool's own time")
    for command in [one, *every]:
        if command.codes != [0]:
            problems += [f"an undisturbed command failed: {command.codes}", *command.output[-5:]]
    return problems


def disturbed(soak: Soak, draw: random.Random) -> list[str]:
    """All cases with faults; problems."""
    arguments = soak.arguments
    models = -(-arguments.cases // (_PER_MODEL * len(soak.phones)))
    cases = models * _PER_MODEL
    commands = [soak.command(phone, models, "faults", "--num_runs=30") for phone in soak.phones]
    injectors = []
    before = [len(phone.benchmarks()) for phone in soak.phones]
    for number, command in enumerate(commands):
        planned = plan(draw, round(cases * 1.5), arguments.faults)
        if number == len(commands) - 1:  # the last one leaves for good, towards its end
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
        problems += [f"phone {number}: in no line, without a fault: {each}" for each in lost]
        if not gone:
            left = checks.left_behind(soak.adb, phone)
            problems += [f"phone {number}: left behind: {what}" for what in left]
        costs += overheads(command, [*done, *everywhere])
        print(
            f"phone {number}: {len(own)} lines, {len(journal)} runs of the tool, "
            f"{unheard} unheard, "
            f"{len(command.codes)} commands, {command.seconds:.0f} s"
        )
    print(f"disturbed, {cases * len(commands)} cases, scale {arguments.scale:g}: {wall_s:.0f} s")
    kinds = Counter(fault.kind for done in faults for fault in done)
    print(f"faults: {sum(kinds.values())}")
    for kind, many in sorted(kinds.items()):
        print(f"  {many:4d}  {kind}")
    print(f"lines: {sum(row.valid for row in rows)} good, {sum(not row.valid for row in rows)} not")
    for reason, many in checks.reasons(rows).most_common():
        print(f"  {many:4d}  {reason}")
    _say_cost("overhead a case without a fault", costs)
    return problems


def _say_cost(what: str, seconds: Sequence[float]) -> None:
    middle, worst = statistics.median(seconds), max(seconds)
    print(f"{what:36s}{middle:.2f} s, worst {worst:.2f} s of {len(seconds)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--phones", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="of the faults' lengths")
    parser.add_argument("--faults", type=float, default=0.3, help="share of runs with one")
    parser.add_argument("--keep", type=Path, help="a folder for what was printed and measured")
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
        print(f"WRONG {problem}")
    print("all checks passed" if not problems else f"{len(problems)} checks failed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
