"""Real pictures on virtual phones over the real adb client, against what this computer says."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_bench.outputs.compare import byte_size, compare, values
from android_bench.outputs.reference import OutputImages, OutputReference, References
from android_bench.outputs.verify import judge
from android_bench.phone import hexdump
from android_bench.phone.jobs import JobResult
from android_bench.session.session import measure_on_phone
from android_bench.tasks.cases import Case, candidates
from android_bench.tasks.recorder import Recorder
from tests.android_bench.conftest import SHORT, Bench, left_on
from tests.support.report_samples import artifact
from tests.support.tiny_tflite import tiny_int8_model, tiny_model
from tests.virtual_phone import VirtualPhone
from zoo.errors import ZooError
from zoo.io.files import sha256_of, write_text
from zoo.io.provenance import Provenance
from zoo.schema.artifact import TensorInfo
from zoo.schema.measurement import Agreement, Measurement

REAL = {"litert": True, "slow_ms": 0.0}  # inferences, whose outputs count
IMAGE = TensorInfo(name="image", shape=(1, 8, 8, 1), dtype="float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 and an int8 artifact for the digits, and a file without a manifest."""
    place = tmp_path_factory.mktemp("artifacts")
    tiny_model(place / "tiny-float32.tflite", image_size=8)
    tiny_int8_model(place / "tiny-int8.tflite")
    tiny_model(place / "unknown.tflite", image_size=8, classes=9)
    for precision in ("float32", "int8"):
        name = f"tiny-{precision}"
        manifest = artifact(
            name,
            precision,
            dataset="digits",
            sha256=sha256_of(place / f"{name}.tflite"),
            inputs=(IMAGE,),
            preprocessing={"mean": [77.0], "std": [95.0]},
            recipe={"name": "test", "validation_images": 100},
        )
        write_text(place / f"{name}.json", manifest.model_dump_json())
    return place


@pytest.fixture(scope="module")
def references() -> Iterator[References]:
    with References(OutputImages(count=2)) as found:
        yield found


def cases(folder: Path, name: str, *delegates: str) -> list[Case]:
    (found,) = candidates([str(folder / f"{name}.tflite")], folder)
    return [found.case("benchmark_model", delegate, 1) for delegate in delegates]


def outputs(
    bench: Bench, phone: VirtualPhone, compared: list[Case], references: References, **options: Any
) -> list[Agreement]:
    rows = list(
        measure_on_phone(
            bench.adb, phone.serial, [], bench.find_binary, Provenance(("test",), {}),
            dataclasses.replace(SHORT, **options), compared=compared, references=references,
        )
    )  # fmt: skip
    assert len(rows) == len(compared)
    return [row for row in rows if isinstance(row, Agreement)]


def only_reason(row: Agreement) -> str:
    assert not row.valid and row.largest_difference is None and row.top1_agreement is None
    (reason,) = row.reasons
    return reason


@pytest.mark.parametrize(
    ("precision", "most"),
    [
        pytest.param("float32", 1e-5, id="float32"),
        pytest.param("int8", 0.15, id="int8", marks=pytest.mark.slow),
    ],
)
def test_a_phone_agrees_with_the_host(
    bench: Bench, folder: Path, references: References, precision: str, most: float
):
    compared = cases(folder, f"tiny-{precision}", "none", "xnnpack", "gpu")
    with bench.phone(**REAL) as phone:
        rows = outputs(bench, phone, compared, references)
        runs = phone.benchmarks()
        pushed = [entry for entry in phone.log if entry.kind == "push"]
        assert left_on(phone) == []
    assert [row.configuration.delegate for row in rows] == ["none", "xnnpack", "gpu"]
    assert [row.placement.level for row in rows] == ["none", "full", "full"]
    assert len(runs) == 6 and len(pushed) == 4, "tool, model and pictures are pushed once"
    for row in rows:
        assert row.valid, row.reasons
        assert (row.images, row.top1_agreement, row.pictures) == (2, 1.0, "digits/test")
        assert row.largest_difference <= most
        assert row.relative_difference <= 0.02
        assert row.reference.startswith("litert 2.")
        assert row.device.name == "Virtual VP865"
    assert rows[0].largest_difference == 0, "the same plain kernels of the same library"


def test_the_pictures_differ_and_are_drawn_by_the_seed(folder: Path, references: References):
    (case,) = cases(folder, "tiny-int8", "none")
    reference = references.of(case)
    assert len({sha256 for _, sha256 in reference.inputs}) == 2
    assert len({one.tobytes() for one in reference.outputs}) == 2
    drawn = {sha256 for _, sha256 in reference.inputs}
    with References(OutputImages(count=2, seed=2)) as other:
        assert {sha256 for _, sha256 in other.of(case).inputs} != drawn


@pytest.mark.slow
def test_a_seed_draws_the_same_pictures_again(folder: Path, references: References):
    (case,) = cases(folder, "tiny-int8", "none")
    with References(OutputImages(count=2, seed=references.selection.seed)) as other:
        again = {sha256 for _, sha256 in other.of(case).inputs}
    assert again == {sha256 for _, sha256 in references.of(case).inputs}


