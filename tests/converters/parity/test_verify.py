"""Differences against hand-made numbers; finding a layer that was broken on purpose."""

import io
import json
import math
import shutil
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from absl.testing.flagsaver import flagsaver
from ai_edge_litert.tools import flatbuffer_utils
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from converters.parity import show
from converters.parity.difference import compare, sqnr_db
from converters.parity.graph import ComputedTensor, label, pair, pair_layers, steps
from converters.parity.layers import Subject, by_layer
from converters.parity.limits import LIMITS, changed
from converters.parity.localize import first_jump, layer_errors
from converters.parity.reference import Reference
from converters.parity.verify import ParityRow, VerifyPlan, verify
from scripts import verify as script
from tests.support.tiny_tflite import tiny_model
from zoo import runs, runtime
from zoo.catalog import RECIPES, build
from zoo.errors import ZooError
from zoo.io.files import sha256_of
from zoo.io.provenance import Provenance
from zoo.runtime.sandbox import Sandbox
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_model
from zoo.schema.run import ModelConfig, Run

RUN = "tiny-digits"
PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")


# Numbers


def test_difference_of_hand_made_logits():
    reference = np.array([[10.0, 13.0], [20.0, 17.0]])
    found = compare(reference, reference + np.array([[0.0, 0.3], [-4.0, 0.0]]))
    assert found.largest == pytest.approx(4)
    assert found.mean == pytest.approx(4.3 / 4)
    # About each image's mean the logits are ±1.5.
    assert found.relative == pytest.approx(math.sqrt((0.09 + 16) / 4) / 1.5)
    assert found.sqnr_db == pytest.approx(-20 * math.log10(found.relative))
    assert (found.agreement, found.images) == (0.5, 2)


def test_equal_logits():
    logits = np.array([[1.0, 2.0, 3.0]])
    found = compare(logits, logits)
    assert (found.largest, found.relative, found.sqnr_db) == (0, 0, math.inf)
    assert found.agreement == 1
    same = np.full((2, 3), 5.0)  # says nothing at all: any error is infinitely large
    assert compare(same, same).relative == 0
    assert compare(same, same + 1).relative == math.inf


@pytest.mark.parametrize(
    ("reference", "logits", "why"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "shape mismatch between logits and the reference"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "non-empty array"),
        (np.zeros(3), np.zeros(3), "not an array of logits"),
        (np.zeros((1, 2)), np.array([[0, np.nan]]), "non-finite values in the file's logits"),
        (np.array([[0, np.inf]]), np.zeros((1, 2)), "non-finite values in the reference's logits"),
    ],
)
def test_what_can_not_be_compared(reference, logits, why):
    with pytest.raises(ZooError, match=why):
        compare(reference, logits)


LOGITS = arrays.arrays(np.float64, (3, 4), elements=st.integers(-50, 50).map(float))


@given(LOGITS, LOGITS, st.sampled_from([0.25, 3.0, 100.0]), st.integers(-1000, 1000))
def test_relative_error_knows_no_unit_and_no_offset(reference, error, factor, offset):
    plain = compare(reference, reference + error)
    moved = compare(factor * reference + offset, factor * (reference + error) + offset)
    assert moved.relative == pytest.approx(plain.relative, rel=1e-9, abs=1e-12)
    assert moved.largest == pytest.approx(factor * plain.largest)
    assert moved.agreement == plain.agreement


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_sqnr_of_uniform_quantization(bits):
    # The textbook's 6.02 dB a bit, for a signal that is uniform over the quantizer's whole range.
    signal = np.random.default_rng(1).uniform(-1, 1, 200_000)
    step = 2.0 ** (1 - bits)
    quantized = (np.floor(signal / step) + 0.5) * step
    assert sqnr_db(signal, quantized) == pytest.approx(20 * math.log10(2) * bits, abs=0.05)


def test_sqnr_at_the_edges():
    ones, zeros = np.ones((2, 2)), np.zeros((2, 2))
    assert sqnr_db(ones, ones) == sqnr_db(zeros, zeros) == math.inf
    assert sqnr_db(zeros, ones) == -math.inf
    assert sqnr_db(ones, zeros) == 0
    assert math.isnan(sqnr_db(ones, np.full((2, 2), np.nan)))


def test_limits():
    reference = np.eye(4)
    found = compare(reference, reference[::-1])
    assert len(LIMITS["int8"].broken(found)) == 2
    loose = changed(["int8:inf"], ["int8:0"])
    assert loose["int8"].broken(found) == ()
    assert loose["int8_qat"] == LIMITS["int8_qat"]
    for bad in ("int8", "int8:x", "int8:-1", "int8:nan", "int9:1", ":", ""):
        with pytest.raises(ZooError, match=r"not a limit|unknown precision"):
            changed([bad], [])
    with pytest.raises(ZooError, match="not a limit"):
        changed([], ["int8:1.5"])


# Where the error begins


