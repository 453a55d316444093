"""Artifacts of the digits chain against Keras, the flatbuffer and LiteRT itself."""

import json
import shutil
import zipfile

import numpy as np
import pytest

from android_bench.host import bench
from android_bench.tasks.cases import candidates
from converters.tflite import counts
from converters.tflite.reader import read
from tests.conftest import DIGITS_ZEROS
from tests.support.select import some
from zoo import data, runs, runtime
from zoo.catalog import precisions
from zoo.errors import ZooError
from zoo.io.files import sha256_of
from zoo.io.provenance import Provenance
from zoo.runtime import interpreter
from zoo.schema.artifact import Artifact
from zoo.schema.json_files import read_model, read_records
from zoo.schema.run import Run

RUN = "squeezenet_v1_1-digits-pruned"
ALL = ["float32", "float16", "dynamic_int8", "int8", "int8_qat"]


@pytest.fixture(scope="module")
def test_images():
    dataset = data.load("digits", 16, 200)
    return dataset.normalize(dataset.test.images), dataset.test.labels


def _artifact(digits, precision):
    path = digits / "artifacts" / f"{RUN}-{precision}.tflite"
    return path, read_model(path.with_suffix(".json"), Artifact, "manifest", "")


@pytest.mark.parametrize("precision", ALL)
def test_manifest_tells_the_truth(digits, precision):
    path, artifact = _artifact(digits, precision)
    content = path.read_bytes()
    found = counts.contents(content, path)
    assert artifact.sha256 == sha256_of(path)
    assert artifact.bytes == len(content)
    assert (artifact.operators, artifact.parameters) == (found.operators, found.parameters)
    # 727,626 with 3 input channels; conv1 has 2 × 9 × 64 weights fewer with one.
    assert artifact.parameters == 727_626 - 2 * 9 * 64
    assert artifact.zeros == pytest.approx(DIGITS_ZEROS, abs=0.005)
    expected = np.int8 if precision.startswith("int8") else np.float32
    assert {t.dtype for t in artifact.inputs + artifact.outputs} == {np.dtype(expected).name}
    parent = read_model(digits / "runs" / artifact.parent_run / "run.json", Run, "run", "")
    assert artifact.parent_sha256 == parent.weights_sha256


@pytest.mark.parametrize(
    ("precision", "largest"), some([("float32", 1e-4), ("float16", 0.05)], ("float32", 1e-4))
)
def test_float_outputs_equal_keras(digits, test_images, precision, largest):
    path, artifact = _artifact(digits, precision)
    folder = digits / "runs" / artifact.parent_run
    model = runs.keras_model(runs.load(folder), folder)
    images = test_images[0][:50]
    net = runtime.load(path.read_bytes(), "litert", "xnnpack", 1, path)
    ours = np.stack([net.run(image) for image in images])
    assert np.abs(ours - model(images, training=False).numpy()).max() < largest


@pytest.mark.parametrize("precision", ALL)
def test_accuracy_and_full_delegation(digits, test_images, precision):
    path, artifact = _artifact(digits, precision)
    net = runtime.load(path.read_bytes(), "litert", "xnnpack", 1, path)
    images, labels = test_images
    right = np.mean([np.argmax(net.run(x)) == y for x, y in zip(images, labels, strict=True)])
    assert right > 0.9
    placement = net.placement()
    assert (placement.level, placement.partitions) == ("full", 1)
    assert placement.delegated == sum(artifact.operators.values())


@pytest.mark.parametrize("precision", some(ALL, "int8"))
def test_accuracy_on_tflite_runtime(digits, precision):
    try:
        runtime.version("tflite_runtime")
    except ZooError as error:
        pytest.skip(str(error))
    file = candidates([f"{RUN}-{precision}"], digits / "artifacts")[0]
    case = file.case("tflite_runtime", "xnnpack", 1)
    row = bench.score(case, file.artifact, Provenance.here())
    assert row.reasons == ()
    assert (row.images, row.top1 > 0.9) == (397, True)
    # The 2.14 wheel's XNNPACK takes whole float graphs and no int8 ones.
    level = {"dynamic_int8": "partial", "int8": "none", "int8_qat": "none"}.get(precision, "full")
    assert row.placement.level == level


def test_plain_kernels_are_really_plain(digits):
    path, _ = _artifact(digits, "float32")
    net = runtime.load(path.read_bytes(), "litert", "none", 1, path)
    assert net.placement().level == "none"


