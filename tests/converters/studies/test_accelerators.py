"""What phones' engines do with a file becomes a row, whatever they do."""

import numpy as np
import pytest

from converters.studies import accelerators
from converters.studies.accelerator_rows import line
from converters.studies.coverage_table import CoverageRow
from tests.conftest import ROOT
from tests.support import wrong_operators
from tests.support.tiny_tflite import tiny_int8_model
from zoo.catalog.precisions import PRECISIONS
from zoo.errors import UnknownNameError, ZooError
from zoo.io.files import sha256_of
from zoo.runtime.engines import ACCELERATORS, version
from zoo.runtime.sandbox import Sandbox

IMAGES = np.random.default_rng(5).standard_normal((3, 8, 8, 1)).astype(np.float32)


def quiet(_):
    pass


def of(path, precision="int8"):
    return CoverageRow(model="tiny", precision=precision, sha256=sha256_of(path))


def test_each_precision_runs_where_it_is_meant_to(tmp_path):
    path = tiny_int8_model(tmp_path / "tiny-int8.tflite")
    engines = [name for name in ACCELERATORS.values() if _installed(name)]
    delegates = {
        precision: [
            delegate for _, delegate in accelerators.cases(of(path, precision), engines).values()
        ]
        for precision in PRECISIONS
    }
    npus = ["npu:SM8450", "npu:SM8650", "npu:SM8750"] if "litert_npu" in engines else []
    assert delegates["int8"] == delegates["float16"] == ["gpu", *npus]
    assert delegates["float32"] == delegates["dynamic_int8"] == delegates["int8_qat"] == ["gpu"]
    assert delegates["int16x8"] == []
    failed = CoverageRow(model="tiny", precision="int8", reason="the quantizer refuses it")
    assert accelerators.cases(failed, engines) == {}
    with pytest.raises(UnknownNameError):
        accelerators.cases(of(path, "int9"), engines)


def test_the_gpu_engine_has_placement_and_ratio(cpu, gpu, tmp_path):
    path = tiny_int8_model(tmp_path / "tiny-int8.tflite", flatten=True)
    row = accelerators.examine(path, of(path), "gpu", IMAGES, cpu, gpu, quiet)
    assert (row.placement.level, row.placement.nodes, row.compiled) == ("full", 2, None)
    assert row.on_images.images == 3 and row.on_images.reasons == ()
    assert row.on_images.sqnr_db is None or row.on_images.sqnr_db > 20
    assert row.key in accelerators.cases(of(path), ["litert_gpu"])
    assert line(row).startswith("tiny int8 on gpu: 2 of 2 operators; ")


def test_what_departs_is_named(cpu, gpu, tmp_path):
    path = tmp_path / "wrong.tflite"
    _, operator, _ = wrong_operators.leaky_relu(path, classes=10)
    row = accelerators.examine(path, of(path, "float32"), "gpu", IMAGES, cpu, gpu, quiet)
    assert row.on_images.first.operator == operator and row.on_images.sqnr_db < 20
    assert "the outputs depart" in row.on_images.reasons[0]
    assert row.reason is None and row.settles(1e9)


def test_the_npu_is_compiled_for_and_emulated(cpu, npu, tmp_path):
    path = tiny_int8_model(tmp_path / "tiny-int8.tflite", flatten=True)
    rows = {
        delegate: accelerators.examine(path, of(path), delegate, IMAGES, cpu, npu, quiet)
        for delegate in ("npu:SM8450", "npu:SM8650")
    }
    for delegate, row in rows.items():
        assert row.compiled.whole and row.compiled.soc == delegate.removeprefix("npu:")
        assert row.compiled.parent_sha256 == row.sha256
        assert set(row.versions) == {"ai-edge-litert", "onnxruntime-qnn"}
        assert row.key in accelerators.cases(of(path), ["litert_npu"])
    assert rows["npu:SM8450"].on_images is None and rows["npu:SM8450"].reason is None
    assert rows["npu:SM8650"].on_images.largest <= 0.15 + 1e-6, "a step of int8"
    assert rows["npu:SM8650"].placement.accelerator.driver.startswith("QNN ")


def test_a_file_that_the_npu_runs_in_parts_is_not_emulated(cpu, npu):
    path = ROOT / "release" / "artifacts" / "resnet20-fashion_mnist-dynamic_int8.tflite"
    images = np.zeros((1, 32, 32, 1), np.float32)
    row = accelerators.examine(path, of(path), "npu:SM8650", images, cpu, npu, quiet)
    assert not row.compiled.whole and row.compiled.left[0].operator == "CONV_2D"
    assert (row.on_images, row.reason) == (None, None)


def test_a_compiler_that_does_not_end_is_a_row_with_its_reason(cpu, npu, tmp_path):
    path = tiny_int8_model(tmp_path / "tiny-int8.tflite", flatten=True)
    with Sandbox("litert_npu", 0.001) as hurried:
        row = accelerators.examine(path, of(path), "npu:SM8650", IMAGES, cpu, hurried, quiet)
    assert row.compiled is None and row.on_images is None
    assert row.reason.startswith("the NPU's compiler for SM8650 did not end")
    assert row.settles(0.001) and not row.settles(300)


def test_an_engine_that_does_not_end_is_a_row_with_its_reason(cpu, gpu, tmp_path):
    path = tiny_int8_model(tmp_path / "tiny-int8.tflite", flatten=True)
    with Sandbox("litert_gpu", 0.001) as hurried:
        row = accelerators.examine(path, of(path), "gpu", IMAGES, cpu, hurried, quiet)
    assert row.on_images is None and "timed out" in row.reason
    assert not row.settles(300)


def _installed(name):
    try:
        version(name)
    except ZooError:
        return False
    return True
