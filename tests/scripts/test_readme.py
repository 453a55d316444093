"""The README's commands do what it shows.

Blocks of `console` have commands after `$ ` and what each prints; a line `…` stands for any lines,
and `…` within a line for any text. `test_readme_walk_through` runs the blocks of `walk-through`.
"""

import json
import re
import shlex

import pytest

from scripts.common import console
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL)


def shown():
    """Each command of the console blocks, with the lines that it prints."""
    for block in blocks("console"):
        for part in block.split("$ ")[1:]:
            words, _, text = part.partition("\n")
            yield words, text


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return {"MODEL_ZOO_CACHE": str(tmp_path_factory.mktemp("cache")), "COLUMNS": "120"}


def pattern(text):
    anything = {"…\n": r"(?:.*\n)*?", "…": r".*"}
    parts = re.split(r"(^…\n|…)", text, flags=re.MULTILINE)
    return "".join(anything.get(part, re.escape(part)) for part in parts)


def test_output_shown_is_output_printed(command, cache):
    commands = list(shown())
    assert [words.split()[1] for words, _ in commands] == ["search", "download", "classify"]
    for words, text in commands:
        program, name, *flags = shlex.split(words)
        assert program == "zoo"
        done = command(name, *flags, **cache)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(pattern(text), done.stdout), done.stdout


def test_the_python_lines_run(command, cache, monkeypatch):
    command("download", "resnet20-fashion_mnist-int8", **cache)
    for name, value in cache.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    (block,) = blocks("python")
    *lines, last = block.strip().splitlines()
    scope: dict[str, object] = {}
    exec("\n".join(lines), scope)  # noqa: S102
    call, _, printed = last.partition("  # ")
    guesses = eval(call, scope)  # noqa: S307
    assert re.match(pattern(printed.partition(", …")[0]), str(guesses))


def test_measured_rows_are_those_of_the_release():
    rows = re.findall(
        r"^\| (\w+) \| Fashion-MNIST \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", README, re.M
    )
    assert len(rows) == 4
    for model, top1, kilobytes, latency in rows:
        path = ROOT / "release" / "artifacts" / f"{model}-fashion_mnist-int8.json"
        manifest = json.loads(path.read_text())
        (accuracy,) = manifest["released"]["accuracies"]
        assert (accuracy["dataset"], accuracy["images"]) == ("fashion_mnist", 10_000)
        fastest_ms = min(timing["latency_us"] for timing in manifest["released"]["timings"]) / 1000
        assert float(top1) == round(100 * accuracy["top1"], 2)
        assert float(kilobytes) == round(manifest["bytes"] / 1000, 1)
        assert float(latency) == pytest.approx(fastest_ms, rel=5e-3)


def test_the_kotlin_lines_are_those_of_the_card():
    (block,) = blocks("kotlin")
    card = (ROOT / "release" / "cards" / "resnet20-fashion_mnist.md").read_text()
    assert f"```kotlin\n{block}```" in card
    assert 'implementation("com.google.ai.edge.litert:litert:' in card


def test_the_table_of_commands_is_that_of_zoo():
    rows = re.findall(r"^\| `zoo (\w+)` \| (.+) \|$", README, re.MULTILINE)
    assert rows == [
        (name, console.summary(name)) for names in console.GROUPS.values() for name in names
    ]


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_no_help_names_a_folder_of_ours():
    scripts = list((ROOT / "scripts").rglob("*.py"))
    assert scripts
    assert [path.name for path in scripts if "../shared" in path.read_text()] == []


def test_every_page_is_reachable():
    reached, pages = set(), {ROOT / "README.md"}
    while pages:
        reached |= pages
        links = {
            (page.parent / link).resolve()
            for page in pages
            for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        }
        pages = {link for link in links if link.suffix == ".md" and link.exists()} - reached
    assert {page.name for page in (ROOT / "docs").glob("*.md") if page not in reached} == set()


def test_it_is_short():
    assert len(README.splitlines()) <= 200
