"""Which result lines make it into the report, and what they say there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.report_samples import (
    PHONE,
    artifact,
    compared,
    released,
    scored,
    sha256,
    timed,
    trained,
)
from zoo.report import page, summary
from zoo.report.charts.panels import latency_panels, size_panels
from zoo.report.rows import build
from zoo.report.table import Column, headline
from zoo.report.terminal import notes
from zoo.report.wording import describe
from zoo.schema.artifact import Artifact
from zoo.schema.measurement import (
    Accuracy,
    Agreement,
    Configuration,
    ConvertRecord,
    Device,
    Latency,
    Measurement,
    Placement,
    Record,
    TrainRecord,
)


def column(records: Sequence[Record], artifacts: list[Artifact], label: str, unit: str) -> Column:
    groups = headline(build(records, artifacts))
    found = [c for g in groups for c in g.columns if (c.label, c.unit) == (label, unit)]
    assert len(found) == 1
    return found[0]


def texts(records: Sequence[Record], artifacts: list[Artifact], label: str, unit: str) -> list[str]:
    return [cell.text for cell in column(records, artifacts, label, unit).cells]


def test_row_holds_the_figures():
    records = [scored("a", 0.9123), timed("a", 1.5), timed("a", 4.5, "none"), trained()]
    expected = {
        ("Size", "kB"): "800",
        ("gzip", "kB"): "720",
        ("Accuracy", "%, test"): "91.23",
        ("XNNPACK", "ms"): "1.50",
        ("XNNPACK", "nodes"): "41/41",
        ("no delegate", "ms"): "4.50",
        ("XNNPACK", "speedup"): "3.00×",
    }
    for (label, unit), text in expected.items():
        assert texts(records, [artifact("a")], label, unit) == [text]


def test_latest_line_wins_whatever_the_order_in_the_file():
    old, new = timed("a", 9.0, minute=1), timed("a", 2.0, minute=2)
    for records in ([old, new], [new, old]):
        assert texts(records, [artifact("a")], "XNNPACK", "ms") == ["2.00"]
        assert build(records, [artifact("a")]).superseded == 1


def test_later_line_in_the_file_wins_at_the_same_time():
    records = [timed("a", 9.0), timed("a", 2.0)]
    assert texts(records, [artifact("a")], "XNNPACK", "ms") == ["2.00"]


def test_times_in_other_zones_are_compared_as_instants():
    early = timed("a", 9.0, time_utc="2025-11-22T05:00:00+04:00")
    late = timed("a", 2.0, time_utc="2025-11-22T02:00:00Z")
    assert texts([late, early], [artifact("a")], "XNNPACK", "ms") == ["2.00"]


def test_failed_rerun_replaces_the_good_one():
    records = [timed("a", 2.0, minute=1), timed("a", None, minute=2)]
    cell = column(records, [artifact("a")], "XNNPACK", "ms").cells[0]
    assert (cell.kind, cell.text) == ("failed", "failed: the delegate refused QUANTIZE")
    assert cell.number is None


def test_failure_is_listed_and_drawn_nowhere():
    records = [scored("a", 0.9), timed("a", None, "gpu", device=PHONE)]
    found = build(records, [artifact("a")])
    assert latency_panels(found) == []
    (failure,) = summary.failures(found)
    assert failure.reason == "the delegate refused QUANTIZE"
    assert "Pixel 7" in failure.place and "GPU" in failure.place
    assert any("failed: the delegate refused QUANTIZE" in line for line in notes(found))


def test_outputs_stand_beside_the_latency():
    fast = timed("a", 2.0, "gpu", device=PHONE)
    found = build([fast, compared("a", 1.0)], [artifact("a")])
    told = (
        "agree with the host on 8 of 8 images, largest difference 0.0041, 0.2 % of the output range"
    )
    assert any(line.result.startswith(told) for line in map(describe, found.rows[0].results))
    html = page.render(found, [], {})
    assert f"<dt>On Pixel 7, GPU</dt><dd>{told}" in html
    assert len(found.rows[0].outcomes) == 1 and summary.failures(found) == []
    assert not any("Predictions that differ" in line for line in notes(found))
    assert not compared("a", None).valid


def test_outputs_of_another_class_are_told_under_the_table():
    records = [timed("a", 2.0, "gpu", device=PHONE), compared("a", 0.25)]
    found = build(records, [artifact("a")])
    (line,) = summary.disagreements(found)
    assert "Pixel 7" in line and "GPU" in line and "2 of 8 images" in line
    assert f"  {line}" in notes(found)
    assert "Predictions that differ from the host" in page.render(found, [], {})


@pytest.mark.parametrize(
    "changes",
    [
        {"top1_agreement": None, "largest_difference": None},
        {"top1_agreement": 1.5},
        {"largest_difference": -1.0},
        {"images": 0},
        {"valid": False, "reasons": ("benchmark_model saved no output",)},
    ],
)
def test_outputs_that_were_not_compared_are_failures(changes):
    found = build([compared("a", 1.0, **changes)], [artifact("a")])
    (failure,) = summary.failures(found)
    assert failure.reason and "outputs on Pixel 7" in failure.place
    assert summary.disagreements(found) == []


@pytest.mark.parametrize(
    "record",
    [
        timed("a", 1.0, latency=None),
        timed("a", 0.0),
        timed("a", -3.0),
        timed("a", 1.0, valid=False, reasons=()),
        timed("a", 1e300),
    ],
)
def test_senseless_latency_is_a_failure(record):
    cell = column([record], [artifact("a")], "XNNPACK", "ms").cells[0]
    assert cell.kind == "failed"
    assert cell.text.startswith("failed: ") and len(cell.text) > len("failed: ")


@pytest.mark.parametrize("top1", [91.0, -0.1])
def test_accuracy_beyond_one_is_a_failure(top1):
    cell = column([scored("a", top1)], [artifact("a")], "Accuracy", "%, test").cells[0]
    assert cell.kind == "failed"


def test_stale_lines_are_counted_and_left_out():
    stale = [
        timed("a", 7.0, model_sha256="f" * 64),
        scored("a", 0.5, model_sha256="f" * 64),
    ]
    found = build([*stale, timed("a", 2.0, "none")], [artifact("a")])
    assert found.stale == 2
    assert [c.label for g in headline(found)[1:] for c in g.columns] == ["no delegate"]
    assert found.rows[0].score is None
    assert any("2 stale" in line for line in notes(found))


def test_manifest_without_results_is_a_row_that_says_not_measured():
    found = build([trained()], [artifact("a")])
    assert [row.name for row in found.rows] == ["a"]
    assert texts([trained()], [artifact("a")], "Accuracy", "%, test") == ["–"]


def test_file_without_a_manifest_is_a_row_of_its_newest_version():
    old = timed("b", 9.0, minute=1, model_sha256="e" * 64)
    found = build([old, timed("b", 2.0, minute=2)], [])
    assert [(row.name, row.sha256, row.size_bytes) for row in found.rows] == [
        ("b", sha256("b"), None)
    ]
    assert found.stale == 1


def test_copy_under_another_name_counts_for_the_known_file():
    copy = timed("copy", 2.0, model_sha256=sha256("a"))
    assert texts([copy], [artifact("a")], "XNNPACK", "ms") == ["2.00"]


def test_two_hosts_are_never_one_column():
    other = Device(kind="host", id="host", name="Other CPU")
    found = build([timed("a", 1.0), timed("b", 2.0, device=other)], [artifact("a"), artifact("b")])
    assert [g.label for g in headline(found)[1:]] == [
        "Other CPU, litert, 1 thread",
        "Test CPU, litert, 1 thread",
    ]


def test_phones_of_one_name_are_told_apart():
    twin = Device(kind="phone", id="ffff", name="Pixel 7")
    found = build([timed("a", 1.0, device=PHONE), timed("a", 2.0, device=twin)], [artifact("a")])
    labels = [group.label for group in headline(found)[1:]]
    assert len(set(labels)) == 2 and all("Pixel 7" in label for label in labels)


def test_only_the_test_split_makes_the_headline():
    records = [scored("a", 0.99, split="validation"), scored("a", 0.91)]
    assert texts(records, [artifact("a")], "Accuracy", "%, test") == ["91.00"]
    assert texts(records[:1], [artifact("a")], "Accuracy", "%, test") == ["–"]


def test_good_score_stands_before_a_failed_one():
    plain = Configuration(runtime="litert", runtime_version="2", delegate="none", threads=1)
    records = [scored("a", 0.91, configuration=plain), scored("a", None, minute=5)]
    assert texts(records, [artifact("a")], "Accuracy", "%, test") == ["91.00"]
    assert len(summary.failures(build(records, [artifact("a")]))) == 1


def test_accuracy_of_a_released_file_is_that_of_its_manifest_until_it_is_measured():
    manifest = artifact("a", released=released(0.9486))
    sentence = "Accuracy from the manifest, not measured here: a."
    for records in ([timed("a", 1.0)], [timed("a", 1.0), scored("a", None)]):
        found = build(records, [manifest])
        assert texts(records, [manifest], "Accuracy", "%, test") == ["94.86"]
        assert "Accuracy: fashion_mnist: 10,000 test images." in notes(found)
        assert sentence in notes(found)
        assert sentence in page.render(found, [], {})
        assert [point.y for point in latency_panels(found)[0].points] == [pytest.approx(94.86)]
        assert len(summary.failures(found)) == len(records) - 1
    measured = [scored("a", 0.91)]
    assert texts(measured, [manifest], "Accuracy", "%, test") == ["91.00"]
    assert sentence not in notes(build(measured, [manifest]))


@pytest.mark.parametrize(
    "changes",
    [{"split": "validation"}, {"dataset": "digits"}, {"top1": 1.2}, {"images": 0}],
)
def test_no_other_accuracy_of_a_manifest_is_taken(changes):
    manifest = artifact("a", released=released(**changes))
    assert texts([timed("a", 1.0)], [manifest], "Accuracy", "%, test") == ["–"]


def test_a_mean_is_not_called_a_median():
    means = timed("a", 2.0)
    assert means.latency is not None
    means = means.model_copy(
        update={"latency": means.latency.model_copy(update={"median_us": None})}
    )
    assert texts([means], [artifact("a")], "XNNPACK", "ms") == ["2.20"]
    assert any("or the mean" in line for line in notes(build([means], [artifact("a")])))
    assert not any("mean" in line for line in notes(build([timed("a", 2.0)], [artifact("a")])))


def test_decimals_are_the_same_down_a_column():
    artifacts = [artifact("a", kilobytes=3), artifact("b", kilobytes=2), artifact("c", kilobytes=1)]
    records: list[Record] = [timed("a", 123.4), timed("b", 0.456), timed("c", 7)]
    assert texts(records, artifacts, "XNNPACK", "ms") == ["123.400", "0.456", "7.000"]


def test_control_characters_never_reach_the_terminal():
    name = "a\x1b[31mred\x00\n\u202eevil"
    found = build([timed(name, None, reasons=("\x1b]0;title\x07",))], [])
    shown = [
        found.rows[0].name,
        *notes(found),
        *(c.text for c in headline(found)[0].columns[0].cells),
    ]
    assert all(text.isprintable() for text in shown)


# Any valid line, with figures and texts as wild as the types allow.
WORDS = st.one_of(
    st.sampled_from(["a", "b", "host", "xnnpack", "none", "test"]), st.text(max_size=9)
)
INTEGERS = st.one_of(st.integers(-5, 5), st.integers(), st.just(10**400))
FLOATS = st.one_of(
    st.sampled_from([0.0, -1.0, 5e-324, 1e308]),
    st.floats(0, 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
TIMES = st.one_of(
    st.datetimes().map(lambda t: t.isoformat()),
    st.sampled_from(
        ["", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2025-11-22T02:00:00Z"]
    ),
)
COMMON = {
    "model": st.sampled_from(["a", "b", "c"]),
    "model_sha256": st.sampled_from([sha256("a"), sha256("b"), "f" * 64]),
    "time_utc": TIMES,
    "command": st.lists(WORDS, max_size=3).map(tuple),
    "versions": st.dictionaries(WORDS, WORDS, max_size=2),
}
TEST = st.one_of(st.just("test"), WORDS)
IMAGES = st.one_of(st.just(100), INTEGERS)
OPTIONAL = st.one_of(st.none(), FLOATS)
RESULT = {
    **COMMON,
    "precision": WORDS,
    "device": st.builds(
        Device,
        kind=st.sampled_from(get_args(Device.model_fields["kind"].annotation)),
        id=WORDS,
        name=WORDS,
        details=st.dictionaries(WORDS, WORDS, max_size=2),
    ),
    "configuration": st.builds(
        Configuration, runtime=WORDS, runtime_version=WORDS, delegate=WORDS, threads=INTEGERS
    ),
    "placement": st.one_of(
        st.none(),
        st.builds(
            Placement,
            level=st.sampled_from(["full", "partial", "none", "unknown"]),
            nodes=st.one_of(st.none(), INTEGERS),
            delegated=st.one_of(st.none(), INTEGERS),
        ),
    ),
    "valid": st.sampled_from([True, True, True, False]),
    "reasons": st.lists(WORDS, max_size=2).map(tuple),
}
RECORDS = st.one_of(
    st.builds(TrainRecord, **COMMON, kind=st.just("train"), dataset=WORDS, scheme=st.just(()),
              validation_accuracy=FLOATS, epochs=INTEGERS, seconds=FLOATS, zeros=FLOATS),
    st.builds(ConvertRecord, **COMMON, precision=WORDS, bytes=INTEGERS, gzip_bytes=INTEGERS,
              seconds=FLOATS),
    st.builds(Accuracy, **RESULT, dataset=TEST, split=TEST, images=IMAGES, top1=OPTIONAL),
    st.builds(Agreement, **RESULT, pictures=WORDS, images=IMAGES, top1_agreement=OPTIONAL,
              largest_difference=OPTIONAL, relative_difference=OPTIONAL),
    st.builds(
        Measurement,
        **RESULT,
        latency=st.one_of(
            st.none(),
            st.builds(Latency, runs=INTEGERS, processes=INTEGERS, init_us=FLOATS, first_us=FLOATS,
                      avg_us=FLOATS, min_us=FLOATS, max_us=FLOATS, std_us=FLOATS,
                      median_us=OPTIONAL),
        ),
    ),
)  # fmt: skip


# Lines sure to meet in one row, so that wild latencies reach the axes.
SURE = {
    **RESULT,
    "model": st.just("a"),
    "model_sha256": st.just(sha256("a")),
    "valid": st.just(True),
}
MEETING = st.builds(
    Measurement,
    **SURE,
    latency=st.builds(
        Latency,
        **{name: st.just(1) for name in ("runs", "processes", "init_us", "first_us")},
        **{name: st.just(1) for name in ("min_us", "max_us", "std_us")},
        avg_us=FLOATS,
    ),
)


@settings(suppress_health_check=list(HealthCheck))
@given(st.lists(RECORDS, max_size=8), st.lists(MEETING, max_size=3), st.booleans())
def test_any_valid_lines_make_a_report(records, meeting, listed):
    records = [*records, *meeting, scored("a", 0.9, dataset="test")]
    found = build(records, [artifact("a", dataset="test")] if listed else [])
    groups = headline(found)
    assert all(len(c.cells) == len(found.rows) for g in groups for c in g.columns)
    assert len(found.current) + found.stale + found.superseded == len(records)
    for panel in (*size_panels(found), *latency_panels(found)):
        for point in panel.points:
            assert 0 <= panel.x.share(point.x) <= 1
            assert 0 <= panel.y.share(point.y) <= 1
        assert 2 <= len(panel.x.ticks) <= 40
    assert all(line.isprintable() for line in notes(found))
    assert all(describe(record) for record in records)
    html = page.render(found, [], {})
    assert html.count("<tr") >= len(found.rows)