@pytest.mark.slow
def test_Android_6(bench: Bench, folder: Path, references: References):
    with bench.phone(**REAL, shell_v2=False, android_release="6.0.1") as phone:
        (row,) = outputs(bench, phone, cases(folder, "tiny-float32", "none"), references)
        assert left_on(phone) == []
    assert row.valid and row.largest_difference == 0


@pytest.mark.parametrize(
    ("error", "precision"),
    [
        ("noise", "int8"),
        ("swap", "float32"),
        pytest.param("noise", "float32", marks=pytest.mark.slow),
        pytest.param("swap", "int8", marks=pytest.mark.slow),
    ],
)
def test_a_broken_gpu_is_found(
    bench: Bench, folder: Path, references: References, error: str, precision: str
):
    with bench.phone(**REAL, gpu_error=error) as phone:
        rows = outputs(bench, phone, cases(folder, f"tiny-{precision}", "gpu", "none"), references)
    assert [row.valid for row in rows] == [True, True]
    assert rows[0].relative_difference > 0.01 > rows[1].relative_difference
    if error == "swap":
        assert rows[0].top1_agreement == 0 and rows[1].top1_agreement == 1


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({"gpu_error": "nan"}, r"image 1 of 2: the output contains NaN.*10 of 10"),
        ({"gpu_error": "short"}, r"image 1 of 2: unexpected output size.*40 bytes.*20 bytes"),
        pytest.param(
            {"gpu_error": "unwritten"},
            r"image 1 of 2: benchmark_model saved no output",
            marks=pytest.mark.slow,
        ),
        pytest.param({"gpu": "silent_cpu"}, r"the model ran on the CPU", marks=pytest.mark.slow),
        pytest.param({"gpu": "refused"}, r"Failed to apply GPU delegate", marks=pytest.mark.slow),
        ({"build_output_filepath": False}, r"can't save outputs.*--benchmark_binary"),
        pytest.param(
            {"crash_exit": 139, "crash_after_runs": 0}, r"exit code 139", marks=pytest.mark.slow
        ),
        ({"fail_invoke": True}, r"exit code 1.*Benchmarking failed"),
        ({"disk_bytes": 2**16}, r"storage is full"),
    ],
)
def test_no_comparison_without_outputs_of_the_delegate(
    bench: Bench, folder: Path, references: References, profile: dict[str, Any], reason: str
):
    with bench.phone(**{**REAL, **profile}) as phone:
        if "disk_bytes" in profile:
            phone.path("/data/local/tmp/filler").write_bytes(bytes(2**16 - 2**13))
        (row,) = outputs(bench, phone, cases(folder, "tiny-float32", "gpu"), references)
        assert left_on(phone, but=["filler"]) == []
        if (
            profile.keys() & {"build_output_filepath", "fail_invoke"}
            or "refused" in profile.values()
        ):
            assert len(phone.benchmarks()) == 1, "the rest is not run in vain"
    assert re.search(reason, only_reason(row)), row.reasons


def test_a_file_without_pictures(bench: Bench, folder: Path, references: References):
    compared = [*cases(folder, "unknown", "none", "xnnpack"), *cases(folder, "tiny-int8", "none")]
    with bench.phone(**REAL) as phone:
        rows = outputs(bench, phone, compared, references)
    assert "--images" in only_reason(rows[0]) and only_reason(rows[1]) == only_reason(rows[0])
    assert rows[2].valid


@pytest.mark.slow  # TensorFlow decodes them
def test_given_pictures(bench: Bench, folder: Path, tmp_path: Path):
    import tensorflow as tf

    draw = np.random.default_rng(1)
    for name in ("a", "b"):
        pixels = draw.integers(0, 256, (20, 30, 3)).astype(np.uint8)
        (tmp_path / f"{name}.jpg").write_bytes(tf.io.encode_jpeg(pixels).numpy())
    with bench.phone(**REAL) as phone, References(OutputImages(images=tmp_path)) as references:
        (row,) = outputs(bench, phone, cases(folder, "unknown", "none"), references)
        (path, _), *_ = references.of(cases(folder, "unknown", "none")[0]).inputs
        values = np.frombuffer(path.read_bytes(), np.float32)
    assert row.valid and (row.images, row.largest_difference) == (2, 0)
    assert "does not say how" in row.pictures
    assert -1 <= values.min() < -0.2 and 0.2 < values.max() <= 1
    with (
        References(OutputImages(images=tmp_path / "none")) as nowhere,
        pytest.raises(ZooError) as told,
    ):
        nowhere.of(cases(folder, "unknown", "none")[0])
    assert "no such images" in str(told.value)


