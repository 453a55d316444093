"""Artifacts against their Keras network, the layer that was broken on purpose, and the command."""

import io
import itertools
import json
import shutil
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
from absl.testing.flagsaver import flagsaver

from converters.parity import show
from converters.parity.difference import compare
from converters.parity.layers import Subject, by_layer
from converters.parity.limits import LIMITS
from converters.parity.reference import Reference
from converters.parity.verify import ParityRow, VerifyPlan, verify
from scripts import verify as script
from scripts.common import engine_flags
from tests.converters.parity.conftest import (
    PRECISIONS,
    RUN,
    broken,
    filters_upside_down,
    four_times_the_scale,
    subject,
)
from tests.support.processes import HANG_S
from tests.support.select import some
from zoo import runtime
from zoo.errors import ZooError
from zoo.runtime.sandbox import Sandbox


def test_sound_artifacts_are_close(output, reference, litert):
    for precision in PRECISIONS:
        each = subject(output, precision)
        ours = litert.outputs(each.path, each.given(reference))
        found = compare(reference.logits, ours)
        assert LIMITS[precision].broken(found) == ()
        keras = reference.model(reference.images).numpy()
        assert found.largest == pytest.approx(np.abs(ours - keras).max(), abs=1e-4)
        layers = by_layer(each, reference, litert, LIMITS[precision].sound_db)
        assert layers.first is None
        # All of the network: a stem, 8 Fire modules of 4, pools and the head.
        assert layers.computed == len(layers.errors) == 37
        assert layers.against == (
            "the Keras layers" if precision == "float32" else f"{RUN}-float32"
        )


@pytest.mark.parametrize(
    ("layer", "against"),
    some(
        itertools.product(
            ("conv1", "fire4_expand3x3", "fire6_squeeze1x1", "conv10"), ("float32", "Keras")
        ),
        ("conv1", "Keras"),
        ("fire4_expand3x3", "float32"),
        ("fire6_squeeze1x1", "Keras"),
        ("conv10", "float32"),
    ),
)
def test_the_broken_layer_is_named(output, reference, litert, tmp_path, layer, against):
    one = broken(output, tmp_path, "int8", layer, four_times_the_scale)
    if against == "float32":
        for suffix in (".tflite", ".json"):
            shutil.copy(output / "artifacts" / f"{RUN}-float32{suffix}", tmp_path)
    found = by_layer(one, reference, litert, LIMITS["int8"].sound_db)
    assert found.against == (f"{RUN}-float32" if against == "float32" else "the Keras layers")
    assert found.first is not None
    assert found.first.layer.split(" + ")[0] == layer
    assert found.first.sqnr_db < 10 < found.first.before_db - 10
    assert f"begins at layer {layer}" in show.verdict(found)
    text = io.StringIO()
    show.tables([found], text, every_layer=True)
    (marked,) = (line for line in text.getvalue().splitlines() if "first jump" in line)
    assert layer in marked


@pytest.mark.parametrize("layer", ["fire2_squeeze1x1", "fire8_expand1x1"])
def test_the_broken_layer_of_a_float_file_is_named(output, reference, litert, tmp_path, layer):
    one = broken(output, tmp_path, "float32", layer, filters_upside_down)
    found = by_layer(one, reference, litert, LIMITS["float32"].sound_db)
    assert found.against == "the Keras layers"
    assert found.first.layer.split(" + ")[0] == layer
    assert found.first.before_db > 100


def test_a_failure_is_a_row(output, litert, tmp_path):
    sound = subject(output, "float32")
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(sound.path.read_bytes()[:1000])
    orphan = sound.artifact.model_copy(update={"parent_sha256": "0" * 64})
    lost = sound.artifact.model_copy(update={"parent_run": "no-such-run"})
    odd = sound.artifact.model_copy(update={"precision": "int3"})
    plan = VerifyPlan(output, 10, ["none"], LIMITS, every_layer=True)
    subjects = [
        Subject(cut, sound.artifact),
        Subject(sound.path, odd),
        Subject(sound.path, orphan),
        Subject(sound.path, lost),
    ]
    found = list(verify(subjects, [litert], plan, lambda _: None))
    rows = [item for item in found if isinstance(item, ParityRow)]
    for row, why in zip(
        rows,
        (
            "litert cannot load",
            "no limits are defined",
            "weights differ from those that",
            "no such run, so there is no Keras network to compare with",
        ),
        strict=True,
    ):
        assert len(row.reasons) == 1
        assert why in row.reasons[0]
    assert [row.keras_accuracy is None for row in rows] == [False, False, True, True]
    assert show.wrong(found)


