"""Runs a `.tflite` as the NPU of a Snapdragon would: compiled, on Qualcomm's emulator.

The emulator executes the NPU's own code on the processor. It gives the NPU's numbers, not its time.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.io.stderr import captured
from zoo.runtime import npu_compiler
from zoo.runtime.interpreter import computes_in_integers, details
from zoo.runtime.net import Net
from zoo.runtime.npu_compiler import SOCS, Compiled
from zoo.schema.measurement import Accelerator, Placement

_PROVIDER = "QNNExecutionProvider"
_CUSTOM = b"DISPATCH_OP"
_COMPILING_S = 60.0  # a network takes one second; an emulated one must not wait for what hangs


class NpuNet(Net):
    """A network that the NPU runs whole, on its emulator."""

    def __init__(self, content: bytes, soc: str, where: object):
        super().__init__(*details(content, where))
        self._compiled = compiled(content, soc, where)
        if not self._compiled.whole:
            raise ZooError(
                f"the NPU of {soc} does not run this file whole, which the emulator needs",
                where=where,
                expected=f"{self._compiled.nodes} operators in one partition",
                got=f"{self._compiled.taken} in {self._compiled.partitions}",
                remedy="zoo compile tells what is left to the CPU and why",
            )
        self._session, self._inputs, self._outputs = _session(self._compiled, where)
        self._integers = computes_in_integers(content, where)
        self._feed: dict[str, np.ndarray] = {}
        self._results: dict[str, np.ndarray] = {}

    def set_inputs(self, values: Sequence[np.ndarray]) -> None:
        """Sets the input tensors from arrays of their shapes and dtypes."""
        named = zip(self.input_details, values, strict=True)
        given = {each["name"]: np.ascontiguousarray(value) for each, value in named}
        self._feed = {name: given[name] for name in self._inputs}

    def invoke(self) -> None:
        """Runs one inference on the inputs that were set."""
        values = self._session.run(None, self._feed)
        self._results = dict(zip(self._outputs, values, strict=True))

    def get_outputs(self) -> list[np.ndarray]:
        """Returns the output tensors in their dtypes."""
        return [self._results[each["name"]] for each in self.output_details]

    def placement(self) -> Placement:
        """Returns how many operators of the graph run on the NPU."""
        return placed(self._compiled, self._integers)


def placed(made: Compiled, integers: bool) -> Placement:
    """Returns where the operators of a compiled file run.

    Args:
        made: The compiled file.
        integers: Whether it computes in integers; the NPU computes everything else in float16.
    """
    soc = SOCS[made.soc]
    hexagon = "Hexagon" if soc.hexagon is None else f"Hexagon v{soc.hexagon}"
    level = "none" if not made.taken else "full" if made.taken == made.nodes else "partial"
    return Placement(
        level=level,
        nodes=made.nodes,
        delegated=made.taken,
        partitions=made.partitions,
        refused=tuple(dict.fromkeys(f"{left.name}: {left.reason}" for left in made.left)),
        accelerator=Accelerator(
            name=f"{hexagon} of {made.soc}",
            driver=f"QNN {made.sdk}, emulated",
            computes_in="integers" if integers else "float16",
            stand_in=True,
        ),
    )


def placement(content: bytes, soc: str, where: object) -> Placement:
    """Returns how many operators of any `.tflite` run on the NPU, and which ones are left.

    Args:
        content: Content of the file, whose hash must have been checked.
        soc: A key of `npu_compiler.SOCS`.
        where: Name of the file, shown in error messages.

    Raises:
        ZooError: as `npu_compiler.compile`.
    """
    integers = computes_in_integers(content, where)  # first: LiteRT's refusals are plainer
    return placed(compiled(content, soc, where), integers)


def check() -> None:
    """Raises a ZooError if the extra `npu` is not installed."""
    npu_compiler.libraries()
    try:
        import onnx  # noqa: F401
        import onnxruntime_qnn  # noqa: F401
    except ImportError as error:
        raise ZooError(
            "the NPU's emulator can't be loaded", got=error, remedy=npu_compiler.REMEDY
        ) from error


# Compiling takes seconds, and a file is asked for its placement and then for outputs.
_last: dict[tuple[bytes, str], Compiled] = {}


def compiled(content: bytes, soc: str, where: object) -> Compiled:
    """Compiles a file, or returns what was made of it last; as `npu_compiler.compile`."""
    key = sha256(content).digest(), soc
    if key not in _last:
        made = npu_compiler.compile(content, soc, where, _COMPILING_S)
        _last.clear()
        _last[key] = made
    return _last[key]


def _session(made: Compiled, where: object) -> tuple[Any, list[str], list[str]]:
    """Returns the session of the only partition, and the names of its inputs and outputs."""
    check()
    import onnxruntime
    import onnxruntime_qnn
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils
    from flatbuffers import flexbuffers
    from onnx import TensorProto, helper

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(made.content, 0))
    graph = model.subgraphs[0]
    (operator,) = graph.operators
    code = model.operatorCodes[operator.opcodeIndex].customCode
    if code != _CUSTOM:
        raise ZooError("the compiled file has no code for the NPU", where=where, got=code)
    options = flexbuffers.Loads(bytes(operator.customOptions))
    start, size = options["bytecode_offset"], options["bytecode_size"]
    types = {
        schema.TensorType.INT8: TensorProto.INT8,
        schema.TensorType.UINT8: TensorProto.UINT8,
        schema.TensorType.INT16: TensorProto.INT16,
        schema.TensorType.INT32: TensorProto.INT32,
        schema.TensorType.INT64: TensorProto.INT64,
        schema.TensorType.BOOL: TensorProto.BOOL,
        schema.TensorType.FLOAT32: TensorProto.FLOAT,
    }

    def value(index: int) -> Any:
        tensor = graph.tensors[index]
        if tensor.type not in types:
            raise ZooError(
                "the NPU's emulator does not take this type of input or output",
                where=where,
                got=flatbuffer_utils.type_to_name(tensor.type).lower(),
            )
        shape = [int(side) for side in tensor.shape]
        return helper.make_tensor_value_info(tensor.name.decode(), types[tensor.type], shape)

    inputs = [value(index) for index in operator.inputs]
    outputs = [value(index) for index in operator.outputs]
    node = helper.make_node(
        "EPContext",
        [each.name for each in inputs],
        [each.name for each in outputs],
        name=options["name"],
        domain="com.microsoft",
        embed_mode=1,
        ep_cache_context=made.content[start : start + size],
        main_context=1,
        source=_PROVIDER,
        partition_name=options["name"],
    )
    network = helper.make_model(
        helper.make_graph([node], "npu", inputs, outputs),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)],
        ir_version=10,
    )
    with captured():
        _register()
        devices = [each for each in onnxruntime.get_ep_devices() if each.ep_name == _PROVIDER]
        settings = onnxruntime.SessionOptions()
        settings.add_provider_for_devices(
            devices[:1],
            {
                "backend_path": onnxruntime_qnn.get_qnn_htp_path(),
                "soc_model": str(SOCS[made.soc].number),
            },
        )
        try:
            session = onnxruntime.InferenceSession(network.SerializeToString(), settings)
        except Exception as error:  # onnxruntime's exceptions have no other base class
            raise ZooError(
                "the NPU's emulator cannot load the compiled file", where=where, got=error
            ) from error
    return session, [each.name for each in inputs], [each.name for each in outputs]


@functools.cache
def _register() -> None:
    import onnxruntime
    import onnxruntime_qnn

    onnxruntime.register_execution_provider_library(_PROVIDER, onnxruntime_qnn.get_library_path())


def load(content: bytes, soc: str, where: object) -> NpuNet:
    """Loads any `.tflite` that the NPU runs whole.

    Args:
        content: Content of the file, whose hash must have been checked.
        soc: A key of `npu_compiler.SOCS`.
        where: Name of the file, shown in error messages.

    Raises:
        ZooError: if the extra is not installed, or the compiler fails or leaves operators to the
            CPU.
    """
    return NpuNet(content, soc, where)