def test_a_lost_phone_gives_a_row_for_each_case(bench: Bench, folder: Path, references: References):
    compared = cases(folder, "tiny-float32", "none", "xnnpack", "gpu")
    with bench.phone(**REAL) as phone:

        def leave() -> None:
            phone.unplug()
            bench.clock.hurry()

        phone.on_command("--graph=", leave)
        rows = outputs(bench, phone, compared, references)
        bench.clock.normal()
    assert "phone lost during the run" in only_reason(rows[0])
    assert all("the phone is gone" in only_reason(row) for row in rows[1:])
    with bench.phone(auth="unauthorized") as phone:
        rows = outputs(bench, phone, compared, references)
    assert all("unauthorized" in only_reason(row) for row in rows) and len(rows) == 3


def test_what_is_recorded_is_not_compared_again(
    bench: Bench, folder: Path, references: References, tmp_path: Path
):
    said: list[str] = []
    recorder = Recorder(tmp_path / "results.jsonl", said.append)
    compared = cases(folder, "tiny-float32", "none", "gpu")
    with bench.phone(**REAL, gpu="refused") as phone:
        rows = measure_on_phone(
            bench.adb, phone.serial, bench.tasks("none"), bench.find_binary,
            Provenance(("test",), {}), SHORT, compared=compared, references=references,
        )  # fmt: skip
        first, *others = rows
        assert isinstance(first, Measurement) and first.valid
        assert recorder.processes([], others) == 1
    assert "outputs agree with the host on 2 of 2 images, largest difference 0" in said[0]
    assert said[1].startswith("  FAILED tiny-float32")
    (left,) = recorder.uncompared(compared * 2, first.device.id)
    assert left.configuration.delegate == "gpu"
    assert len(recorder.uncompared(compared, "another phone")) == 2


# Bytes and comparisons


@given(st.binary(max_size=60))
def test_bytes_arrive_as_od_prints_them(raw: bytes):
    printed = subprocess.run(["od", "-An", "-v", "-tx1"], input=raw, capture_output=True).stdout  # noqa: S607
    assert hexdump.read(printed.decode()) == raw
    assert hexdump.read(printed.decode().replace("\n", "\r\n")) == raw


def test_how_much_text_bytes_are():
    raw = bytes(16 * 100)
    text = subprocess.run(["od", "-An", "-v", "-tx1"], input=raw, capture_output=True).stdout  # noqa: S607
    assert 0.95 * hexdump.TEXT_BYTES < len(text) / len(raw) <= hexdump.TEXT_BYTES


@given(st.text(alphabet="0123456789abcdefg \n", max_size=30))
def test_any_text_is_bytes_or_refused(text: str):
    try:
        assert hexdump.read(text).hex() == "".join(text.split())
    except ZooError:
        assert any(len(word) != 2 or "g" in word for word in text.split())


OUTPUT = TensorInfo(name="out", shape=(1, 4), dtype="int8", scale=0.5, zero_point=-3)
REFERENCE = OutputReference(
    inputs=((Path("a"), "0"), (Path("b"), "1")), input_shape=(1, 8, 8, 1), output=OUTPUT,
    outputs=(np.arange(4.0), np.arange(4.0)), pictures="", runtime="",
)  # fmt: skip
PIECES = st.lists(
    st.sampled_from(
        ["begin-m\n", "\nend-m 0\n", "\nend-m 1\n", "INFO: x\n", "01 02 03 04\n", "zz", "\0", "é"]
    )
).map("".join)


@given(PIECES, PIECES, PIECES)
def test_any_output_of_the_phone_is_judged(stdout: str, stderr: str, text: str):
    found = judge(JobResult(0, stdout, stderr, {"outputs": text}), "m", REFERENCE, "none")
    assert found.comparison is None and found.reasons


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32", "int16"])
def test_values_are_dequantized(dtype: str):
    scale, zero_point = (None, None) if dtype == "float32" else (0.25, 3)
    tensor = TensorInfo(name="x", shape=(1, 3), dtype=dtype, scale=scale, zero_point=zero_point)
    raw = np.array([0, 5, 100], dtype).tobytes()
    assert byte_size(tensor) == len(raw)
    expected = [0, 5, 100] if scale is None else [-0.75, 0.5, 24.25]
    assert values(raw, tensor).tolist() == expected
    with pytest.raises(ZooError, match="unexpected output size"):
        values(raw[:-1], tensor)


def test_comparison():
    vector = TensorInfo(name="x", shape=(1, 3), dtype="float32")
    host = [np.array([0.0, 1, 2]), np.array([4.0, 1, 2])]
    phone = [np.array([0.0, 1, 2.5]), np.array([2.0, 1, 2.5])]
    found = compare(host, phone, vector)
    assert (found.top1_agreement, found.largest_difference) == (0.5, 2)
    assert found.relative_difference == 0.5
    same = compare([np.ones(3)], [np.ones(3)], vector)
    assert (same.largest_difference, same.relative_difference) == (0, None)
    picture = TensorInfo(name="x", shape=(1, 3, 1, 2), dtype="float32")
    assert compare([np.arange(6.0)], [np.arange(6.0)], picture).top1_agreement is None
    text = TensorInfo(name="x", shape=(1,), dtype="object")
    with pytest.raises(ZooError, match="not numeric"):
        values(b"", text)
