"""Selection of likely tests, the copy of the work tree, and the judgment of faults."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.faults import Fault, places
from tests.mutation.judge import Judge, Options
from tests.mutation.likely import is_named_after, likely, waves
from tests.mutation.tree import Ended, Tree
from tests.support import processes

MODULE = "def share(a, b):\n    return a / b\n\n\ndef spare(a):\n    return a + 1\n"
TESTS = {
    "tests/test_near.py": (
        "from zoo import unit\n\n\ndef test_it():\n    assert unit.share(4, 2) == 2\n"
    ),
    "tests/test_far.py": (
        "import importlib\n\n\ndef test_unfit():\n    assert False\n\n\n"
        "def test_far():\n    found = importlib.import_module('zoo.' + 'unit')\n"
        "    assert found.spare(1) == 2\n"
    ),
}
CONFTEST = """import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.path.name))
"""


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("import zoo.container.coding", "zoo/container/coding.py"),
        ("from zoo.container.coding import a", "zoo/container/coding.py"),
        ("from zoo.container import coding", "zoo/container/coding.py"),
        ("from zoo.container import (\n    a,\n    coding,\n)", "zoo/container/coding.py"),
        ("'zoo/container/coding.py'", "zoo/container/coding.py"),
        ("from zoo import a, container", "zoo/container/__init__.py"),
        ("command('pack', x)", "scripts/pack.py"),
        ('command(\n    "pack"', "scripts/pack.py"),
        ('"scripts.pack"', "scripts/pack.py"),
        ("import zoo\n", "zoo/__init__.py"),
    ],
)
def test_a_test_that_names_the_module_is_likely(text, module):
    assert likely(module, {"a": "", "b": text}) == ["b"]


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("from zoo.container import encoding, coding_table", "zoo/container/coding.py"),
        ("from zoo.container import a\ncoding = 1", "zoo/container/coding.py"),
        ("from zoo.container import (a)\ncoding = 1", "zoo/container/coding.py"),
        ("tests.zoo.container.coding", "zoo/container/coding.py"),
        ("command('unpack')", "scripts/pack.py"),
        ("import zoo.files", "zoo/__init__.py"),
    ],
)
def test_others_are_not(text, module):
    assert likely(module, {"a": text}) == []


def test_tests_come_by_the_number_of_imports_between():
    modules = {
        "zoo/a.py": "", "zoo/b.py": "from zoo import a", "scripts/c.py": "from zoo import b",
        "zoo/d.py": "import zoo.c",
    }  # fmt: skip
    tests = {
        "tests/test_c.py": "command('c')", "tests/test_ab.py": "from zoo import a, b",
        "tests/test_b.py": "import zoo.b", "tests/test_d.py": "import zoo.d",
        "tests/test_a_named.py": "",
    }  # fmt: skip
    assert waves("zoo/a.py", tests, modules) == [
        ["tests/test_a_named.py", "tests/test_ab.py"], ["tests/test_b.py"], ["tests/test_c.py"],
    ]  # fmt: skip


def test_which_are_named_after_a_module():
    names = ("test_pack.py", "test_light_pack_more.py", "test_unpack.py", "test_packing.py")
    assert [is_named_after(f"tests/{name}", "scripts/pack.py") for name in names] == [
        True, True, False, False
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("FAILED tests/test_a.py::test_b - assert 1 == 2", "tests/test_a.py::test_b"),
        ("FAILED tests/test_a.py::test_b[c d]@test_a.py - x", "tests/test_a.py::test_b[c d]"),
        ("ERROR tests/test_a.py::test_b", "tests/test_a.py::test_b"),
        ("ERROR tests/test_a.py - ImportError: x", "tests/test_a.py"),
        ("1 passed", None),
    ],
)
def test_the_failed_test_is_read_from_the_summary(output, expected):
    assert Ended(1, f"E   FAILED x\n{output}\n1 failed").failed == expected


@pytest.mark.parametrize("module", ["tests.mutation", "tests.soak", "tests.soak.sampler_cost"])
def test_help_explains_every_argument(module):
    text = processes.run(module, "--help").stdout
    arguments = re.findall(r"^  --\w+.*(?:\n {5,}\S.*)*", text, re.M)
    assert arguments
    unexplained = [a for a in arguments if not re.search(r"\s{2,}\S+ \S+", a[4:])]
    assert unexplained == []


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A small project under git whose pytest loads xdist as its only plugin."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "xdist.plugin")
    root = tmp_path / "project"
    files = {
        "zoo/__init__.py": "", "zoo/unit.py": MODULE, **TESTS, "conftest.py": CONFTEST,
        ".gitignore": "ignored\n", "ignored": "",
    }  # fmt: skip
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / ".venv").symlink_to(sys.prefix)
    for words in (["init", "--quiet"], ["add", "zoo", ".gitignore"]):
        subprocess.run(["git", *words], cwd=root, check=True)  # noqa: S607 - as installed
    return root


def fault(number: int) -> Fault:
    """Returns a fault in the arithmetic of a function, counted from 1."""
    found = [place for place in places(MODULE.encode()) if place.kind == "arithmetic"]
    return Fault(number, "zoo/unit.py", found[number - 1], "", "")


@pytest.mark.slow
def test_who_finds_it(root, capsys):
    with Tree(root) as tree:
        judge = Judge(tree, Options(stage=1), tree.modules(["zoo"]))
        judge.collects([fault(1)])
        near, unlikely = (judge.judge(fault(number), 1) for number in (1, 2))
        # With xdist, the names of tests have a suffix.
        far = Judge(tree, Options(pytest=("-n1", "--dist=loadgroup")), tree.modules(["zoo"])).judge(
            fault(2), 1
        )
        assert (tree.folder / "zoo/unit.py").read_text() == MODULE
    assert (near.outcome, near.test) == ("found", "tests/test_near.py::test_it")
    assert (unlikely.outcome, unlikely.test) == ("unlikely", None)
    assert (far.outcome, far.test) == ("found", "tests/test_far.py::test_far")
    assert "fails without a fault: tests/test_far.py::test_unfit" in capsys.readouterr().out


def test_the_copy_has_what_git_does_not_ignore(root):
    (root / "zoo/unit.py").unlink()
    (root / "zoo/new.py").write_text("a = 1")
    with Tree(root) as tree:
        names = {str(path.relative_to(tree.folder)) for path in tree.folder.rglob("*.py")}
        assert names == {"zoo/__init__.py", "zoo/new.py", "conftest.py", *TESTS}
        assert not (tree.folder / "ignored").exists()
        assert tree.modules(["zoo"]) == {"zoo/__init__.py": b""}  # the new one is not tracked
    assert not tree.folder.exists()


def test_what_hangs_is_ended(root):
    (root / "tests/test_near.py").write_text("import time\n\ntime.sleep(600)\n")
    with Tree(root) as tree:
        assert tree.pytest(["-n0", "tests/test_near.py"], 1).code is None


def test_what_a_test_leaves_running_is_ended(root, tmp_path):
    (root / "tests/test_near.py").write_text(
        "import subprocess\n\n\ndef test_it():\n"
        "    other = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"    open({str(tmp_path / 'pid')!r}, 'w').write(str(other.pid))\n"
    )
    with Tree(root) as tree:
        assert tree.pytest(["-n0", "tests/test_near.py"], 60).code == 0
    command = Path("/proc") / (tmp_path / "pid").read_text() / "cmdline"
    assert not command.exists() or not command.read_bytes()  # it may remain as a zombie


def test_a_changed_file_is_seen_although_its_time_and_size_are_the_same(root, monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    with Tree(root) as tree:
        words = ["-n0", "tests/test_near.py"]
        assert tree.pytest(words, 60).code == 0
        file = tree.folder / "zoo/unit.py"
        status = file.stat()
        with tree.changed("zoo/unit.py", MODULE.replace("/", "*").encode()):
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
            assert tree.pytest(words, 60).code == 1
