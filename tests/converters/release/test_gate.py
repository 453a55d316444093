"""The gate of a release: files that an engine computes wrong are caught, named and refused."""

import json
import re
import shutil
from contextlib import ExitStack
from hashlib import sha256
from unittest import mock

import numpy as np
import pytest

from converters.conversion import from_keras
from converters.conversion.quantize import Calibration
from converters.parity import engines, evidence
from converters.parity.engines import Inputs
from converters.release import gate
from tests.support import report_samples as samples
from tests.support import small_networks, wrong_operators
from zoo import runtime
from zoo.lowering import operator_forms
from zoo.schema.engine_check import EngineCheck, WrongOperator
from zoo.schema.measurement import Accelerator, Configuration, Placement

RUN = "squeezenet_v1_1-digits-pruned"
GPU = Accelerator(name="a GPU", driver="1", computes_in="float32", stand_in=False)


def artifact(precision="int8"):
    return samples.artifact("net", precision=precision)


def check(of, engine="litert_gpu", **changes):
    fields = {
        "time_utc": "2026-01-01T00:00:00+00:00", "command": ("zoo", "prove"), "versions": {},
        "model": of.name, "model_sha256": of.sha256, "precision": of.precision,
        "dataset": of.dataset, "images": 500, "test_images": 10_000, "method": evidence.METHOD,
        "device": samples.HOST,
        "configuration": Configuration(
            runtime=engine, runtime_version=runtime.version(engine), delegate="gpu", threads=1
        ),
        "placement": Placement(level="full", nodes=3, delegated=3, accelerator=GPU),
        "agreement": 0.996, "top1": 0.9, "cpu_top1": 0.902, "valid": True,
    }  # fmt: skip
    return EngineCheck.model_validate(fields | changes)


def test_agreement_opens_the_gate_and_is_told():
    file = artifact()
    line = check(file)
    assert gate.problems(file, [line], ["litert_gpu"]) == []
    (told,) = gate.results(file, [line])
    assert (told.engine, told.kind, told.accelerator) == ("litert_gpu", "gpu", "a GPU")
    assert (told.whole, told.images, told.agreement, told.top1) == (True, 500, 0.996, 0.9)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"agreement": 0.989}, "too few images agree with the CPU, limit 99 %"),
        ({"images": 499}, "only 499 images were compared, expected 500"),
        ({"reasons": ("the outputs depart: 3.0 dB",)}, "the outputs depart: 3.0 dB"),
        ({"valid": False, "agreement": None}, "too few images agree"),
        ({"method": evidence.METHOD + 1}, "nothing shows what litert_gpu"),
        ({"model_sha256": "0" * 64}, "nothing shows what litert_gpu"),
    ],
)
def test_what_closes_it(changes, why):
    file = artifact()
    (found,) = gate.problems(file, [check(file, **changes)], ["litert_gpu"])
    assert why in found


def test_a_small_test_split_is_used_whole():
    file = artifact()
    assert gate.problems(file, [check(file, images=397, test_images=397)], ["litert_gpu"]) == []


def test_floats_must_agree_more_closely():
    file = artifact("float16")
    (found,) = gate.problems(file, [check(file, agreement=0.994)], ["litert_gpu"])
    assert "limit 99.5 %" in found


def test_an_older_engine_counts_only_for_what_is_released_already():
    file = artifact()
    ran = Configuration(runtime="litert_gpu", runtime_version="0.1", delegate="gpu", threads=1)
    old = check(file, configuration=ran)
    (found,) = gate.problems(file, [old], ["litert_gpu"])
    assert f"nothing shows what litert_gpu {runtime.version('litert_gpu')} computes" in found
    assert gate.problems(file, [old], ["litert_gpu"], of_this_version=False) == []


def test_engines_are_asked_only_for_precisions_that_they_are_for():
    assert gate.problems(artifact("dynamic_int8"), [], ["litert_npu"]) == []
    assert gate.problems(artifact("int16x8"), [], ["litert_gpu", "litert_npu"]) == []
    assert len(gate.problems(artifact("int8"), [], ["litert_npu"])) == 1
    assert len(gate.problems(artifact("int16x8"), [], ["tflite_runtime"])) == 1


