"""The table of networks and precisions, and ratios of latencies."""

import json
import re
from pathlib import Path

import pytest

from converters.studies import coverage_table, latency_ratios
from converters.studies.accelerator_rows import AcceleratorRow, OnImages
from converters.studies.coverage_table import CoverageRow, OnRuntime
from tests.conftest import PICTURES
from tests.support.engines import working
from tests.support.select import some
from zoo.errors import ZooError
from zoo.runtime.engines import ACCELERATORS
from zoo.schema.engine_check import WrongOperator
from zoo.schema.measurement import Accelerator, Placement


@pytest.mark.parametrize("precision", some(["float16", "int8_qat"], "float16"))
def test_the_command_goes_on_where_it_stopped(command, tmp_path, precision):
    if not PICTURES.exists():
        pytest.skip(f"the pictures are not at {PICTURES}")
    flags = (
        "--model=resnet20",
        f"--images={PICTURES}",
        f"--output={tmp_path}",
        f"--markdown={tmp_path / 'table.md'}",
        "--engine=",
    )
    first = command("studies.conversions", *flags, f"--precision=float32,{precision}")
    assert first.returncode == 0, first.stderr
    log = tmp_path / "conversions.jsonl"
    rows = [CoverageRow.model_validate(json.loads(line)) for line in log.read_text().splitlines()]
    assert [row.precision for row in rows] == ["float32", precision]
    for row, most in zip(rows, (1e-5, 0.3 if precision == "int8_qat" else 0.01), strict=True):
        assert row.on["litert"].placement.level == "full"
        assert row.on["litert"].relative < most
        assert row.gpu_refusals == ()

    again = command("studies.conversions", *flags, f"--precision=float32,{precision},dynamic_int8")
    assert again.returncode == 0, again.stderr
    assert len(log.read_text().splitlines()) == 3
    table = (tmp_path / "table.md").read_text()
    heads = [line for line in table.splitlines() if line.startswith("| model | float32 ")]
    assert heads
    assert all(precision in head and "dynamic_int8" in head for head in heads)
    assert table.count("| resnet20 |") == 4

    log.write_text(log.read_text() + "{}\n")
    broken = command("studies.conversions", *flags, "--table_only")
    assert broken.returncode == 1
    assert broken.stderr.startswith("error: the rows are not valid | where: ")


