"""LiteRT's GPU engine on this computer: right and wrong values, what it refuses, its device."""

import ctypes.util

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.support.tiny_tflite import Builder, tiny_int8_model, tiny_model
from zoo import runtime
from zoo.errors import ZooError
from zoo.runtime import vulkan

RANDOM = np.random.default_rng(3)


def test_floats_are_those_of_the_processor(gpu, cpu, tmp_path):
    path = tiny_model(tmp_path / "tiny.tflite", flatten=True)
    images = RANDOM.standard_normal((4, 16, 16, 1)).astype(np.float32)
    found = gpu.outputs(path, images, "gpu")
    assert (found.dtype, found.shape) == (np.float32, (4, 10))
    np.testing.assert_allclose(found, cpu.outputs(path, images), atol=1e-5)
    placed = gpu.placement(path, "gpu")
    assert (placed.level, placed.nodes, placed.delegated, placed.refused) == ("full", 4, 4, ())
    assert placed.accelerator.name and placed.accelerator.driver
    assert placed.accelerator.computes_in in ("float16", "float32")


def test_integers_are_quantized_and_dequantized(gpu, cpu, tmp_path):
    path = tiny_int8_model(tmp_path / "tiny.tflite", flatten=True)
    images = RANDOM.standard_normal((4, 8, 8, 1)).astype(np.float32)
    found = gpu.outputs(path, images, "gpu")
    assert len(np.unique(found)) > 10
    np.testing.assert_allclose(found, cpu.outputs(path, images), atol=0.15 + 1e-6)  # one step


def test_it_is_the_engine_itself_with_its_faults(gpu, cpu, tmp_path):
    """A dense layer on maps that were not flattened: it takes it, and computes something else."""
    path = tiny_model(tmp_path / "tiny.tflite")
    images = RANDOM.standard_normal((4, 16, 16, 1)).astype(np.float32)
    assert gpu.placement(path, "gpu").level == "full"
    assert np.abs(gpu.outputs(path, images, "gpu") - cpu.outputs(path, images)).max() > 0.1


def test_a_stand_in_is_not_timed(gpu, tmp_path):
    path = tiny_model(tmp_path / "tiny.tflite")
    if not gpu.placement(path, "gpu").accelerator.stand_in:
        pytest.skip("this computer has a GPU")
    with pytest.raises(ZooError, match=r"no latency: .* stands in for one.*tiny\.tflite"):
        gpu.latency_us(path, "gpu", 1, 0.1)


def test_what_it_refuses_is_told_in_its_words(gpu, cpu, tmp_path):
    """The floor of a quotient is not among its operators of int32; the rest is."""
    build = Builder()
    image = build.tensor("image", (1, 4, 4, 1))
    hidden = build.tensor("relu", (1, 4, 4, 1))
    places = build.tensor("places", (1, 4, 4), None)
    build.graph.tensors[places].type = schema.TensorType.INT64
    axis = build.tensor("axis", (), np.array(3.0))
    build.graph.tensors[axis].type = schema.TensorType.INT32
    build.model.buffers[-1].data = np.frombuffer(np.int32(3).tobytes(), np.uint8)
    options, code = schema.BuiltinOptions, schema.BuiltinOperator
    build.operator(code.RELU, [image], hidden, options.NONE, None)
    build.operator(code.ARG_MAX, [hidden, axis], places, options.ArgMaxOptions, argmax())
    path = tmp_path / "argmax.tflite"
    path.write_bytes(build.finish(image, places))
    placed = gpu.placement(path, "gpu")
    assert (placed.level, placed.nodes, placed.delegated) == ("partial", 2, 1)
    (reason,) = placed.refused
    assert reason.startswith("ARG_MAX: ")


def argmax():
    options = schema.ArgMaxOptionsT()
    options.outputType = schema.TensorType.INT64
    return options


def test_what_is_no_file_is_refused(gpu, tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    with pytest.raises(ZooError, match=r"cannot load this \.tflite.*broken\.tflite"):
        gpu.placement(path, "gpu")
    with pytest.raises(ZooError, match="unknown delegate of litert_gpu 'xnnpack'"):
        gpu.placement(path, "xnnpack")
    with pytest.raises(ZooError, match="only an interpreter keeps"):
        gpu.tensors(tiny_model(tmp_path / "tiny.tflite"), np.zeros((16, 16, 1), np.float32))


def test_without_a_device_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(vulkan, "_CHROMIUM", ())
    monkeypatch.setattr(ctypes.util, "find_library", lambda _: None)
    monkeypatch.setattr(vulkan, "_loaded", lambda _: None)
    with pytest.raises(ZooError, match=r"no Vulkan device.*got: neither.*apt-get install chromium"):
        vulkan.prepare()
    monkeypatch.setenv("VK_DRIVER_FILES", "/nowhere.json")
    with pytest.raises(ZooError, match="VK_ICD_FILENAMES name no device"):
        vulkan.prepare()


def test_which_delegates_an_engine_runs():
    assert runtime.delegates("litert", ["none", "gpu"]) == ("none",)
    assert runtime.delegates("litert_gpu", ["xnnpack"]) == ("gpu",)
    assert runtime.delegates("litert_npu", ["none"], "SM8450") == ("npu:SM8450",)
    with pytest.raises(ZooError, match="unknown --soc 'SM8250'"):
        runtime.delegates("litert_npu", [], "SM8250")
    with pytest.raises(ZooError, match=r"litert has none.*got: gpu.*--runtime=litert_gpu"):
        runtime.delegates("litert", ["gpu"])
    with pytest.raises(ZooError, match="unknown runtime"):
        runtime.delegates("gpu", ["gpu"])
