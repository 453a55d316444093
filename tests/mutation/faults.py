"""One-line faults in a Python module: the possible ones, and a random selection.

A fault replaces a part of one line, which is found with the syntax tree, and leaves all other bytes
of the file unchanged. Code that no test is expected to check has no faults: documentation, types,
messages, definitions of flags, and code that runs only when a program starts.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
}
_EXTREMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}
# Other operators on these types always raise, which any test of the line detects.
_NO_NUMBERS = (ast.List, ast.Tuple, ast.Dict, ast.Set, ast.JoinedStr)


@dataclass(frozen=True)
class Place:
    """A part of a line, and its replacement."""

    kind: str
    line: int  # from 1
    start: int  # bytes within the line
    end: int
    text: str


@dataclass(frozen=True)
class Fault:
    """A place in a module, with a number from 1 and the line before and after."""

    number: int
    path: str
    place: Place
    before: str
    after: str

    @property
    def where(self) -> str:
        """Path and line number, as `PATH:LINE`."""
        return f"{self.path}:{self.place.line}"


def places(source: bytes) -> list[Place]:
    """Returns all possible places of faults in a module, in the order of the source."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    return sorted(finder.found, key=attrgetter("line", "start", "kind"))


def change(source: bytes, place: Place) -> bytes:
    """Returns the source with the fault."""
    lines = source.splitlines(keepends=True)
    line = lines[place.line - 1]
    lines[place.line - 1] = line[: place.start] + place.text.encode() + line[place.end :]
    return b"".join(lines)


def shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Divides `count` among packages, in proportion to their sizes but at least one each.

    Raises:
        ValueError: if there are more packages than `count`.
    """
    if count < len(sizes):
        raise ValueError(f"{count} are too few for {len(sizes)} packages")
    total = sum(sizes.values())
    exact = {name: count * size / total for name, size in sizes.items()}
    given = {name: max(1, int(share)) for name, share in exact.items()}
    while sum(given.values()) < count:
        given[max(exact, key=lambda name: exact[name] - given[name])] += 1
    while sum(given.values()) > count:
        several = [name for name in given if given[name] > 1]
        given[min(several, key=lambda name: exact[name] - given[name])] -= 1
    return given


def draw(modules: Mapping[str, bytes], seed: int, count: int) -> list[Fault]:
    """Draws a fault in each of `count` modules, the same for the same modules and seed.

    An edit of a module does not change the faults of others. The kind is drawn before the place,
    since most places are numbers and comparisons. Modules without possible faults are skipped.

    Args:
        modules: Source by path, `PACKAGE/…`.
        seed: Seed of the draw.
        count: Number of faults; the result has fewer if a package has too few modules.
    """
    packages: dict[str, list[str]] = {}
    for path in sorted(modules):
        packages.setdefault(path.partition("/")[0], []).append(path)
    given = shares({name: len(paths) for name, paths in packages.items()}, count)
    drawn: list[tuple[str, Place]] = []
    for name, paths in packages.items():
        random.Random(f"{seed} {name}").shuffle(paths)
        found = (
            (path, place)
            for path in paths
            if (place := _draw_place(modules[path], seed, path)) is not None
        )
        drawn += islice(found, given[name])
    # So an interrupted run has judged some faults of each package.
    random.Random(seed).shuffle(drawn)
    return [
        _fault(number, path, modules[path], place) for number, (path, place) in enumerate(drawn, 1)
    ]


def _draw_place(source: bytes, seed: int, path: str) -> Place | None:
    kinds: dict[str, list[Place]] = {}
    for place in places(source):
        kinds.setdefault(place.kind, []).append(place)
    if not kinds:
        return None
    generator = random.Random(f"{seed} {path}")
    return generator.choice(kinds[generator.choice(sorted(kinds))])


def _fault(number: int, path: str, source: bytes, place: Place) -> Fault:
    before, after = (
        text.splitlines()[place.line - 1].decode() for text in (source, change(source, place))
    )
    return Fault(number, path, place, before, after)


class _Finder(ast.NodeVisitor):
    """Collects places; nodes that are not visited have none."""

    def __init__(self, source: bytes):
        self.found: list[Place] = []
        self._lines = source.splitlines()

    def _add(self, kind: str, line: int, start: int, end: int, text: str) -> None:
        self.found.append(Place(kind, line, start, end, text))

    def _replace(self, kind: str, node: ast.expr | ast.stmt, text: str) -> None:
        """Adds the replacement of a node if the node is on one line."""
        if node.end_lineno == node.lineno:
            self._add(kind, node.lineno, node.col_offset, node.end_col_offset or 0, text)

    def _between(
        self, kind: str, left: ast.expr, right: ast.expr, operator: str, text: str
    ) -> None:
        """Adds the replacement of the operator between two nodes if all is on one line."""
        if left.end_lineno == right.lineno:
            start = left.end_col_offset or 0
            between = self._lines[right.lineno - 1][start : right.col_offset]
            pattern = re.escape(operator).replace(r"\ ", r"\s+")
            if match := re.search(pattern.encode(), between):
                begin, end = match.span()
                self._add(kind, right.lineno, start + begin, start + end, text)

    def _text(self, node: ast.expr) -> str:
        """Returns the source of a node that is on one line."""
        return self._lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode()

    def _string(self, node: ast.expr | None) -> None:
        """Adds a changed string unless it contains spaces, as messages do."""
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            return
        if " " in node.value or node.end_lineno != node.lineno:
            return
        quote = self._text(node)[-1]
        end = (node.end_col_offset or 0) - (3 if self._text(node).endswith(quote * 3) else 1)
        self._add("string", node.lineno, end, end, "x")

    def _negate(self, test: ast.expr) -> None:
        """Adds the opposite condition; removing a `not` is another kind of fault."""
        if not _is_not(test) and test.end_lineno == test.lineno:
            self._replace("condition", test, f"not ({self._text(test)})")

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, right, operator in zip(operands, node.comparators, node.ops, strict=False):
            self._between("comparison", left, right, *_COMPARISONS[type(operator)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._between("and or", left, right, *words)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if _is_not(node):
            line = self._lines[node.lineno - 1]
            if match := re.compile(rb"not\s*").match(line, node.col_offset):
                self._add("not", node.lineno, *match.span(), "")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in _ARITHMETIC and not any(map(_no_number, (node.left, node.right))):
            self._between("arithmetic", node.left, node.right, *_ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if _is_exports(node.target):
            return
        if type(node.op) in _ARITHMETIC and not _no_number(node.value):
            operator, text = _ARITHMETIC[type(node.op)]
            self._between("arithmetic", node.target, node.value, f"{operator}=", f"{text}=")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._replace("bool", node, str(not node.value))
        elif isinstance(node.value, int | float) and node.value + 1 != node.value:
            self._replace("number", node, repr(node.value + 1))

    def visit_IfExp(self, node: ast.IfExp) -> None:
        if node.lineno == node.end_lineno:
            test = self._lines[node.lineno - 1][node.body.end_col_offset : node.orelse.col_offset]
            other, body = (
                f"({self._text(part)})" if isinstance(part, ast.IfExp | ast.Lambda)
                else self._text(part)
                for part in (node.orelse, node.body)
            )  # fmt: skip
            if other != body:
                start, end = node.body.col_offset, node.orelse.end_col_offset or 0
                text = other + test.decode() + body
                self._add("either", node.lineno, start, end, text)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not _is_none(node.value):
            self._replace("return", node, "return None")
            self._string(node.value)
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._replace("loop", node, "break")

    def visit_Break(self, node: ast.Break) -> None:
        self._replace("loop", node, "continue")

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call) and not _is_for_people(node.value):
            self._replace("call", node, "pass")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _is_for_people(node):
            return
        if (name := _name(node.func)) in _EXTREMES:
            end = node.func.end_col_offset or 0
            line = node.func.end_lineno or 0
            self._add("extreme", line, end - len(name), end, _EXTREMES[name])
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg != "help":
            self._string(node.value)
            self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key in node.keys:
            self._string(key)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        words = {_name(part) for part in ast.walk(node.test)}
        if words & {"TYPE_CHECKING", "__name__"}:
            for statement in node.orelse:
                self.visit(statement)
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(map(_is_exports, node.targets)):
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and not _is_exports(node.target):
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        """Skipped, since it only has an annotation."""

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, node.args, *node.body):
            self.visit(part)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Skips decorators, since tests cannot tell whether a dataclass is frozen."""
        for part in (*node.keywords, *node.body):
            self.visit(part)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if _name(node.value) != "Literal":
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Skipped, since its arguments are a message."""

    def visit_Assert(self, node: ast.Assert) -> None:
        """Skipped, since assertions are for readers and mypy."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Skipped, since Python 3.11 does not give the positions of its parts."""


def _name(node: ast.AST) -> str:
    """Returns the last part of a dotted name, empty for other nodes."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _is_for_people(node: ast.Call) -> bool:
    """Returns whether a call defines a flag or creates an error."""
    name = _name(node.func)
    return name.startswith("DEFINE_") or name.endswith(("Error", "Exception", "Warning"))


def _is_exports(node: ast.expr) -> bool:
    return _name(node) == "__all__"


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _no_number(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes)
    return isinstance(node, _NO_NUMBERS)
