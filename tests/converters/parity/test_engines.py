"""What an engine computes against the CPU: the operators that it gets wrong are found and named."""

import json
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from converters.parity import engines
from converters.parity.cut import Graph
from converters.parity.engines import Inputs
from converters.parity.first_wrong import first_wrong
from converters.parity.tensor_inputs import random_inputs
from tests.conftest import ROOT
from tests.support import wrong_operators
from tests.support.tflite_samples import foreign
from tests.support.tiny_tflite import Builder, tiny_int8_model, tiny_model
from zoo.errors import ZooError

CODE, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions
FOREIGN = ROOT.parent / "shared" / "data" / "foreign_tflite"


def quiet(_):
    pass


@pytest.mark.parametrize("made", wrong_operators.ALL)
def test_an_operator_that_the_gpu_engine_gets_wrong_is_named(cpu, gpu, tmp_path, made):
    path = tmp_path / "wrong.tflite"
    index, operator, options = made(path)
    inputs = random_inputs(path, 6)
    (row,) = engines.compare(path, Inputs(inputs), cpu, [(gpu, "gpu")], quiet)
    assert row.placement.level == "full", "it takes what it gets wrong"
    assert any("the outputs depart" in reason for reason in row.reasons)
    assert (row.first.index, row.first.operator) == (index, operator)
    assert options in row.first.options
    assert row.first.sqnr_db < 20


@pytest.mark.parametrize("made", wrong_operators.ALL)
def test_the_npu_computes_them_right(cpu, npu, tmp_path, made):
    path = tmp_path / "right.tflite"
    made(path)
    inputs = random_inputs(path, 6)
    (row,) = engines.compare(path, Inputs(inputs), cpu, [(npu, "npu")], quiet)
    assert row.reasons == () and row.first is None


def test_networks_that_are_right_pass(cpu, gpu, tmp_path):
    for make in (tiny_model, tiny_int8_model):
        path = make(tmp_path / f"{make.__name__}.tflite", flatten=True)
        inputs = random_inputs(path, 6)
        (row,) = engines.compare(path, Inputs(inputs), cpu, [(gpu, "gpu")], quiet)
        assert (row.reasons, row.first) == ((), None)
        assert row.inferences == 6 and row.agreement == 1


def test_an_error_on_another_branch_is_found(tmp_path):
    """Halving goes by the order of execution; the first wrong one may be on another branch."""
    build = Builder()
    shape = (1, 4, 4, 1)
    image = build.tensor("image", shape)
    left, right, right2, end = (build.tensor(n, shape) for n in ("left", "right", "right2", "end"))
    build.operator(CODE.ABS, [image], left, OPTIONS.AbsOptions, schema.AbsOptionsT())
    build.operator(CODE.NEG, [image], right, OPTIONS.NegOptions, schema.NegOptionsT())
    build.operator(CODE.NEG, [right], right2, OPTIONS.NegOptions, schema.NegOptionsT())
    build.operator(CODE.ADD, [left, right2], end, OPTIONS.AddOptions, schema.AddOptionsT())
    path = tmp_path / "branches.tflite"
    path.write_bytes(build.finish(image, end))
    assert Graph(path.read_bytes(), path).before == [(), (), (1,), (0, 2)]
    assert Graph(path.read_bytes(), path).computing() == [0, 1, 2, 3]

    class Exact:
        """Runs cut graphs with NumPy; `wrong` operators add one."""

        def __init__(self, wrong=()):
            self.wrong = wrong

        def run_tensors(self, part, inputs, _):
            model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(part.read_bytes(), 0))
            graph = model.subgraphs[0]
            values = dict(zip(map(int, graph.inputs), inputs, strict=True))
            for op in graph.operators:
                name = graph.tensors[op.outputs[0]].name.decode()
                given = [values[int(i)] for i in op.inputs]
                made = {"left": np.abs, "end": np.add}.get(name, np.negative)(*given)
                values[int(op.outputs[0])] = made + (name in self.wrong)
            return [values[int(i)] for i in graph.outputs]

    inputs = random_inputs(path, 3)
    for wrong, index in (("left", 0), ("right", 1), ("right2", 2), ("end", 3)):
        found = first_wrong(path, inputs, Exact(), Exact({wrong}), "", "float32")
        assert found.index == index, wrong
    assert first_wrong(path, inputs, Exact(), Exact(), "", "float32") is None


def test_a_graph_is_cut_after_any_operator(cpu):
    path = foreign("face_detection_front")
    content = path.read_bytes()
    graph = Graph(content, path)
    order = graph.computing()
    inputs = random_inputs(path, 1)
    whole = cpu.all_tensors(path, [values[0] for values in inputs])
    part = Path(cpu.child.folder(), "part.tflite")
    for index in order[:: len(order) // 5]:
        cut = graph.after(index)
        part.write_bytes(cut.content)
        given = [inputs[place] for place in cut.inputs]
        (found,) = cpu.run_tensors(part, given, "none")
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0)).subgraphs[0]
        name = model.tensors[model.operators[index].outputs[0]].name.decode()
        np.testing.assert_allclose(found[0], whole[name], atol=1e-5)
    part.unlink()


def test_control_flow_is_not_cut():
    path = foreign("okay_nabu")
    with pytest.raises(ZooError, match=r"several subgraphs.*got: 2 subgraphs"):
        Graph(path.read_bytes(), path)


def test_values_beyond_float16_are_listed(cpu, tmp_path):
    build = Builder()
    image, large, end = (build.tensor(name, (1, 4)) for name in ("image", "large", "end"))
    factor = build.tensor("factor", (), np.array(1e6))
    small = build.tensor("small", (), np.array(1e-6))
    build.operator(CODE.MUL, [image, factor], large, OPTIONS.MulOptions, schema.MulOptionsT())
    build.operator(CODE.MUL, [large, small], end, OPTIONS.MulOptions, schema.MulOptionsT())
    path = tmp_path / "large.tflite"
    path.write_bytes(build.finish(image, end))
    inputs = [np.full((2, 1, 4), 0.5, np.float32)]
    assert engines.beyond_float16(path, inputs, cpu) == {"large": 5e5}
    assert engines.beyond_float16(path, [inputs[0] / 10], cpu) == {}


@pytest.mark.slow
def test_the_command_on_a_file_of_another_maker(command, cpu, gpu, npu):
    path = FOREIGN / "mlcommons_tiny__pretrainedResnet.tflite"
    if not path.exists():
        pytest.skip(f"the file is not at {path}")
    done = command("verify", str(path), "--runtime=litert_gpu,litert_npu", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [row["runtime"] for row in told["rows"]] == ["litert_gpu", "litert_npu"]
    assert all(row["placement"]["level"] == "full" for row in told["rows"])
    assert told["beyond_float16"] == {str(path): {}}


def test_the_command_names_the_operator(command, gpu, tmp_path):
    path = tmp_path / "wrong.tflite"
    wrong_operators.pointwise_stride_2(path)
    done = command("verify", str(path), str(tmp_path / "none.tflite"), "--runtime=litert_gpu")
    assert done.returncode == 1
    assert "first wrong: operator 0, CONV_2D (conv), " in done.stdout
    assert "of 20 random inputs" in done.stdout
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("error")]
    assert "none.tflite" in line