def test_signature(digits):
    from ai_edge_litert.interpreter import Interpreter

    for precision in ALL:
        path, _ = _artifact(digits, precision)
        signature = Interpreter(model_path=str(path)).get_signature_list()
        assert signature == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}


def test_partial_delegation_is_counted():
    # A graph of two branches, as the interpreter lists it: nodes 0–2 in one partition, 3 outside.
    operators = [
        {"index": 0, "op_name": "CONV_2D", "inputs": [0, 10], "outputs": [1]},
        {"index": 1, "op_name": "RELU", "inputs": [1], "outputs": [2]},
        {"index": 2, "op_name": "ADD", "inputs": [1, 2], "outputs": [3]},
        {"index": 3, "op_name": "SOFTMAX", "inputs": [3], "outputs": [4]},
        {"index": 4, "op_name": "DELEGATE", "inputs": [0, 10], "outputs": [3]},
    ]
    found = interpreter.placement(operators)
    assert (found.level, found.nodes, found.delegated, found.partitions) == ("partial", 4, 3, 1)


def test_an_untrained_quantizer_is_refused():
    import tf_keras

    from converters.conversion.from_keras import Conversions
    from converters.conversion.quantize import Calibration
    from zoo.compression import qat

    layers = tf_keras.layers
    image = layers.Input((8, 8, 1), name="image")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, use_bias=False)(image)))
    x = layers.Dense(10)(layers.Flatten()(x))
    model = qat.for_qat(tf_keras.Model(image, x, name="tiny"))
    none = Calibration(np.zeros((0, 8, 8, 1), np.float32), 0, 1)
    with pytest.raises(ZooError, match="implausible scale"):
        Conversions(model, none).flatbuffer("int8_qat")


def test_impossible_precision(command, digits):
    done = command("convert", f"--run={RUN}", "--precision=int8_qat", f"--output={digits}")
    assert done.returncode == 1
    assert "scheme=qat" in done.stderr


def test_precision_grammar(digits):
    for path in (digits / "artifacts").glob("*.json"):
        artifact = Artifact.model_validate(json.loads(path.read_text()))
        assert artifact.precision in precisions.PRECISIONS
        assert artifact.name == path.stem
        assert artifact.name.endswith(f"-{artifact.precision}")


@pytest.mark.parametrize("cut", [0, 3, 8, 100, 5000])
def test_damaged_flatbuffer_is_refused(digits, cut):
    path, _ = _artifact(digits, "int8")
    with pytest.raises(ZooError, match=r"tflite"):
        counts.contents(path.read_bytes()[:cut], path)


@pytest.mark.slow
def test_jobs_convert_several_runs_at_a_time(command, digits, tmp_path):
    names = ("squeezenet_v1_1-digits", RUN)
    for name in names:
        shutil.copytree(digits / "runs" / name, tmp_path / "runs" / name)
    flags = (f"--run={','.join(names)}", "--precision=float32,int8", "--jobs=2")
    done = command("convert", *flags, "--raw_input", f"--output={tmp_path}")
    assert done.returncode == 0, done.stderr
    records, problems = read_records(tmp_path / "results.jsonl")
    assert problems == []
    made = {record.model for record in records}
    assert made == {f"{name}-raw_input-{p}" for name in names for p in ("float32", "int8")}
    for name in made:
        artifact = read_model(tmp_path / "artifacts" / f"{name}.json", Artifact, "manifest", "")
        assert artifact.inputs[0].dtype == "uint8"
        assert (artifact.preprocessing["mean"], artifact.preprocessing["std"]) == ([0], [1])


def test_a_card_tells_what_the_manifest_tells(digits):
    for precision in ALL:
        path, artifact = _artifact(digits, precision)
        model = read(path.read_bytes(), path)
        (entry,) = (one for one in model.metadata if one.name == "MODEL_CARD_JSON")
        card = json.loads(bytes(model.raw(entry.data)))
        assert card["name"] == artifact.name
        assert card["labels"] == list(artifact.labels)
        assert card["preprocessing"] == artifact.preprocessing
        assert card["parent_sha256"] == artifact.parent_sha256
        with zipfile.ZipFile(path) as files:
            assert files.read("labels.txt").decode().split() == list(artifact.labels)
