"""What every command does where the system refuses its files: one line, and exit code 1."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.common import console
from tests.conftest import ROOT
from tests.support.processes import HANG_S
from tests.support.tiny_tflite import tiny_model
from zoo.catalog import RECIPES
from zoo.io.stderr import quiet


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("/sys/model.ztfl", "/sys/model.ztfl .*got: (Read-only|Permission|Operation not).*to do: "),
        ("/sys/no/model.ztfl", "/sys/no .*got: (Read-only|Permission|Operation not).*to do: "),
        ("a_file/model.ztfl", "a_file.*got: (File exists|Not a directory).*pass a folder"),
        ("a_file/sub/model.ztfl", "a_file/sub.*got: Not a directory.*pass a folder"),
        ("a_folder", "/a_folder .*got: Is a directory.*pass a file"),
        ("x" * 300, "got: File name too long.*shorter"),
    ],
)
def test_a_place_that_is_refused_is_one_line(command, tmp_path, place, said):
    (tmp_path / "a_file").touch()
    (tmp_path / "a_folder" / "sub").mkdir(parents=True)
    tiny_model(tmp_path / "tiny.tflite")
    done = command("pack", str(tmp_path / "tiny.tflite"), f"--output_file={tmp_path / place}")
    assert done.returncode == 1
    assert re.fullmatch(f"error: file operation failed.*{said}.*\n", done.stderr)


def run(body, stdout):
    """A command that does just this."""
    program = f"from scripts.common import cli\ndef main(argv):\n    {body}\ncli.run(main)"
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=HANG_S,
        check=False,
    )


@pytest.mark.parametrize("body", ["print(1)", "cli.say('1')", "print(1); raise cli.ZooError('so')"])
def test_output_that_does_not_fit_is_one_line(body):
    with Path("/dev/full").open("w") as full:
        done = run(body, full)
    assert done.returncode == 1
    assert re.fullmatch("error: (file operation failed.*No space left on.*|so)\n", done.stderr)


@pytest.mark.parametrize("body", ["print(1)", "cli.say('1')"])
def test_output_that_nobody_reads_is_no_error(body):
    ours, theirs = os.pipe()
    os.close(ours)
    done = run(body, theirs)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("mistake", ["open('nothing')", "raise OSError('so')", "1 / 0"])
def test_a_mistake_of_ours_is_a_traceback(mistake):
    done = run(mistake, subprocess.DEVNULL)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def zoo(*words):
    code = "import sys; sys.argv[0] = '/bin/zoo'; import scripts.common.console as it; it.run()"
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_S)


def test_zoo_runs_the_script_of_a_command():
    done = zoo("list", "--name=resnet20", "--json")
    assert done.returncode == 0, done.stderr
    assert '"name": "resnet20"' in done.stdout


@pytest.mark.parametrize("words", [(), ("--help",), ("help",), ("-h",)])
def test_zoo_tells_all_commands(words):
    done = zoo(*words)
    assert (done.returncode, done.stderr) == (0, "")
    rows = re.findall(r"^  (\w+) +(\S.*[.:`])$", done.stdout, re.MULTILINE)
    scripts = {path.stem for path in (ROOT / "scripts").glob("[!_]*.py")}
    assert sorted(name for name, _ in rows) == sorted(scripts)
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_zoo_help_of_a_command_is_its_help():
    told = zoo("help", "list")
    assert (told.returncode, told.stdout) == (0, zoo("list", "--help").stdout)
    assert zoo("help", "lst").stderr.startswith("error: unknown command 'lst'")


def test_zoo_tells_its_version(monkeypatch):
    told = zoo("--version")
    assert (told.returncode, told.stdout) == (0, f"{console.version()}\n")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"1.2.3 of {name}")
    assert console.version() == "1.2.3 of mobile-model-zoo"

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert console.version() == "unknown (not installed)"


@pytest.mark.parametrize("word", ["trian", "common", "../train", "train.py", "--epochs=3"])
def test_zoo_knows_no_other_command(word):
    done = zoo(word)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: unknown command {word!r} | expected: one of ")
    assert done.stderr.count("\n") == 1


def test_zoo_calls_commands_as_they_were_typed():
    told = zoo("list", "--help")
    assert told.returncode == 0 and "zoo list --helpfull" in told.stdout
    assert "to do: see zoo list --help" in zoo("list", "--nam=x").stderr


def test_what_a_library_writes_to_stderr_is_dropped_and_only_then(capfd):
    with quiet():
        os.write(2, b"chatter of C++\n")
    os.write(2, b"a word of ours\n")
    assert capfd.readouterr().err == "a word of ours\n"


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("compress", "--prune_sparsity=NUMBER"), ("train", "--learning_rate=NUMBER"),
        ("explore", "--epochs=N"), ("train", "--output=TEXT"), ("search", "--source=TEXT"),
        ("train", "--[no]flip"), ("benchmark", "--tool=tflite|litert"),
    ],
)  # fmt: skip
def test_help_has_the_flags_that_commands_share(command, name, flag):
    told = command(name, "--help")
    assert told.returncode == 0
    assert told.stdout.splitlines().count(f"  {flag}") == 1


@pytest.mark.parametrize("name", ["compress", "describe", "convert"])
def test_no_flags_at_all(command, name):
    done = command(name)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_help_shows_the_defaults_of_the_recipe_that_is_named(command):
    def epochs(*words):
        text = command("train", "--help", *words).stdout
        (shown,) = re.findall(r"--epochs=N\n.* \(default: (\d+)\)", text)
        return shown

    assert epochs() == str(RECIPES["fashion_mnist_demo"].epochs)
    assert (
        epochs("--recipe=strong") == epochs("--recipe", "strong") == str(RECIPES["strong"].epochs)
    )
    assert epochs("--recipe=nothing") == epochs()


@pytest.mark.parametrize("name", ["train", "explore", "compress"])
def test_help_groups_the_recipe_first_and_marks_flags_that_only_compress_reads(command, name):
    text = command(name, "--help").stdout
    groups = dict(re.findall(r"^(\w.*):\n((?:  .*\n)+)", text, re.M))
    network = groups.get("Recipe and network", "")
    assert all(f"  --{flag}=TEXT\n" in network for flag in ("recipe", "model", "dataset")) == (
        name != "compress"
    )
    note = (
        "" if name == "compress" else " (only stored in the run, for zoo compress; see its --help)"
    )
    for title in ("Pruning", "Clustering", "Low rank", "Quantization-aware training"):
        assert f"{title}{note}" in groups
    assert "  --prune_pattern=TEXT\n" in groups[f"Pruning{note}"]
    flags = [title for title, lines in groups.items() if "  --" in lines]
    assert flags[0] == ("Flags" if name == "compress" else "Recipe and network")


def test_help_says_in_our_words_that_a_flag_may_be_repeated(command):
    told = " ".join(command("search", "--help").stdout.split())
    assert "the first that has it; may be given several times --timeout_secs" in told


@pytest.mark.parametrize("name", ["convert", "benchmark", "compress"])
def test_former_flags_are_read_and_not_shown(command, name):
    former = {"convert": "precisions", "benchmark": "models", "compress": "rate_precisions"}[name]
    assert f"--{former}" not in command(name, "--help").stdout

    assert "nknown command line flag" not in command(name, f"--{former}=nothing").stderr


def test_the_demo_takes_only_datasets_it_has_a_recipe_for(command, tmp_path):
    done = command("demo", "--dataset=cifar10", f"--output={tmp_path}")
    assert done.returncode == 2
    assert "should be one of <fashion_mnist|digits>" in done.stderr and not done.stdout


@pytest.mark.slow
def test_a_demo_ends_with_the_stage_that_fails(command, tmp_path):
    (tmp_path / "file").touch()
    done = command("demo", "--dataset=digits", f"--output={tmp_path / 'file'}")
    assert done.returncode == 1
    assert re.search(r"── 1/7 .* python -m scripts.train --recipe=digits_quick", done.stdout)
    assert "2/7" not in done.stdout
    assert done.stderr.count("error: ") == 1


@pytest.mark.slow
def test_the_demo_on_digits(command, tmp_path):
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    (artifacts / "no_model.tflite").write_bytes(bytes(100))
    done = command("demo", "--dataset=digits", f"--output={tmp_path}")
    assert done.returncode == 1, "a case failed, which is a row and stops nothing"
    assert done.stdout.splitlines()[-1].startswith("done in "), done.stderr
    assert "no_model" in (tmp_path / "report" / "index.html").read_text()
    assert len(list(artifacts.glob("*.tflite"))) == 1 + 6
