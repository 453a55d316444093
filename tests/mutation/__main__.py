"""Judges the tests: puts a fault into one line of a module, and sees whether a test fails.

    python -m tests.mutation --seed=1 --count=30 --list           the faults only
    python -m tests.mutation --seed=1 --count=30 --results=FILE   tries each; goes on where it was
    python -m tests.mutation --seed=1 --only=3,7 --stage=1        two of them, by the likely tests

Works in a copy of the work tree. The tests named after the module are run first, then those that
name it, then those that name what imports it, and all others if these pass. A test that fails
without the fault as well says nothing of it and is left out. What survives is either not tested or
makes no difference: read it and decide.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.mutation.faults import Fault, draw
from tests.mutation.judge import Judge, Options, Result
from tests.mutation.tree import Tree, modules
from tests.support.processes import ROOT

PACKAGES = ("zoo", "converters", "android_bench", "scripts")


def _known(results: Path | None) -> list[Result]:
    if results is None or not results.exists():
        return []
    return [Result(**json.loads(line)) for line in results.read_text().splitlines()]


def _say_table(results: Sequence[Result]) -> None:
    print()
    for result in results:
        where = f"{result.path}:{result.line}"
        print(
            f"{result.number:4d}  {where:48s}{result.kind:12s}{result.outcome:10s}"
            f"{result.seconds:7.1f} s  {result.test or ''}"
        )
    found = sum(result.outcome == "found" for result in results)
    print(f"found {found} of {len(results)}")
    for result in results:
        if result.outcome != "found":
            what = "survived" if result.outcome == "survived" else "not found by the likely tests"
            print(f"\n{result.number}  {result.path}:{result.line}  {result.kind}: {what}")
            print(f"  - {result.before.strip()}\n  + {result.after.strip()}")


def _say_faults(faults: Sequence[Fault]) -> None:
    for fault in faults:
        print(f"{fault.number}  {fault.where}  {fault.place.kind}")
        print(f"  - {fault.before.strip()}\n  + {fault.after.strip()}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=30, help="of the faults")
    parser.add_argument("--list", action="store_true", help="prints the faults, runs nothing")
    parser.add_argument("--only", default="", help="numbers of faults, by commas")
    parser.add_argument("--stage", type=int, choices=(1, 2), default=2,
                        help="1: only tests that name the module or its users")  # fmt: skip
    parser.add_argument("--selection", default="", help='of the tests, as "not slow"')
    parser.add_argument("--pytest", default="", help='further arguments, as "-n2"')
    parser.add_argument("--results", type=Path, help="a file of JSON lines; what it has is skipped")
    arguments = parser.parse_args()
    if arguments.count < len(PACKAGES):
        parser.error(f"--count: at least {len(PACKAGES)}, one a package")
    try:
        arguments.only = {int(number) for number in arguments.only.split(",") if number}
    except ValueError:
        parser.error("--only: numbers by commas")
    return arguments


def _drawn(found: dict[str, bytes], arguments: argparse.Namespace) -> list[Fault]:
    faults = draw(found, arguments.seed, arguments.count)
    return [fault for fault in faults if not arguments.only or fault.number in arguments.only]


def main() -> None:
    arguments = _arguments()
    if arguments.list:
        _say_faults(_drawn(modules(ROOT, PACKAGES), arguments))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    # A fault that only the likely tests have seen is not done where all are to be run.
    enough = ("found", "survived") if arguments.stage > 1 else ("found", "survived", "unlikely")
    known = [result for result in _known(arguments.results) if result.outcome in enough]
    with Tree(ROOT) as tree:
        options = Options(
            arguments.stage, arguments.selection, tuple(shlex.split(arguments.pytest))
        )
        found = tree.modules(PACKAGES)
        judge = Judge(tree, options, found)
        results, left = [], []
        for fault in _drawn(found, arguments):
            done = [result for result in known if result.is_of(fault, arguments.seed)]
            results += done[-1:]
            left += [] if done else [fault]
        if left:
            judge.collects(left)
        for fault in left:
            result = judge.judge(fault, arguments.seed)
            results.append(result)
            print(
                f"{fault.number}  {fault.where}  {result.outcome} {result.test or ''}"
                f" ({result.seconds:.0f} s)",
                flush=True,
            )
            if arguments.results:
                arguments.results.parent.mkdir(parents=True, exist_ok=True)
                with arguments.results.open("a") as lines:
                    lines.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
    _say_table(sorted(results, key=lambda result: result.number))


if __name__ == "__main__":
    main()