def test_the_operator_is_named():
    file = artifact()
    wrong = WrongOperator(index=3, operator="CONV_2D", layer="stem", options="stride_w=2")
    line = check(file, reasons=("it departs",), first_wrong=wrong)
    assert gate.problems(file, [line], ["litert_gpu"]) == [
        "litert_gpu, gpu: it departs",
        "litert_gpu, gpu: first wrong operator: CONV_2D (stride_w=2)",
    ]


def test_operators_that_the_gpu_computes_wrong_are_not_published(command, digits, gpu, tmp_path):
    """Real files, in the place of those that were converted."""
    output = tmp_path / "output"
    shutil.copytree(digits, output)
    expected = {}
    for write, precision in zip(wrong_operators.ALL, ("float32", "int8", "float16"), strict=True):
        path = output / "artifacts" / f"{RUN}-{precision}.tflite"
        _, operator, options = write(path, classes=10)
        expected[precision] = rf"first wrong operator: {operator} \([^|;]*{options}"
        replace(path)
    names = ",".join(f"{RUN}-{precision}" for precision in expected)
    there = f"--output={output}"
    flags = (f"--artifact={names}", "--runtime=litert_gpu", "--images=40", there)
    done = command("prove", *flags)
    assert done.returncode == 1, done.stderr
    assert "3 of 3 cases fail" in done.stdout
    again = command("prove", *flags)
    assert again.returncode == 1
    assert "0 of 3 cases left" in again.stderr

    done = command(
        "publish", f"--run={RUN}", f"--precision={','.join(expected)}", there,
        "--engines=litert_gpu", f"--release={tmp_path / 'release'}",
    )  # fmt: skip
    assert done.returncode == 1
    for precision, named in expected.items():
        assert re.search(f"{RUN}-{precision} is not published: .*{named}", done.stderr)
    assert not list(tmp_path.glob("release/artifacts/*.tflite"))


def test_the_cpu_is_not_compared_with_itself(command, digits):
    done = command("prove", "--runtime=litert", f"--output={digits}")
    assert done.returncode == 1
    assert "unknown --runtime 'litert'" in done.stderr


def replace(path):
    """Makes the manifest next to a file one of this file."""
    manifest = path.with_suffix(".json")
    told = json.loads(manifest.read_text())
    net = runtime.load(path.read_bytes(), "litert", "none", 1, path)
    told["inputs"] = [each.model_dump(mode="json") for each in net.inputs()]
    told["outputs"] = [each.model_dump(mode="json") for each in net.outputs()]
    told["sha256"] = sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(told))


@pytest.mark.slow
def test_a_cse_network_as_it_was_lowered_before_is_caught(cpu, gpu, tmp_path):
    network = small_networks.build("mobilenet_v2_cse")
    for layer in network.layers:
        if hasattr(layer, "alpha"):  # trained slopes of either sign
            layer.set_weights([np.full_like(weight, -0.3) for weight in layer.get_weights()])
    images, _ = small_networks.pictures(network)
    path = tmp_path / "before.tflite"
    for precision, operators in (
        ("float32", {"LEAKY_RELU", "DEPTHWISE_CONV_2D"}),
        ("int8", {"LEAKY_RELU", "CONV_2D", "MUL", "DEPTHWISE_CONV_2D"}),
    ):
        with ExitStack() as stack:
            for form in ("prelu", "two_slopes"):
                stack.enter_context(
                    mock.patch.object(operator_forms, form, operator_forms.leaky_relu)
                )
            stack.enter_context(
                mock.patch.object(from_keras, "for_every_engine", lambda content, integers: content)
            )
            made = from_keras.Conversions(network, Calibration(images, -1, 1))
            path.write_bytes(made.flatbuffer(precision))
        net = runtime.load(path.read_bytes(), "litert", "none", 1, path)
        values = np.stack([net.quantized(image)[np.newaxis] for image in images])
        (row,) = engines.compare(path, Inputs([values]), cpu, [(gpu, "gpu")], lambda _: None)
        assert any("the outputs depart" in reason for reason in row.reasons), precision
        assert row.first.operator in operators
