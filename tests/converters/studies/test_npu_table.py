"""The page of the NPUs, of made rows."""

from converters.studies import npu_table
from converters.studies.accelerator_rows import AcceleratorRow, OnImages
from converters.studies.coverage_table import CoverageRow
from zoo.schema.compiled import CompiledModel, LeftBehind
from zoo.schema.engine_check import WrongOperator

SOCS = ("SM8450", "SM8650")
RELU = LeftBehind(index=3, operator="RELU", layer="x", reason="no such type")
ADD = LeftBehind(index=4, operator="ADD", layer="x", reason="")


def made(soc, left=(), traffic=(0, 0, 200_000, 1_000_000), partitions=1):
    names = ("spilled_bytes", "filled_bytes", "written_bytes", "read_bytes")
    return CompiledModel(
        name=f"a-int8-{soc}", soc=soc, parent="a-int8", parent_sha256="0" * 64, sha256="1" * 64,
        bytes=2_340_000, operators=9, on_npu=9 - len(left), partitions=partitions, left=left,
        seconds=12.3, versions={"qnn": "2.51"}, command=("zoo",),
        **dict(zip(names, traffic, strict=False)),
    )  # fmt: skip


def row(model, soc, **fields):
    return AcceleratorRow(
        model=model, precision="int8", sha256=model * 64, delegate=f"npu:{soc}",
        versions={"litert": "2.3"}, limit_s=300, **fields,
    )  # fmt: skip


def computed(**fields):
    return OnImages(images=2, agreement=1, **fields)


def page(rows, conversions):
    return npu_table.markdown(conversions, rows, [*"abcdefgh"], "Made by hand.")


def conversion(model, **fields):
    shown = {"sha256": model * 64, "operators": 9} | fields
    return CoverageRow(model=model, precision="int8", **shown)


def test_each_network_has_what_each_soc_does_with_it():
    first = WrongOperator(index=1, operator="MUL", layer="x", options="2×2")
    departs = computed(sqnr_db=3.4, first=first, reasons=("too low",))
    spilled = (50_000, 50_000, 200_000, 1_000_000)
    rows = [
        row("a", "SM8450", compiled=made("SM8450")),
        row("a", "SM8650", compiled=made("SM8650"), on_images=computed(sqnr_db=42.4)),
        row("b", "SM8450", compiled=made("SM8450", traffic=spilled)),
        row("b", "SM8650", compiled=made("SM8650"), on_images=departs),
        row("c", "SM8450", compiled=made("SM8450", (RELU, RELU, ADD), partitions=3)),
        row("c", "SM8650", compiled=made("SM8650", traffic=(), partitions=2)),
        row("d", "SM8450", reason="it did not end | where: d-int8.tflite | got: none"),
        row("d", "SM8650", compiled=made("SM8650"), reason="it timed out | to do: wait"),
        row("d", "SM8750", reason="of another file").model_copy(update={"sha256": "9" * 64}),
        row("a", "SM8650", compiled=None, reason="the GPU has no place here").model_copy(
            update={"delegate": "gpu"}
        ),
    ]
    failed = conversion("f", sha256=None, operators=None, reason="f can't be quantized")
    text = page(rows, [*map(conversion, "abcde"), failed])
    lines = text.splitlines()
    assert lines[0] == "# 6 of the 8 networks on the NPUs of Snapdragons"
    assert "Networks of the catalog (without `g`, `h`)" in lines
    assert "versions: litert 2.3, QNN 2.51." in text.replace("\n", " ")
    assert "SM8450 (Snapdragon 8 Gen 1), SM8650 (Snapdragon 8 Gen 3)" in text
    assert "it has no latency" in text and "Made by hand." in lines
    assert "- int8, whole in one partition: 2 of 4 on SM8450, 3 of 4 on SM8650." in lines
    table = lines[lines.index("## int8") + 2 :]
    usual = "whole, 1.20 MB moved, 2.34 MB, 12 s"
    assert table[:8] == [
        "| model | operators | SM8450 | SM8650 | SM8650, emulated |",
        "|---|---|---|---|---|",
        f"| a | 9 | {usual} | {usual} | 42 dB |",
        "| b | 9 | whole, 1.20 MB moved (**0.10 MB spilled**), 2.34 MB, 12 s | "
        f"{usual} | **3 dB** [1] |",
        "| c | 9 | **6 of 9 in 3 partitions**, 1.20 MB moved, 2.34 MB, 12 s [2] [3] | "
        "**9 of 9 in 2 partitions**, traffic unknown, 2.34 MB, 12 s | – |",
        f"| d | 9 | no [4] | {usual} | no [5] |",
        "| e | 9 |  |  |  |",
        "| f |  | no [6] | no [6] |  |",
    ]
    assert lines[-6:] == [
        "1. first operator whose output departs: MUL (2×2)",
        "2. RELU: no such type",
        "3. ADD: no reason given",
        "4. it did not end | where: the network | got: none",
        "5. it timed out",
        "6. the network can't be quantized",
    ]


def test_networks_without_reasons_have_no_such_section():
    text = page([row("a", "SM8450", compiled=made("SM8450"))], [conversion("a")])
    assert "## Reasons" not in text
    assert "| model | operators | SM8450 |" in text, "nothing was emulated"
    assert "emulated, " not in text
