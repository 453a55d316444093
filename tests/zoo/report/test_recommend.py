"""The front of accuracy, size, latency and energy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.report_samples import PHONE, artifact, released, scored, sha256, timed
from zoo.errors import ZooError
from zoo.io.files import write_text
from zoo.report.recommend import Budget, recommend
from zoo.report.rows import build
from zoo.schema.json_files import append_record
from zoo.schema.measurement import Energy

NONE = Budget()


def energy(net_mj):
    return Energy(
        gross_mw=3000, idle_mw=600, net_mw=2400, net_mw_uncertainty=100, net_mj=net_mj,
        net_mj_uncertainty=net_mj / 24, window_s=60, readings=60, gauge_period_s=1, unit="uA",
        charging_is="positive", evidence=(), sampler="native",
    )  # fmt: skip


def report_of(*models):
    """Of (name, accuracy, kilobytes, milliseconds, millijoules or None)."""
    records, artifacts = [], []
    for name, top1, kilobytes, latency_ms, net_mj in models:
        artifacts.append(artifact(name, kilobytes=kilobytes))
        told = {} if net_mj is None else {"energy": energy(net_mj)}
        records += [timed(name, latency_ms, **told), scored(name, top1)]
    return build(records, artifacts)


MODELS = (
    ("large", 0.93, 3000, 9.0, None),
    ("quick", 0.91, 800, 2.0, None),
    ("small", 0.90, 300, 3.0, None),
    ("worse", 0.90, 900, 2.5, None),
    ("twin", 0.91, 800, 2.0, None),
    ("failed", 0.99, 100, None, None),
    ("unscored", None, 100, 1.0, None),
)


def test_the_front():
    found = recommend(report_of(*MODELS), "host", "", NONE)
    assert [one.name for one in found.front] == ["large", "quick", "twin", "small"]
    assert found.dataset == "fashion_mnist"
    reasons = {lost.candidate.name: lost.reason for lost in found.lost}
    assert set(reasons) == {"worse", "failed", "unscored"}
    assert "delegate refused QUANTIZE" in reasons["failed"]
    assert reasons["unscored"] == "no test accuracy"
    assert reasons["worse"].startswith(("dominated by quick", "dominated by twin"))
    assert "+1.00 points, 0.89× the size, 0.80× the latency" in reasons["worse"]


@pytest.mark.parametrize(
    ("budget", "front", "lost", "reason"),
    [
        (Budget(max_ms=2.5), ["quick", "twin"], "large", "9 ms, above --max_ms=2.5"),
        (Budget(max_kb=500), ["small"], "quick", "720 kB with gzip, above --max_kb=500"),
        (
            Budget(min_top1=0.92),
            ["large", "worse"],
            "small",
            "accuracy 90.00 %, below --min",
        ),
        (Budget(max_mj=5), [], "large", "--max_mj=5 cannot be checked: no value recorded"),
        # What a budget excludes does not beat others.
        (Budget(max_kb=850, max_ms=2.9), ["quick", "twin", "worse"], "small", "3 ms, above"),
    ],
)
def test_budgets(budget, front, lost, reason):
    models = [("worse", 0.92, 900, 2.8, None) if m[0] == "worse" else m for m in MODELS]
    found = recommend(report_of(*models), "", "", budget)
    assert sorted(one.name for one in found.front) == front
    assert reason in {one.candidate.name: one.reason for one in found.lost}[lost]


def test_energy_counts_where_it_is_known():
    models = [
        ("frugal", 0.90, 800, 3.0, 5.0),
        ("hungry", 0.90, 800, 3.0, 9.0),
        ("unknown", 0.90, 800, 3.0, None),
    ]
    found = recommend(report_of(*models), "", "", NONE)
    assert [one.name for one in found.front] == ["frugal", "unknown"]
    assert "0.56× the energy" in found.lost[0].reason
    # Slower, but it alone is known to keep within the budget.
    limited = recommend(report_of(("slow", 0.9, 800, 4.0, 4.5), *models), "", "", Budget(max_mj=6))
    assert [one.name for one in limited.front] == ["frugal", "slow"]


def test_a_small_gain_is_called_one():
    found = recommend(
        report_of(("a", 0.900, 800, 3.0, None), ("b", 0.901, 800, 3.0, None)), "", "", NONE
    )
    assert found.lost[0].reason.startswith("dominated by b")
    assert "+0.10 points (within the 95 % confidence interval)" in found.lost[0].reason


def test_one_device_at_a_time():
    records = [timed("a", 1.0), timed("a", 9.0, device=PHONE), scored("a", 0.9)]
    report = build(records, [artifact("a")])
    with pytest.raises(ZooError, match=r"several devices.*--device.*a3f19c"):
        recommend(report, "", "", NONE)
    for name in ("a3f19c", "Pixel 7", "phone"):
        found = recommend(report, name, "", NONE)
        assert (found.device, found.front[0].latency_ms) == ("Pixel 7", 9.0)
    with pytest.raises(ZooError, match="unknown --device 'pixel'"):
        recommend(report, "pixel", "", NONE)


def test_one_data_set_at_a_time():
    report = build(
        [timed("a", 1.0), timed("b", 2.0), scored("a", 0.9), scored("b", 0.5, dataset="digits")],
        [artifact("a"), artifact("b", dataset="digits")],
    )
    with pytest.raises(ZooError, match=r"several datasets.*digits, fashion_mnist"):
        recommend(report, "", "", NONE)
    assert recommend(report, "", "digits", NONE).front[0].accuracy == 0.5
    with pytest.raises(ZooError, match="unknown --dataset"):
        recommend(report, "", "mnist", NONE)


def test_nothing_was_timed():
    with pytest.raises(ZooError, match="no latency results"):
        recommend(build([scored("a", 0.9)], [artifact("a")]), "", "", NONE)


numbers = st.integers(1, 4)


@given(st.lists(st.tuples(numbers, numbers, numbers, st.none() | numbers), max_size=8))
def test_every_candidate_wins_or_loses_to_a_better_one(figures):
    models = [
        (f"m{i}", 0.2 * top1, 100 * size, latency_ms, net_mj)
        for i, (top1, size, latency_ms, net_mj) in enumerate(figures)
    ]
    if not models:
        return
    found = recommend(report_of(*models), "", "", NONE)
    front = {one.name for one in found.front}
    lost = {one.candidate.name: one for one in found.lost}
    assert front and not front & lost.keys()
    assert len(front) + len(lost) == len(models)
    costs = {name: (-top1, size, ms, mj) for name, top1, size, ms, mj in models}
    for name, own in costs.items():
        known = [i for i, value in enumerate(own) if value is not None]
        beaten = any(
            all(other[i] is not None and other[i] <= own[i] for i in known)
            and any(other[i] < own[i] for i in known)
            for other in costs.values()
        )
        assert (name in lost) == beaten


def test_the_command(command, tmp_path):
    for name, top1, kilobytes, latency_ms, _ in MODELS:
        one = artifact(name, kilobytes=kilobytes)
        write_text(tmp_path / "artifacts" / f"{name}.json", one.model_dump_json())
        append_record(tmp_path / "results.jsonl", timed(name, latency_ms))
        append_record(tmp_path / "results.jsonl", scored(name, top1))
    done = command("recommend", f"--output={tmp_path}", "--fps=400", "--chip=snapdragon_865_gpu")
    assert done.returncode == 0, done.stderr
    assert (
        "  best: quick (litert, XNNPACK, 1 thread): 91.00 %, 2.000 ms, 720.0 kB with gzip"
        in done.stdout
    )
    assert "small (litert, XNNPACK, 1 thread): 3 ms, above --max_ms=2.5" in done.stdout
    none = command("recommend", f"--output={tmp_path}", "--max_kb=0.01")
    assert (none.returncode, none.stderr) == (1, "")
    assert "no model meets the budget" in none.stdout
    both = command("recommend", f"--output={tmp_path}", "--fps=30", "--max_ms=9")
    assert both.returncode == 1
    assert "to do: pass only one" in both.stderr


def test_the_accuracy_of_a_downloaded_file_is_that_of_its_manifest(command, tmp_path):
    manifest = artifact("a", released=released(0.9486))
    found = recommend(build([timed("a", 1.0)], [manifest]), "", "", NONE)
    assert (found.front[0].accuracy, found.front[0].images) == (0.9486, 10000)
    write_text(tmp_path / "artifacts" / "a.json", manifest.model_dump_json())
    append_record(tmp_path / "results.jsonl", timed("a", 1.0))
    done = command("recommend", f"--output={tmp_path}")
    assert "  best: a (litert, XNNPACK, 1 thread): 94.86 % (from the manifest), " in done.stdout


def test_no_file_with_latency_and_accuracy_is_told(command, tmp_path):
    append_record(tmp_path / "results.jsonl", timed("a", 1.0))
    done = command("recommend", f"--output={tmp_path}")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "On Test CPU, dataset unknown:",
        "  no file has both a latency and a test accuracy; run zoo benchmark to measure them",
        "Rejected:",
        "  a (litert, XNNPACK, 1 thread): no test accuracy",
    ]


def test_the_roofline_is_that_of_the_file(command, tmp_path):
    from tests.support.tiny_tflite import tiny_model
    from zoo.io.files import sha256_of

    (tmp_path / "artifacts").mkdir()
    path = tiny_model(tmp_path / "artifacts" / "tiny.tflite")
    digest = sha256_of(path)
    assert digest != sha256("tiny")
    one = artifact("tiny", sha256=digest)
    write_text(path.with_suffix(".json"), one.model_dump_json())
    for record in (timed("tiny", 0.1), scored("tiny", 0.9)):
        append_record(
            tmp_path / "results.jsonl", record.model_copy(update={"model_sha256": digest})
        )
    done = command("recommend", f"--output={tmp_path}", "--chip=snapdragon_865_gpu")
    assert " % of snapdragon_865_gpu's roofline" in done.stdout
