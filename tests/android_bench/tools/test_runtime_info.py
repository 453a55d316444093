"""The exported runtime information, written by LiteRT's own schema and read by ours."""

from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from google.protobuf.unknown_fields import UnknownFieldSet  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from android_bench.tools.delegates import Delegate
from android_bench.tools.protobuf_wire import fields, integers
from android_bench.tools.runtime_info import placement_of
from tests.support.litert_protos import messages
from zoo.errors import ZooError
from zoo.schema.measurement import Placement

ModelRuntimeDetails = messages()["ModelRuntimeDetails"]
RuntimeSubgraph = messages()["RuntimeSubgraph"]
GPU, XNNPACK, NONE = Delegate("gpu"), Delegate("xnnpack"), Delegate("none")
Kernels = tuple[tuple[str, tuple[int, ...]], ...]


def details(names: tuple[str, ...], kernels: Kernels, plan: tuple[int, ...]) -> Any:
    """A graph of operators, then a node for each delegate's kernel."""
    message = ModelRuntimeDetails(model_name="m")
    graph = message.subgraphs.add(
        subgraph_id=0, subgraph_type=RuntimeSubgraph.TFLITE_SUBGRAPH, name="main"
    )
    graph.edges.add(id=0, name="image", shape=[1, 224, 224, 3], size=602112)
    for number, name in enumerate(names):
        graph.nodes.add(id=number, name=name, type="3", inputs=[0, -1], outputs=[number + 300])
    for number, (delegate, replaced) in enumerate(kernels, start=len(names)):
        node = graph.nodes.add(id=number, name=delegate)
        node.delegate_node_details.delegate_name = delegate
        node.delegate_node_details.tflite_node_ids_replaced.extend(replaced)
        for part in replaced:
            graph.nodes[part].delegated_to_node_id = number
    graph.execution_plan.extend(plan)
    message.subgraphs.add(subgraph_id=1, execution_plan=[0])
    return message


NAMES = ("CONV_2D", "CONV_2D", "ARG_MAX", "RESHAPE", "SOFTMAX")
MIXED = details(
    NAMES, (("LITERT_CL", (0, 1)), ("TfLiteXNNPackDelegate", (3, 4))), (5, 2, 6)
).SerializeToString()


def test_partly_on_the_gpu():
    assert placement_of(MIXED, GPU) == Placement(
        level="partial", nodes=5, delegated=2, partitions=1,
        left={"ARG_MAX": 1, "RESHAPE": 1, "SOFTMAX": 1},
    )  # fmt: skip
    assert placement_of(MIXED, XNNPACK).left == {"CONV_2D": 2, "ARG_MAX": 1}
    anything = placement_of(MIXED, NONE)
    assert (anything.level, anything.delegated, anything.partitions) == ("partial", 4, 2)
    outside = placement_of(MIXED, Delegate("nnapi"))
    assert (outside.level, outside.delegated, outside.partitions) == ("none", 0, 0)


def test_all_of_it():
    message = details(NAMES, (("TfLiteGpuDelegateV2", (0, 1, 2, 3, 4)),), (5,))
    found = placement_of(message.SerializeToString(), GPU)
    assert found == Placement(level="full", nodes=5, delegated=5, partitions=1, left={})


def test_no_delegate():
    data = details(NAMES, (), (0, 1, 2, 3, 4)).SerializeToString()
    found = placement_of(data, NONE)
    assert (found.level, found.nodes, found.partitions) == ("none", 5, 0)


@pytest.mark.parametrize(
    ("kernels", "plan"),
    [
        ((("LITERT_CL", (0, 1)),), (5, 1, 2, 3, 4)),  # node 1 runs twice
        ((("LITERT_CL", (0, 1)),), (5, 5, 2)),
        ((), (0, 0, 1, 2, 3, 4)),
        ((("LITERT_CL", (0, 1)), ("LITERT_CL", (1, 2))), (5, 6)),
        ((("LITERT_CL", (0, 1)),), (5, 9)),
        ((("LITERT_CL", (0, 1)),), ()),
    ],
)
def test_contradictions_are_refused(kernels: Kernels, plan: tuple[int, ...]):
    with pytest.raises(ZooError, match="runtime information is invalid"):
        placement_of(details(NAMES, kernels, plan).SerializeToString(), GPU)


def test_a_kernel_of_nodes_that_do_not_exist():
    message = details(NAMES, (("LITERT_CL", (0,)),), (5, 1, 2, 3, 4))
    replaced = message.subgraphs[0].nodes[5].delegate_node_details.tflite_node_ids_replaced
    for wrong in (77, 5, -1):
        replaced[:] = [wrong]
        with pytest.raises(ZooError, match="runtime information is invalid"):
            placement_of(message.SerializeToString(), GPU)


def test_no_first_subgraph():
    message = details(NAMES, (), (0, 1, 2, 3, 4))
    del message.subgraphs[0]
    with pytest.raises(ZooError, match="no first subgraph"):
        placement_of(message.SerializeToString(), GPU)


def test_cut_off_anywhere_is_refused_or_true():
    whole = placement_of(MIXED, GPU)
    found = []
    for end in range(len(MIXED)):
        try:
            found.append(placement_of(MIXED[:end], GPU))
        except ZooError:
            continue
    assert all(one == whole for one in found)
    # Only where the cut is between the subgraphs.
    assert 1 <= len(found) <= 2


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes):
    try:
        placement_of(data, GPU)
    except ZooError as error:
        assert "\n" not in str(error)


@given(st.lists(st.tuples(st.integers(0, len(MIXED) - 1), st.integers(0, 255)), max_size=3))
def test_spoilt_bytes(changes: list[tuple[int, int]]):
    data = bytearray(MIXED)
    for at, value in changes:
        data[at] = value
    try:
        found = placement_of(bytes(data), GPU)
    except ZooError:
        return
    assert found.nodes is not None and found.delegated is not None and found.left is not None
    assert 0 <= found.delegated <= found.nodes == found.delegated + sum(found.left.values())


@given(st.binary(max_size=60))
def test_the_wire_is_read_as_the_library_reads_it(data: bytes):
    try:
        found = list(fields(data))
    except ZooError:
        return
    empty = Empty()
    try:
        empty.ParseFromString(data)
    except DecodeError:
        return
    theirs = [(field.field_number, field.data) for field in UnknownFieldSet(empty)]
    assert [number for number, _ in theirs] == [number for number, _ in found]
    for (_, value), (_, ours) in zip(theirs, found, strict=True):
        if isinstance(ours, int) or isinstance(value, bytes):  # fixed ones are numbers to it
            assert value == ours


def test_long_and_broken_numbers():
    assert integers(b"\x01\xac\x02") == [1, 300]
    assert integers(b"\xff" * 9 + b"\x01") == [2**64 - 1]
    for broken in (b"\xff", b"\xff" * 10 + b"\x01", b"\xff" * 9 + b"\x02"):
        with pytest.raises(ZooError, match="invalid varint"):
            integers(broken)
