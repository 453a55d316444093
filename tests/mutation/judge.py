"""Runs tests on faults, and checks whether a failure is due to the fault."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.mutation.faults import Fault, change
from tests.mutation.likely import is_named_after, waves
from tests.mutation.tree import Ended, Tree
from tests.support.processes import HANG_S

_LIMIT_S = 2 * HANG_S  # a hanging command fails its own test before that
_OWN_TESTS = "tests/mutation"
_PASSED, _NO_TESTS = 0, 5


@dataclass(frozen=True)
class Result:
    """A line of the results.

    Attributes:
        seed: Seed of the faults.
        number: Number of the fault.
        path: Path of the module.
        line: Line of the fault, from 1.
        kind: Kind of the fault.
        before: The line without the fault.
        after: The line with the fault.
        outcome: `found`, `survived`, or `unlikely` if it survived the first stage only.
        test: The test that found it, None for none.
        seconds: Duration of the tests.
    """

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
        """Returns whether this is a result for a fault in the current version of its module."""
        return (self.seed, self.number, self.path, self.line, self.before, self.after) == (
            seed, fault.number, fault.path, fault.place.line, fault.before, fault.after
        )  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Which tests to run.

    Attributes:
        stage: 1 for tests that are likely to find the fault, 2 for all tests after these.
        selection: Marker expression for pytest's -m; empty for all tests.
        pytest: Additional arguments for pytest.
    """

    stage: int = 2
    selection: str = ""
    pytest: tuple[str, ...] = ()


class Judge:
    """Runs the tests in a copy of the work tree with one fault at a time.

    Attributes:
        unfit: Tests that fail without a fault.
    """

    def __init__(self, tree: Tree, options: Options, modules: Mapping[str, bytes]):
        self.tree, self.options = tree, options
        self.modules = {path: text.decode() for path, text in modules.items()}
        self.tests = {
            path: text for path, text in tree.tests().items() if not path.startswith(_OWN_TESTS)
        }
        self.unfit: list[str] = []
        self._fit: set[str] = set()

    def collects(self, faults: Sequence[Fault]) -> None:
        """Checks that pytest can collect the tests, so a later failure to do so is due to a fault.

        Raises:
            SystemExit: if it cannot.
        """
        named = {file for fault in faults for wave in self._waves(fault.path) for file in wave}
        if self.options.stage == 1 and not named:
            return
        files = sorted(named) if self.options.stage == 1 else []
        ended = self._pytest(*files, more=("--collect-only", "-n0"))
        if ended.code not in (_PASSED, _NO_TESTS):
            sys.exit(f"{ended.output}\nerror: pytest cannot collect these tests without a fault")

    def judge(self, fault: Fault, seed: int) -> Result:
        """Runs the tests in the order of `_runs` until one finds the fault."""
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
        """Returns the arguments of the pytest runs, the most likely to find the fault first."""
        nearest, *further = self._waves(path)
        first = [file for file in nearest if is_named_after(file, path)]
        others = [file for file in nearest if file not in first]
        groups = [group for group in (first, others, *further) if group]
        # Tests of one file run in one process, so more processes would only repeat imports.
        runs = [["-n0", *group] if len(group) == 1 else group for group in groups]
        if self.options.stage > 1:
            runs.append([f"--ignore={file}" for group in groups for file in group])
        return runs

    def _waves(self, path: str) -> list[list[str]]:
        return waves(path, self.tests, self.modules)

    def _found_by(self, fault: Fault, words: Sequence[str]) -> str | None:
        """Returns the test that fails only with the fault, or another problem; None for none."""
        content = change((self.tree.folder / fault.path).read_bytes(), fault.place)
        while True:
            excluded = [f"--deselect={test}" for test in self.unfit]
            with self.tree.changed(fault.path, content):
                ended = self._pytest(*words, *excluded)
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
                raise RuntimeError(f"pytest does not deselect {test}")
            print(f"  excluded because it fails without a fault: {test}", flush=True)
            self.unfit.append(test)

    def _passes_without(self, test: str) -> bool:
        if test not in self._fit:
            # Other codes: pytest does not know the name, although it has collected the test.
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
