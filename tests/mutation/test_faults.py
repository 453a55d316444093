"""Places and kinds of faults, and the draw."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.mutation import faults
from tests.support.processes import ROOT

REAL = (
    "android_bench/phone/settings.py", "android_bench/phone/state.py",
    "converters/conversion/metadata.py", "converters/release/measured.py", "scripts/list.py",
    "zoo/catalog/precisions.py", "zoo/data/resize.py", "zoo/io/files.py", "zoo/stats.py",
)  # fmt: skip


def changes(source: str, kind: str | None = None) -> list[str]:
    """Returns the changed line of each possible fault of a kind; None for all kinds."""
    data = source.encode()
    return [
        faults.change(data, place).decode().splitlines()[place.line - 1].strip()
        for place in faults.places(data)
        if kind in (None, place.kind)
    ]


@pytest.mark.parametrize("path", REAL)
def test_each_fault_is_another_program_in_one_line(path):
    source = (ROOT / path).read_bytes()
    meaning = ast.dump(ast.parse(source))
    found = faults.places(source)
    assert len(set(found)) == len(found) > 5
    seen = set()
    for place in found:
        changed = faults.change(source, place)
        pairs = list(zip(source.splitlines(True), changed.splitlines(True), strict=True))
        assert [n for n, (old, new) in enumerate(pairs, 1) if old != new] == [place.line]
        seen.add(ast.dump(ast.parse(changed)))
    assert meaning not in seen


@pytest.mark.parametrize(
    ("kind", "line", "expected"),
    [
        ("comparison", "a < b <= c", ["a <= b <= c", "a < b < c"]),
        ("comparison", "(a) > (b) >= c", ["(a) >= (b) >= c", "(a) > (b) > c"]),
        ("comparison", "a == b != c", ["a != b != c", "a == b == c"]),
        ("comparison", "a in b", ["a not in b"]),
        ("comparison", "a not  in b", ["a in b"]),
        ("comparison", "a is b", ["a is not b"]),
        ("comparison", "a is not b", ["a is b"]),
        ("and or", "a and b and c or d", ["a or b and c or d", "a and b or c or d",
                                          "a and b and c and d"]),
        ("not", "f(not a, not(b))", ["f(a, not(b))", "f(not a, (b))"]),
        ("arithmetic", "a + b - c", ["a - b - c", "a + b + c"]),
        ("arithmetic", "a * b / c // d", ["a / b / c // d", "a * b * c // d", "a * b / c * d"]),
        ("arithmetic", "a += b", ["a -= b"]),
        ("arithmetic", "a //= b", ["a *= b"]),
        ("arithmetic", "[0] * n + 'é' + b'' + f'{x}' + (a, b)", []),
        ("number", "a[2:-1]", ["a[3:-1]", "a[2:-2]"]),
        ("number", "0.5 + 1_000", ["1.5 + 1_000", "0.5 + 1001"]),
        ("number", "True + 1e300 + 1j", []),
        ("bool", "a = True, False", ["a = False, False", "a = True, True"]),
        ("either", "a if c else b", ["b if c else a"]),
        ("either", "a if c else b if d else e",
         ["(b if d else e) if c else a", "a if c else e if d else b"]),
        ("either", "(a) if c else (b, d)", ["((b, d)) if c else a"]),
        ("either", "a if c else (a)", []),
        ("extreme", "max(min(a), b)", ["min(min(a), b)", "max(max(a), b)"]),
        ("extreme", "np.maximum(a).min(x, key=max)",
         ["np.minimum(a).min(x, key=max)", "np.maximum(a).max(x, key=max)"]),
        ("string", "f(a='b', **{'c': 'd'})", ["f(a='bx', **{'c': 'd'})",
                                               "f(a='b', **{'cx': 'd'})"]),
        ("string", "f(a='', b='two words', c=f'{d}', e=b'')",
         ["f(a='x', b='two words', c=f'{d}', e=b'')"]),
        ("string", "f(a='''b''', c=r\"d\")", ["f(a='''bx''', c=r\"d\")",
                                              "f(a='''b''', c=r\"dx\")"]),
        ("call", "a.f(b)", ["pass"]),
        ("call", "a = f(b)", []),
        ("condition", "[a for a in b if c]", ["[a for a in b if not (c)]"]),
    ],
)  # fmt: skip
def test_what_each_kind_does(kind, line, expected):
    expected = sorted(expected)
    assert sorted(changes(line, kind)) == expected
    # Positions are in bytes, so characters before them may have several.
    before = "'–é😀'; "
    assert sorted(changes(before + line, kind)) == [before + after for after in expected]


@pytest.mark.parametrize(
    ("kind", "statement", "expected"),
    [
        ("return", "return a", ["return None"]),
        ("return", "return (a)  # –", ["return None  # –"]),
        ("return", "return None", []),
        ("return", "return", []),
        ("string", "return 'é'", ["return 'éx'"]),
        ("loop", "continue", ["break"]),
        ("loop", "break", ["continue"]),
        ("condition", "if a or b: c", ["if not (a or b): c"]),
        ("condition", "if(a): b", ["if(not (a)): b"]),
        ("condition", "if not a: b", []),
    ],
)
def test_statements(kind, statement, expected):
    function = "def f():\n  for é in range(9):\n    "
    assert changes(function + statement, kind) == expected


def test_an_elif_is_a_condition():
    assert changes("if a:\n  b\nelif c:\n  d", "condition") == ["if not (a):", "elif not (c):"]


def test_what_does_not_lie_on_one_line_stays():
    two = "def f():\n  return (a\n    and b, '''c\n''', min(\n    d))\nf(\n)\n"
    assert changes(two) == ["and b, '''c" if False else "''', max("]


def test_the_rest_of_the_file_keeps_its_bytes():
    source = b"\xef\xbb\xbf# \xe2\x80\x93\r\na = 1\t \r\n\x0c\nb = '''\r\n'''"
    (place,) = faults.places(source)
    assert faults.change(source, place) == source.replace(b"a = 1", b"a = 2")


@pytest.mark.parametrize(
    "source",
    [
        '"""1 < 2"""\ndef f():\n  """a"""\nclass C:\n  """b"""\n  d: int\n  """c"""',
        "a: Literal[1] = b\ndef f(a: Literal['x', 2], *b: A[1], c: 'd' = e) -> Q[3]: g",
        "A = Literal[1, True]",
        "if TYPE_CHECKING:\n  a = 1",
        "if typing.TYPE_CHECKING:\n  f()",
        "if __name__ == '__main__':\n  sys.exit(main(1))",
        "__all__ = [1 < 2]\n__all__ += f(True)\n__all__: list[str] = f(1)",
        "from . import a\nimport b",
        "raise E(1, got=a + b, where='x') from (c or d)",
        "assert a < b, f(1)",
        "f'{1 + 2} {a if b else c}'",
        "flags.DEFINE_integer('a', 1, 'help', lower_bound=0)",
        "a = ZooError(b, where='c', got=d + 1)",
        "a = f(help='b')",
        "@dataclass(frozen=True)\nclass C: ...",
    ],
)
def test_none_where_no_test_would_see_it(source):
    assert changes(source) == []


def test_what_is_beside_those_places_counts():
    assert changes("if TYPE_CHECKING:\n  a = 1\nelse:\n  b = 2", "number") == ["b = 3"]
    assert changes("a: Literal[1] = 2", "number") == ["a: Literal[1] = 3"]
    assert changes("@f(1)\nasync def g(a=2): h(3)") == [
        "@f(2)", "async def g(a=3): h(3)", "async def g(a=2): pass", "async def g(a=2): h(4)"
    ]  # fmt: skip
    assert changes("class C(a=True): b = 1") == ["class C(a=False): b = 1",
                                                 "class C(a=True): b = 2"]  # fmt: skip


def test_shares_are_in_proportion_and_at_least_one():
    assert faults.shares({"a": 60, "b": 30, "c": 10}, 10) == {"a": 6, "b": 3, "c": 1}
    assert faults.shares({"a": 98, "b": 1, "c": 1}, 5) == {"a": 3, "b": 1, "c": 1}
    assert faults.shares({"a": 5, "b": 5, "c": 5}, 4) == {"a": 2, "b": 1, "c": 1}
    with pytest.raises(ValueError, match="few"):
        faults.shares({"a": 1, "b": 1}, 1)


def _modules(many: int = 40) -> dict[str, bytes]:
    text = b"a = 1\nb = a < 2\nc = a or b\nd = [3, 4, 5, 6, 7, 8, 9, 10, 11]\n"
    empty = b'"""Nothing."""\nimport os\n'
    return {
        f"{package}/{number}.py": empty if number % 2 else text
        for package in ("p", "q")
        for number in range(many)
    }


def test_a_draw_depends_on_modules_and_seed_alone():
    modules = _modules()
    drawn = faults.draw(modules, 7, 12)
    assert drawn == faults.draw(dict(reversed(modules.items())), 7, 12)
    assert drawn != faults.draw(modules, 8, 12)
    assert [fault.number for fault in drawn] == list(range(1, 13))


def test_an_edit_changes_that_modules_fault_only():
    modules = _modules()
    before = faults.draw(modules, 7, 12)
    path = before[3].path
    after = faults.draw({**modules, path: b"# new\n" + modules[path]}, 7, 12)
    differ = [new.path for old, new in zip(before, after, strict=True) if old != new]
    assert differ == [path]


def test_each_module_once_and_none_without_a_fault():
    drawn = faults.draw(_modules(), 1, 20)
    paths = [fault.path for fault in drawn]
    assert len(set(paths)) == 20
    assert Counter(path[0] for path in paths) == {"p": 10, "q": 10}
    assert all(int(path[2:-3]) % 2 == 0 for path in paths)
    assert len(faults.draw(_modules(4), 1, 20)) == 4  # there are not more


def test_no_kind_dominates():
    kinds = Counter(fault.place.kind for fault in faults.draw(_modules(600), 1, 600))
    assert set(kinds) == {"number", "comparison", "and or"}
    assert min(kinds.values()) > 150  # although nine tenths of the places are numbers


def test_a_fault_tells_its_line():
    (fault, _) = faults.draw(
        {"p/é.py": b"#\n  \nx = f('\xc3\xa9', a < b)", "q/b.py": b"c or d"}, 1, 2
    )
    assert {fault.where, _.where} == {"p/é.py:3", "q/b.py:1"}
    both = {one.before: one.after for one in (fault, _)}
    assert both == {"x = f('é', a < b)": "x = f('é', a <= b)", "c or d": "c and d"}