def chain(*names):
    before = ("image", *names)
    return [ComputedTensor(name, "CONV_2D", (before[i],)) for i, name in enumerate(names)]


@pytest.mark.parametrize(
    ("sqnr", "jump"),
    [
        ({"a": 40.0, "b": 35.0, "c": 30.0}, None),
        ({"a": 40.0, "b": 19.0, "c": 18.0}, "b"),
        ({"a": 19.0, "b": 18.0, "c": 17.0}, "a"),  # from a perfect input, which counts as 30
        ({"a": 28.0, "b": 19.0, "c": 9.5}, "c"),  # a third of the signal, reached in small steps
        ({"a": 28.0, "c": 15.0}, "c"),  # b's tensor could not be compared: c's input is a
        ({"a": math.inf, "b": math.inf, "c": 25.0}, None),
        ({"a": 40.0, "b": math.nan, "c": math.nan}, "b"),
        ({"a": 40.0, "b": -math.inf, "c": 5.0}, "b"),
        ({}, None),
    ],
)
def test_where_it_jumps(sqnr, jump):
    errors = layer_errors(chain("a", "b", "c"), sqnr, ceiling_db=30)
    assert [error.tensor for error in errors] == list(sqnr)
    first = first_jump(errors)
    assert (first.tensor if first else None) == jump
    assert sum(error.jump for error in errors) <= 1


def test_a_branch_is_judged_by_its_own_inputs():
    graph = [
        ComputedTensor("left", "CONV_2D", ("image",)),
        ComputedTensor("right", "CONV_2D", ("image",)),
        ComputedTensor("both", "ADD", ("left", "right")),
        ComputedTensor("after", "CONV_2D", ("left",)),
    ]
    errors = layer_errors(graph, {"left": 40, "right": 5, "both": 8, "after": 38}, 30)
    assert [error.before_db for error in errors] == [math.inf, math.inf, 5, 40]
    assert [error.jump for error in errors] == [False, True, False, False]


def test_a_tensor_that_means_something_else_is_left_out():
    # b's layer became two steps, the first of which has its name.
    graph = chain("a", "b", "b_part2", "c")
    errors = layer_errors(graph, {"a": 40, "b": 9, "c": 38}, 30)
    assert [(e.tensor, e.before_db) for e in errors] == [("a", math.inf), ("c", 40)]
    assert first_jump(errors) is None
    # Where c is bad as well, the error may well begin at b.
    assert first_jump(layer_errors(graph, {"a": 40, "b": 9, "c": 15}, 30)).tensor == "b"
    assert first_jump(layer_errors(graph, {"a": 40, "b": 9, "c": math.nan}, 30)).tensor == "b"
    assert first_jump(layer_errors(graph, {"a": 40, "b": 9}, 30)).tensor == "b"


def test_a_strong_sound_branch_does_not_hide_a_broken_one():
    graph = [
        *chain("a", "b"),
        ComputedTensor("sum", "ADD", ("a", "b")),
        ComputedTensor("c", "CONV_2D", ("sum",)),
    ]
    errors = layer_errors(graph, {"a": 40, "b": 0, "sum": 14, "c": 13}, 30)
    assert first_jump(errors).tensor == "b"


# Which tensor is which


