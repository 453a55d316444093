"""Which test finds a fault, and whether that is the fault's doing."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.mutation.faults import Fault, change
from tests.mutation.likely import is_named_after, waves
from tests.mutation.tree import Ended, Tree
from tests.support.processes import HANG_S

_LIMIT_S = 2 * HANG_S  # a command that hangs fails its test first
_OWN_TESTS = "tests/mutation"
_PASSED, _NO_TESTS = 0, 5


@dataclass(frozen=True)
class Result:
    """A line of the results: `outcome` is found, survived, or unlikely after the first stage."""

    seed: int
    number: int
    path: str
    line: int
    kind: str
    before: str
    after: str
    outcome: str
    test: str | None
    seconds: float

    def is_of(self, fault: Fault, seed: int) -> bool:
        """Whether it is of this fault, and of the module as it is now."""
        return (self.seed, self.number, self.path, self.line, self.before, self.after) == (
            seed, fault.number, fault.path, fault.place.line, fault.before, fault.after
        )  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What is run: up to which stage, which tests (as pytest's -m), with which other arguments."""

    stage: int = 2
    selection: str = ""
    pytest: tuple[str, ...] = ()


class Judge:
    """Runs the tests of a copy with one fault after the other."""

    def __init__(self, tree: Tree, options: Options, modules: Mapping[str, bytes]):
        self.tree, self.options = tree, options
        self.modules = {path: text.decode() for path, text in modules.items()}
        self.tests = {
            path: text for path, text in tree.tests().items() if not path.startswith(_OWN_TESTS)
        }
        self.unfit: list[str] = []  # tests that fail without a fault
        self._fit: set[str] = set()

    def collects(self, faults: Sequence[Fault]) -> None:
        """Makes sure that pytest finds the tests, so that what it can't later is a fault's doing.

        Raises:
            SystemExit: it does not.
        """
        named = {file for fault in faults for wave in self._waves(fault.path) for file in wave}
        if self.options.stage == 1 and not named:
            return
        files = sorted(named) if self.options.stage == 1 else []
        ended = self._pytest(*files, more=("--collect-only", "-n0"))
        if ended.code not in (_PASSED, _NO_TESTS):
            sys.exit(f"{ended.output}\nerror: these tests can't be collected without a fault")

    def judge(self, fault: Fault, seed: int) -> Result:
        """Runs the tests named after the module, those near it, and all others."""
        started = time.monotonic()
        found = None
        for words in self._runs(fault.path):
            found = found or self._found_by(fault, words)
        outcome = "found" if found else "survived" if self.options.stage > 1 else "unlikely"
        place, seconds = fault.place, round(time.monotonic() - started, 1)
        return Result(
            seed, fault.number, fault.path, place.line, place.kind,
            fault.before, fault.after, outcome, found, seconds,
        )  # fmt: skip

    def _runs(self, path: str) -> list[list[str]]:
        """What pytest is told, one run after the other, to find a fault in a module soon."""
        nearest, *further = self._waves(path)
        first = [file for file in nearest if is_named_after(file, path)]
        others = [file for file in nearest if file not in first]
        groups = [group for group in (first, others, *further) if group]
        # A file's tests stay in one process; others would only import the same for nothing.
        runs = [["-n0", *group] if len(group) == 1 else group for group in groups]
        if self.options.stage > 1:
            runs.append([f"--ignore={file}" for group in groups for file in group])
        return runs

    def _waves(self, path: str) -> list[list[str]]:
        return waves(path, self.tests, self.modules)

    def _found_by(self, fault: Fault, words: Sequence[str]) -> str | None:
        """The test that fails with a fault and passes without it, or what else went wrong."""
        content = change((self.tree.folder / fault.path).read_bytes(), fault.place)
        while True:
            left_out = [f"--deselect={test}" for test in self.unfit]
            with self.tree.changed(fault.path, content):
                ended = self._pytest(*words, *left_out)
            if ended.code is None:
                return "hung"
            if ended.code in (_PASSED, _NO_TESTS):
                return None
            test = ended.failed
            if test is None:
                return f"pytest's exit code {ended.code}"
            if "::" not in test or self._passes_without(test):
                return test
            if test in self.unfit:
                raise RuntimeError(f"pytest does not leave out {test}")
            print(f"  left out, fails without a fault: {test}", flush=True)
            self.unfit.append(test)

    def _passes_without(self, test: str) -> bool:
        if test not in self._fit:
            # Another code than 1: pytest does not take the name, and it was collected before.
            if self._pytest(test, more=("-n0",)).code in (None, 1):
                return False
            self._fit.add(test)
        return True

    def _pytest(self, *words: str, more: Sequence[str] = ()) -> Ended:
        return self.tree.pytest(
            [
                "-x", "-rfE", "-m", self.options.selection, f"--ignore={_OWN_TESTS}",
                *words, *self.options.pytest, *more,
            ],
            _LIMIT_S,
        )  # fmt: skip
