"""Timing and scoring on this computer: real LiteRT in real worker processes."""

import shutil

import pytest

from android_bench.host import bench
from android_bench.tasks.cases import candidates
from android_bench.tasks.schedule import schedule
from tests.support.report_samples import artifact
from tests.support.select import some
from tests.virtual_phone import AdbServer
from zoo.errors import ZooError
from zoo.io.provenance import Provenance
from zoo.schema.artifact import TensorInfo
from zoo.schema.json_files import read_records
from zoo.schema.processes import by_case

QUICK = bench.HostTiming(num_runs=5, min_secs=0.0, warmup_secs=0.0)
PRUNED = "squeezenet_v1_1-digits-pruned"


def _measure(cases):
    tasks = schedule(cases, 2, "host", {})
    rows = list(bench.measure(tasks, QUICK, Provenance.here(), lambda _: None))
    assert [(row.case, row.process) for row in rows] == [(t.key, t.number) for t in tasks]
    return by_case(rows)


def test_each_case_is_one_row(digits):
    files = candidates([f"{PRUNED}-float32", f"{PRUNED}-int8"], digits / "artifacts")
    cases = [file.case("litert", d, 1) for file in files for d in ("xnnpack", "none")]
    rows = _measure(cases)
    assert {(r.model, r.configuration.delegate) for r in rows} == {
        (c.model, c.configuration.delegate) for c in cases
    }
    for row in rows:
        assert row.valid
        assert (row.latency.processes, row.latency.runs) == (2, 10)
        assert row.latency.min_us <= row.latency.median_us <= row.latency.max_us
        taken = row.placement.nodes if row.configuration.delegate == "xnnpack" else 0
        assert row.placement.delegated == taken


@pytest.mark.parametrize(
    "damage", some(["garbage", "truncated", "changed"], "truncated", "changed")
)
def test_a_bad_file_is_a_failed_row_and_costs_only_itself(digits, tmp_path, damage):
    good = candidates([f"{PRUNED}-int8"], digits / "artifacts")[0]
    bad = tmp_path / "bad.tflite"
    content = good.path.read_bytes()
    bad.write_bytes({"garbage": b"x" * 999, "truncated": content[:5000]}.get(damage, content))
    case = candidates([str(bad)], tmp_path)[0].case("litert", "xnnpack", 1)
    if damage == "changed":
        bad.write_bytes(content + b"\0")
    rows = {row.model: row for row in _measure([case, good.case("litert", "xnnpack", 1)])}
    assert rows[good.model].valid
    assert not rows["bad"].valid
    assert rows["bad"].latency is None
    assert rows["bad"].reasons
    assert rows["bad"].precision == "unknown"


def test_a_file_that_its_manifest_does_not_describe_is_refused(digits, tmp_path):
    for suffix in ("tflite", "json"):
        shutil.copy(digits / "artifacts" / f"{PRUNED}-int8.{suffix}", tmp_path)
    path = tmp_path / f"{PRUNED}-int8.tflite"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ZooError, match="does not match its manifest"):
        candidates([f"{PRUNED}-int8"], tmp_path)


@pytest.mark.parametrize(("field", "value"), [("std", 0.0), ("std", 1e300), ("mean", None)])
def test_pixels_are_not_normalized_by_nonsense(field, value):
    pixels = TensorInfo(name="image", shape=(1, 32, 32, 1), dtype="float32")
    rule = {"mean": [30.0], "std": [60.0]}
    told = artifact("net-digits-int8", preprocessing=rule, inputs=(pixels,))
    assert bench.test_split(told).std == 60.0
    told.preprocessing[field] = [value]
    with pytest.raises(ZooError, match=f"does not say how to score the model.*{field}"):
        bench.test_split(told)


def test_unknown_artifact_names_the_nearest(digits):
    with pytest.raises(ZooError, match=f"did you mean {PRUNED}-int8"):
        candidates([f"{PRUNED}-int9"], digits / "artifacts")


def test_no_checkpoint_is_proposed_for_an_artifact(tmp_path):
    with pytest.raises(ZooError, match="unknown artifact") as near:
        candidates(["resnet20-fashion_mnist-checkpoin"], tmp_path)
    assert "-checkpoint" not in str(near.value)


def test_a_file_whose_dataset_is_missing_can_be_timed_without_it(command, tmp_path):
    flags = ["--artifact=squeezenet_v1_1-cifar10_jpeg-int8", "--delegate=none", "--processes=1"]
    flags += ["--min_secs=0", f"--output={tmp_path}"]
    done = command("benchmark", *flags, MODEL_ZOO_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert "to do: run zoo data --dataset=cifar10_jpeg" in done.stdout
    assert "to time artifacts without scoring them, pass --noaccuracy" in done.stdout
    done = command("benchmark", *flags, "--noaccuracy", MODEL_ZOO_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0 and "--noaccuracy" not in done.stdout, done.stdout


def test_command_writes_rows_and_says_that_there_is_no_phone(command, digits, tmp_path):
    shutil.copytree(digits / "artifacts", tmp_path / "artifacts")
    flags = [f"--artifact={PRUNED}-int8", "--device=all", "--processes=1", "--min_secs=0"]
    with AdbServer() as adb:
        done = command("benchmark", f"--output={tmp_path}", *flags, **adb.env)
    assert done.returncode == 0, done.stderr
    assert "phones:" in done.stdout
    records, problems = read_records(tmp_path / "results.jsonl")
    assert problems == []
    assert [r.kind for r in records] == ["latency", "latency", "accuracy"]
    assert all(r.valid for r in records)
    assert records[2].images == 397
    assert records[2].top1 > 0.9