def test_steps_of_a_flatbuffer(tmp_path):
    content = tiny_model(tmp_path / "tiny.tflite").read_bytes()
    assert steps(content, "tiny") == (
        ComputedTensor("conv/relu", "CONV_2D", ("image",)),
        ComputedTensor("dense/logits", "FULLY_CONNECTED", ("conv/relu",)),
        ComputedTensor("probabilities", "SOFTMAX", ("dense/logits",)),
    )
    for cut in (0, 3, 8, 100, len(content) // 2):
        with pytest.raises(ZooError, match="tflite"):
            steps(content[:cut], "tiny")


def test_pairs_of_two_files():
    ours = chain("net/a/Relu;net/a/Conv2D1", "net/b/add", "tfl.quantize", "out")
    theirs = chain("net/a/Relu;net/a/Conv2D2", "net/b/add", "net/c/add", "out")
    assert pair(ours, theirs) == {
        "net/a/Relu;net/a/Conv2D1": "net/a/Relu;net/a/Conv2D2",
        "net/b/add": "net/b/add",
        "out": "out",
    }
    twice = chain("x/mul", "x/mul1")
    assert pair(twice, chain("x/mul2", "x/mul3")) == {"x/mul": "x/mul2", "x/mul1": "x/mul3"}
    assert pair(twice, chain("x/mul2")) == {}


def test_pairs_with_layers():
    graph = chain(
        "net/conv_relu/Relu;net/conv_bn/FusedBatchNormV3;net/conv/Conv2D",
        "net/swish/add",
        "net/swish/mul",
        "net/flat/Reshape",
        "StatefulPartitionedCall:0",
    )
    wide, flat, end = (1, 4, 4, 8), (1, 128), (1, 10)
    shapes = dict(zip((s.name for s in graph), (wide, wide, wide, wide, end), strict=True))
    layers: dict[str, tuple[int, ...]] = {"conv": wide, "conv_bn": wide, "conv_relu": wide}
    # A layer may have an operation's name: the end of a path is none.
    layers |= {"swish": wide, "mul": wide, "flat": flat, "dense": end}
    assert pair_layers(graph, shapes, layers) == {
        graph[0].name: "conv_relu",
        "net/swish/mul": "swish",
        "StatefulPartitionedCall:0": "dense",
    }


def test_labels_for_people():
    assert label("net/a_relu/Relu;net/a_bn/FusedBatchNormV3;net/a/Conv2D1") == "a + a_bn + a_relu"
    assert label("net/d/BiasAdd;net/d/MatMul;net/d/BiasAdd/ReadVariableOp1") == "d"
    assert label("net/block/d/MatMul") == "block/d"
    assert label("StatefulPartitionedCall:0") == "StatefulPartitionedCall:0"


# Real files


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """A small SqueezeNet with random weights, as a run on digits, and its artifacts."""
    import tf_keras

    from converters import export

    folder = tmp_path_factory.mktemp("verify")
    config = ModelConfig(
        model="squeezenet_v1_1", input_shape=(16, 16, 1), classes=10, width=0.25, batch_norm=True
    )
    tf_keras.utils.set_random_seed(1)
    model = build(config)
    random = np.random.default_rng(1)
    for layer in model.layers:  # untrained they would do nothing, and vanish
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.set_weights([w + random.uniform(-0.2, 0.2, w.shape) for w in layer.get_weights()])
    place = folder / "runs" / RUN
    place.mkdir(parents=True)
    model.save_weights(place / "best.h5")
    run = Run(
        name=RUN,
        stage="train",
        config=config,
        dataset="digits",
        recipe=replace(RECIPES["digits_quick"], image_size=16),
        weights="best.h5",
        weights_sha256=sha256_of(place / "best.h5"),
        validation_accuracy=0.5,
        best_epoch=1,
        versions={},
    )
    runs.save(place, run)
    export.write(run, PRECISIONS, folder, Provenance.here(), lambda _: None)
    return folder


@pytest.fixture(scope="module")
def litert():
    with Sandbox("litert", 60) as runner:
        yield runner


def subject(output, precision):
    path = output / "artifacts" / f"{RUN}-{precision}.tflite"
    return Subject(path, read_model(path.with_suffix(".json"), Artifact, "manifest", ""))


@pytest.fixture(scope="module")
def reference(output):
    return Reference.of(subject(output, "float32").artifact, output, 60)


def broken(output, folder, precision, layer, change):
    """A copy of an artifact with one convolution's filters changed by `change(tensor, buffer)`."""
    sound = subject(output, precision)
    model = flatbuffer_utils.read_model(str(sound.path))
    graph = model.subgraphs[0]
    (operator,) = (
        o
        for o in graph.operators
        if f"/{layer}/Conv2D" in graph.tensors[o.outputs[0]].name.decode()
    )
    tensor = graph.tensors[operator.inputs[1]]
    change(tensor, model.buffers[tensor.buffer])
    content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    path = folder / sound.path.name
    path.write_bytes(content)
    artifact = sound.artifact.model_copy(
        update={"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    )
    path.with_suffix(".json").write_text(artifact.model_dump_json())
    return Subject(path, artifact)


def four_times_the_scale(tensor, _):
    tensor.quantization.scale = tensor.quantization.scale * np.float32(4)


def filters_upside_down(_, buffer):
    weights = np.frombuffer(bytes(buffer.data), np.float32)
    buffer.data = np.frombuffer(weights[::-1].tobytes(), np.uint8)


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


@pytest.mark.parametrize("layer", ["conv1", "fire4_expand3x3", "fire6_squeeze1x1", "conv10"])
@pytest.mark.parametrize("against", ["float32", "Keras"])
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
    installed = [name for name in runtime.RUNTIMES if _installed(name)]
    assert len(rows) == len(found["rows"])
    assert set(rows) == {
        (p, r, d) for p in PRECISIONS for r in installed for d in runtime.DELEGATES
    }
    for (precision, _, delegate), row in rows.items():
        assert row["difference"]["images"] == 50
        assert bool(row["reasons"]) == (precision == "int8"), row
        assert row["placement"]["level"] == "none" or delegate == "xnnpack"
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
    monkeypatch.setitem(runtime.RUNTIMES, "tflite_runtime", "no-such-package")
    script.FLAGS(["verify"])
    assert [runner.runtime for runner in script._runners()] == ["litert"]
    assert "tflite_runtime: skipped | the runtime tflite_runtime is not" in capsys.readouterr().err
    with flagsaver(runtime=["tflite_runtime"]), pytest.raises(ZooError, match="not installed"):
        script._runners()


def _installed(name):
    try:
        return bool(runtime.version(name))
    except ZooError:
        return False