# The command


@pytest.mark.parametrize("flags", [[], ["--all"]])
def test_command_without_artifacts_is_one_line(command, tmp_path, flags):
    done = command("verify", f"--output={tmp_path}", *flags)
    assert done.returncode == 1
    start = f"error: no artifacts | where: {tmp_path / 'artifacts'} | to do: run zoo convert first"
    assert done.stderr.startswith(start) and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_command_tells_sound_from_broken(command, output, tmp_path):
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    broken(output, tmp_path / "artifacts", "int8", "fire5_expand1x1", four_times_the_scale)
    done = command("verify", f"--output={tmp_path}", "--images=50", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    rows = {(row["precision"], row["runtime"], row["delegate"]): row for row in found["rows"]}
    installed = [name for name in script._DEFAULT if _works(name)]
    assert len(rows) == len(found["rows"])
    assert set(rows) == {
        (p, r, d)
        for p in PRECISIONS
        for r in installed
        for d in runtime.delegates(r, ["xnnpack", "none"])
    }
    for (precision, _, delegate), row in rows.items():
        assert row["difference"]["images"] == 50
        assert bool(row["reasons"]) == (precision == "int8"), row
        assert row["placement"]["level"] == "none" or delegate != "none"
    assert rows["float32", "litert", "xnnpack"]["placement"]["level"] == "full"
    (layers,) = found["layers"]
    assert (layers["artifact"], layers["against"]) == (f"{RUN}-int8", f"{RUN}-float32")
    assert layers["first"]["layer"].startswith("fire5_expand1x1 ")
    assert [e["tensor"] for e in layers["errors"] if e["jump"]] == [layers["first"]["tensor"]]


def test_command_prints_tables(output, reference, capsys, monkeypatch):
    monkeypatch.setattr(Reference, "of", lambda *_: reference)  # rebuilt by the test above
    models = [f"{RUN}-float32", f"{RUN}-int8"]
    script.FLAGS(["verify"])
    with flagsaver(output=str(output), artifact=models, runtime=["litert"]):
        assert script.main([]) == 0
        told = capsys.readouterr().out
        assert told.count("pass") == 4
        assert "SQNR" not in told
        with flagsaver(layers=True, delegate=["none"], max_relative=["int8:1e-6"]):
            assert script.main([]) == 1
        told = capsys.readouterr().out
        assert f"FAIL {RUN}-int8, litert, none: relative error" in told
        assert "limit 1e-06" in told
        assert told.count("the error does not jump at any layer; the steepest drop is at") == 2
        assert "fire9_expand3x3 + fire9_expand3x3_bn + fire9_expand3x3_relu" in told


@pytest.mark.parametrize(
    ("flag", "why"),
    [
        ("--artifact=no-such-artifact", "unknown artifact"),
        ("--runtime=nonsense", "unknown --runtime 'nonsense'"),
        ("--delegate=gpu", "unknown --delegate 'gpu'"),
        ("--min_agreement=int8:7", "not a limit"),
    ],
)
def test_command_refuses(command, output, flag, why):
    done = command("verify", f"--output={output}", flag)
    assert done.returncode == 1
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_runtime_is_skipped_unless_asked_for(monkeypatch, capsys):
    gone = replace(runtime.RUNTIMES["tflite_runtime"], package="no-such-package")
    monkeypatch.setitem(runtime.RUNTIMES, "tflite_runtime", gone)
    script.FLAGS(["verify"])
    with ExitStack() as stack:
        found = [each.runtime for each in engine_flags.runners(script._DEFAULT, stack)]
    assert found == [name for name in ("litert", "litert_gpu") if _works(name)]
    assert "tflite_runtime: skipped | the runtime tflite_runtime is not" in capsys.readouterr().err
    with (
        ExitStack() as stack,
        flagsaver(runtime=["tflite_runtime"]),
        pytest.raises(ZooError, match="not installed"),
    ):
        engine_flags.runners(script._DEFAULT, stack)


def _works(name):
    with Sandbox(name, HANG_S) as runner:
        try:
            runner.check()
        except ZooError:
            return False
    return True