@pytest.mark.slow
def test_results_of_engines_are_added_without_converting_anew(command, tmp_path):
    if not PICTURES.exists():
        pytest.skip(f"the pictures are not at {PICTURES}")
    for name in ACCELERATORS.values():
        for _ in working(name):
            pass
    page = tmp_path / "npu.md"

    def run(*flags):
        done = command(
            "studies.conversions", "--model=resnet20", "--precision=float16,int16x8",
            f"--images={PICTURES}", f"--output={tmp_path}", *flags,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout, *(
            (tmp_path / f"{name}.jsonl").read_text().splitlines()
            for name in ("conversions", "accelerators")
        )

    log = tmp_path / "accelerators.jsonl"
    log.touch()
    _, before, none = run("--engine=")
    assert (len(before), none) == (2, [])
    _, after, added = run(f"--npu_markdown={page}")
    assert after == before, "nothing was converted anew"
    rows = [AcceleratorRow.model_validate_json(text) for text in added]
    assert [row.delegate for row in rows] == ["gpu", "npu:SM8450", "npu:SM8650", "npu:SM8750"]
    assert {row.sha256 for row in rows} == {json.loads(before[0])["sha256"]}
    assert rows[0].on_images.sqnr_db > 100 and rows[2].on_images.sqnr_db > 40
    assert all(row.compiled.whole for row in rows[1:])
    assert "- float16, whole in one partition: 1 of 1 on SM8450, 1 of 1 on" in page.read_text()

    told, after, same = run()
    assert (told, after, same) == ("", before, added), "there was nothing left to do"

    log.write_text("".join(f"{text}\n" for text in added[:-1]))
    for file in (tmp_path / "files").iterdir():
        file.unlink()
    told, after, again = run()
    assert len(after) == 3, "only the file that an engine lacked was converted again"
    assert len(again) == 4 and json.loads(again[-1])["delegate"] == "npu:SM8750"


def on(taken, nodes, parts, relative=0.01, latency_us=100.0):
    level = "full" if taken == nodes else "partial" if taken else "none"
    placement = Placement(level=level, nodes=nodes, delegated=taken, partitions=parts)
    return OnRuntime(placement=placement, relative=relative, agreement=1.0, latency_us=latency_us)


def test_every_refusal_has_its_reason():
    rows = [
        CoverageRow(
            model="a",
            precision="int8",
            bytes=5,
            oldest_runtime="1.14.0",
            gpu_refusals=("2 GATHER: no such operator on the GPU", "1 SPLIT_V: another reason"),
            on={
                "litert": on(7, 9, 3),
                "tflite_runtime": OnRuntime(reason="it refuses this .tflite"),
            },
        ),
        CoverageRow(model="a", precision="int16x8", reason="the quantizer refuses HARD_SWISH"),
        CoverageRow(
            model="b",
            precision="int8",
            oldest_runtime="2.3.0",
            on={"litert": on(9, 9, 1, 3e-7), "tflite_runtime": on(0, 9, 0, latency_us=250.0)},
        ),
    ]
    text = coverage_table.markdown(rows, "# Heading")
    lines = text.splitlines()
    assert "| a | **7 of 9 in 3 parts**, 1.0 % | no [1] |" in lines
    assert "| b | all 9, 3e-07 |  |" in lines
    assert "| a | no [2] [3] | no [1] |" in lines
    assert "| a | no [4] | no [1] |" in lines
    assert "| b | **0 of 9**, ×2.5, from 2.3.0 |  |" in lines
    assert "## LiteRT's GPU engine, and the ratio to XNNPACK" in lines
    assert lines[-4:] == [
        "1. the quantizer refuses HARD_SWISH",
        "2. no such operator on the GPU",
        "3. another reason",
        "4. it refuses this .tflite",
    ]
    head, _, counts, _ = coverage_table.summary(rows)
    assert "| run on tflite_runtime 2.14 | time on tflite_runtime 2.14 / on LiteRT |" in head
    assert counts == "| int8 | 2 | 2 | 1 | 1 | – | 1 | ×2.5 |"


def on_gpu(sha, delegated=9, **fields):
    level = "full" if delegated == 9 else "partial"
    refused = () if delegated == 9 else ("GATHER: not supported.",)
    device = Accelerator(name="Soft", driver="7", computes_in="float32", stand_in=True)
    placement = Placement(
        level=level, nodes=9, delegated=delegated, refused=refused, accelerator=device
    )
    return AcceleratorRow(
        **({"placement": placement} | fields),
        model=sha[0], precision="int8", sha256=sha, delegate="gpu", versions={}, limit_s=1,
    )  # fmt: skip


def test_the_gpu_engine_has_its_table():
    rows = [
        CoverageRow(model=name, precision="int8", sha256=name * 64, on={"litert": on(9, 9, 1)})
        for name in "abcdef"
    ]
    first = WrongOperator(index=1, operator="ADD", layer="x", options="stride=2")
    departs = OnImages(images=2, sqnr_db=3.2, agreement=0.5, first=first, reasons=("too low",))
    engine = [
        on_gpu("a" * 64, on_images=OnImages(images=2, largest=0, agreement=1)),
        on_gpu("b" * 64, on_images=departs),
        on_gpu("c" * 64, 7, on_images=OnImages(images=2, sqnr_db=40.4, largest=1, agreement=1)),
        on_gpu(
            "d" * 64, placement=None, reason="no device | where: d-int8.tflite | to do: buy one"
        ),
        on_gpu("e" * 64, reason="replaced by the next"),
        on_gpu("e" * 64, on_images=OnImages(images=2, agreement=0, reasons=("NaN",))),
    ]
    lines = coverage_table.markdown(rows, "# Heading", engine).splitlines()
    table = lines[lines.index("## LiteRT's GPU engine, and the ratio to XNNPACK") :]
    assert table[4:10] == [
        "| a | all 9, equal |",
        "| b | all 9, **3 dB** [1] |",
        "| c | **7 of 9**, 40 dB [2] |",
        "| d | no [3] |",
        "| e | all 9, **not finite** [4] |",
        "| f |  |",
    ]
    assert lines[-5:-1] == [
        "1. first operator whose output departs: ADD (stride=2)",
        "2. GATHER: not supported.",
        "3. no device | where: the network",
        "4. first operator whose output departs: not found",
    ]
    assert " | 1 of 5 | " in coverage_table.summary(rows, engine)[2]
    head = coverage_table.heading(rows, ["a"], engine)
    assert "really ran, on Soft (7), computes in float32." in head


def test_the_heading_counts_the_networks_and_names_the_missing():
    rows = [CoverageRow(model=name, precision="int8", reason="none") for name in ("a", "b", "a")]
    some = coverage_table.heading(rows, ["a", "b", "c"])
    assert some.startswith("# 2 of the 3 networks in every precision\n\n")
    assert "Networks of the catalog (without `c`)\n" in some
    assert "without" not in coverage_table.heading(rows, ["a", "b"])


def test_the_speed_command_keeps_what_is_written_by_hand(command, tmp_path):
    page = tmp_path / "speed.md"
    page.write_text("# Old\n\n## Why\n\nBecause.\n")
    flags = ("--peers=", "--model=resnet20", "--turns=3", "--secs=0.01", f"--markdown={page}")
    done = command("studies.converted_speed", *flags)
    assert done.returncode == 0, done.stderr
    (row,) = (line for line in page.read_text().splitlines() if line.startswith("| resnet20"))
    assert row == done.stdout.strip()
    assert len(re.findall(r"\d+\.\d\d \(\d+\.\d\d – \d+\.\d\d\)", row)) == 3
    assert page.read_text().endswith("\n\n## Why\n\nBecause.\n")
    assert "# Old" not in page.read_text()


class Scripted:
    """Answers with known latencies in place of a child process."""

    def __init__(self, times):
        self.times = {path: iter(values) for path, values in times.items()}

    def latency_us(self, path, delegate, threads, seconds):
        value = next(self.times[path])
        if value is None:
            raise ZooError("the runtime refuses this")
        return [value, 1e9, value]


def test_ratios_are_of_the_same_turn():
    base, twice, gone = Path("base"), Path("twice"), Path("gone")
    # The machine slows down tenfold: single latencies say nothing, ratios of one turn do.
    runner = Scripted(
        {base: [1, 2, 5, 10, 10], twice: [2, 4, 10, 20, 40], gone: [1, 2, None, 4, 5]}
    )
    found = latency_ratios.measure(base, [twice, gone], runner, 5, 0.1, lambda _: None)
    assert (found[0].median, found[0].low, found[0].high) == (2, 2, 2)
    assert str(found[0]) == "2.00 (2.00 – 2.00)"
    assert found[1].median is None
    assert "refuses" in found[1].reason


def test_a_base_that_cannot_run_is_an_error():
    base = Path("base")
    with pytest.raises(ZooError, match="refuses"):
        latency_ratios.measure(base, [], Scripted({base: [None]}), 3, 0.1, lambda _: None)
