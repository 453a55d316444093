"""Judges the tests: injects a fault into one line of a module and checks whether a test fails.

    python -m tests.mutation --seed=1 --count=30 --list           prints the faults only
    python -m tests.mutation --seed=1 --count=30 --results=FILE   tries each fault; resumes
    python -m tests.mutation --seed=1 --only=3,7 --stage=1        two faults, likely tests only

Runs in a copy of the work tree. Tests named after the module run first, then tests that name it,
then tests that name modules that import it, and then all others. Tests that also fail without the
fault are excluded. A fault that survives is either not tested or makes no difference: read it and
decide.
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


def _print_table(results: Sequence[Result]) -> None:
    print()
    for result in results:
        where = f"{result.path}:{result.line}"
        print(
            f"{result.number:4d}  {where:48s}{result.kind:12s}{result.outcome:10s}"
            f"{result.seconds:7.1f} s  {result.test or ''}"
        )
    count = sum(result.outcome == "found" for result in results)
    print(f"found {count} of {len(results)}")
    for result in results:
        if result.outcome != "found":
            outcome = (
                "survived" if result.outcome == "survived" else "not found by the likely tests"
            )
            print(f"\n{result.number}  {result.path}:{result.line}  {result.kind}: {outcome}")
            print(f"  - {result.before.strip()}\n  + {result.after.strip()}")


def _print_faults(faults: Sequence[Fault]) -> None:
    for fault in faults:
        print(f"{fault.number}  {fault.where}  {fault.place.kind}")
        print(f"  - {fault.before.strip()}\n  + {fault.after.strip()}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed that selects the faults (default: %(default)s)"
    )
    parser.add_argument(
        "--count",
        type=int,
        default=30,
        help=f"number of faults, at least {len(PACKAGES)} (default: %(default)s)",
    )
    parser.add_argument("--list", action="store_true", help="print the faults and run no tests")
    parser.add_argument(
        "--only", default="", help="comma-separated numbers of the faults to try (default: all)"
    )
    parser.add_argument(
        "--stage",
        type=int,
        choices=(1, 2),
        default=2,
        help="1: run only tests that name the module or modules that import it; 2: then run all "
        "other tests (default: %(default)s)",
    )
    parser.add_argument(
        "--selection",
        default="",
        help='marker expression of the tests to run, for example "not slow" (default: all tests)',
    )
    parser.add_argument(
        "--pytest", default="", help='additional arguments for pytest, for example "-n2"'
    )
    parser.add_argument(
        "--results",
        type=Path,
        help="JSON Lines file to append results to; faults with a result in it are skipped",
    )
    arguments = parser.parse_args()
    if arguments.count < len(PACKAGES):
        parser.error(f"--count: at least {len(PACKAGES)}, one per package")
    try:
        arguments.only = {int(number) for number in arguments.only.split(",") if number}
    except ValueError:
        parser.error("--only: numbers separated by commas")
    return arguments


def _drawn(sources: dict[str, bytes], arguments: argparse.Namespace) -> list[Fault]:
    faults = draw(sources, arguments.seed, arguments.count)
    return [fault for fault in faults if not arguments.only or fault.number in arguments.only]


def main() -> None:
    arguments = _arguments()
    if arguments.list:
        _print_faults(_drawn(modules(ROOT, PACKAGES), arguments))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # runs the cleanup
    # A fault that survived only the likely tests is tried again if all tests are to be run.
    final = ("found", "survived") if arguments.stage > 1 else ("found", "survived", "unlikely")
    known = [result for result in _known(arguments.results) if result.outcome in final]
    with Tree(ROOT) as tree:
        options = Options(
            arguments.stage, arguments.selection, tuple(shlex.split(arguments.pytest))
        )
        sources = tree.modules(PACKAGES)
        judge = Judge(tree, options, sources)
        results, pending = [], []
        for fault in _drawn(sources, arguments):
            done = [result for result in known if result.is_of(fault, arguments.seed)]
            results += done[-1:]
            pending += [] if done else [fault]
        if pending:
            judge.collects(pending)
        for fault in pending:
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
    _print_table(sorted(results, key=lambda result: result.number))


if __name__ == "__main__":
    main()
