"""The tables of a profiled run: every known form, and none at all where one is not whole."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_bench.tools.op_profile import OpProfile, parse_profile

RULE = 30 * "="
START = "INFO: Operator-wise Profiling Info for Regular Benchmark Runs:"
# (type, name, µs of all calls in one inference, calls)
GRAPH = (
    ("CONV_2D", "[conv/Relu6]:0", 60957, 1),
    ("DEPTHWISE_CONV_2D", "[depthwise/Relu6]:1", 49870, 1),
    ("CONV_2D", "[pointwise/Relu6]:2", 14780, 1),
    ("SOFTMAX", "[probabilities, more]:3", 42, 1),
)
XNNPACK = (
    ("Convolution (NHWC, F32) IGEMM", "Delegate/Convolution (NHWC, F32) IGEMM:0", 1269, 13),
    ("Softmax (NC, F32)", "Delegate/Softmax (NC, F32):1", 4, 1),
)
Rows = tuple[tuple[str, str, int, int], ...]


def node_table(title: str, rows: Rows, start: bool, csv: bool) -> str:
    total = sum(us for _, _, us, _ in rows)
    names = ["node type", *(["start"] if start else []), "first", "avg ms", "%", "cdf%", "mem KB"]
    lines = [f"{RULE} {title} {RULE}"]
    if csv:
        lines.append("node type, start, first, avg_ms, %, cdf%, mem KB, times called, name")
    else:
        header = [f"[{name}]" for name in [*names, "times called", "Name"]]
        lines.append("\t" + "\t".join(f"{name:>10}" for name in header))
    for kind, name, us, calls in rows:
        ms, share = us / calls / 1000, 100 * us / total
        cells = [kind, *(["0.000"] if start or csv else []), "9.000", f"{ms:.3f}"]
        cells += [f"{share:.3f}%", "100.000%", "0.000", str(calls), name]
        lines.append(", ".join(cells) if csv else "\t" + "\t".join(f"{c:>9}" for c in cells))
    return "\n".join([*lines, "", ""])


def tables(rows: Rows, start: bool = False, csv: bool = False) -> str:
    slow = tuple(sorted(rows, key=lambda row: -row[2] / row[3]))
    text = node_table("Run Order", rows, start, csv)
    text += node_table("Top by Computation Time", slow, start, csv)
    text += f"Number of nodes executed: {len(rows)}\n{RULE} Summary by node type {RULE}\n"
    if csv:
        text += "node type, count, avg_ms, avg %, cdf %, mem KB, times called\n"
    else:
        header = ("[Node type]", "[count]", "[avg ms]", "[avg %]", "[cdf %]", "[mem KB]")
        text += "\t" + "\t".join(f"{name:>11}" for name in (*header, "[times called]")) + "\n"
    total = sum(us for _, _, us, _ in rows)
    for kind in dict.fromkeys(kind for kind, *_ in slow):
        mine = [row for row in rows if row[0] == kind]
        us = sum(row[2] for row in mine)
        cells = [kind, str(len(mine)), f"{us / 1000:.3f}", f"{100 * us / total:.3f}%", "99.000%"]
        cells += ["0.000", str(sum(row[3] for row in mine))]
        text += (", ".join(cells) if csv else "\t" + "\t".join(f"{c:>10}" for c in cells)) + "\n"
    text += f"\nTimings (microseconds): count=9 curr={total}\nMemory (bytes): count=0\n"
    return text + f"{len(rows)} nodes observed\n\n"


STARTED = (
    "INFO: Profiling Info for Benchmark Initialization:\n"
    + tables((("AllocateTensors", "AllocateTensors/0", 1356, 1),))
    + "\n\n"
)
WHOLE = (
    f"INFO: STARTING!\n{STARTED}{START}\n{tables(GRAPH)}Delegate internal: \n{tables(XNNPACK)}\n"
)


def check_graph(profile: OpProfile | None) -> None:
    assert profile is not None
    found = [(one.type, one.count, one.avg_ms, one.percent) for one in profile.graph.types]
    assert found == [
        ("CONV_2D", 2, 75.737, 60.277),
        ("DEPTHWISE_CONV_2D", 1, 49.87, 39.69),
        ("SOFTMAX", 1, 0.042, 0.033),
    ]
    first = profile.graph.slowest[0]
    assert (first.type, first.name, first.avg_ms, first.calls) == (
        "CONV_2D", "[conv/Relu6]:0", 60.957, 1,
    )  # fmt: skip
    assert profile.graph.slowest[-1].name == "[probabilities, more]:3"
    assert profile.graph.total_ms == pytest.approx(125.649)


def test_the_whole_form():
    profile = parse_profile(WHOLE)
    check_graph(profile)
    assert profile is not None and profile.delegate is not None
    assert [one.type for one in profile.delegate.types] == [row[0] for row in XNNPACK]
    slowest = profile.delegate.slowest[0]
    assert (slowest.avg_ms, slowest.calls) == (0.098, 13)


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("csv", [False, True])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_forms_of_the_tables(start: bool, csv: bool, newline: str):
    text = f"{START}\n{tables(GRAPH, start, csv)}".replace("\n", newline)
    profile = parse_profile(text)
    check_graph(profile)
    assert profile is not None and profile.delegate is None


def test_litert_has_no_heading():
    check_graph(parse_profile(f"INFO: [benchmark_litert_model.h:179] \n{tables(GRAPH)}"))


def test_of_several_subgraphs_the_first():
    text = f"{START}\nPrimary graph (name: main) profile:\n{tables(GRAPH)}"
    text += f"Subgraph (index: 1, name: body) profile:\n{tables(XNNPACK)}Subgraph (index: 1) "
    check_graph(parse_profile(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "INFO: STARTING!\n",
        STARTED,
        f"{START}\n",
        f"{START}\n{START}\n{tables(GRAPH)}",
        WHOLE[: WHOLE.index("Delegate internal") + 40],
        WHOLE + "Delegate internal:\n",
        WHOLE.replace("CONV_2D\t         2\t", "CONV_2D\t         1\t"),
        WHOLE.replace("Number of nodes executed: 4", "Number of nodes executed: 5"),
        WHOLE.replace("60.277%", "6.279%"),
        WHOLE.replace("75.737", "7.737"),
        WHOLE.replace("75.737", "nan"),
        WHOLE.replace("75.737", "-75.737"),
        WHOLE.replace("49.870\t   39.690%", "WARN: hot\n"),
        WHOLE.replace("[avg %]", "[share]"),
    ],
    ids=itertools.count(),
)
def test_what_is_not_whole_is_none(text: str):
    assert text != WHOLE
    assert parse_profile(text) is None


def facts(profile: OpProfile) -> set[tuple[object, ...]]:
    """Everything that a profile claims."""
    found: set[tuple[object, ...]] = set()
    for table in (profile.graph, profile.delegate):
        if table is not None:
            found |= {(one.type, one.count, one.avg_ms, one.percent) for one in table.types}
            found |= {(one.type, one.avg_ms, one.calls, one.percent) for one in table.slowest}
    return found


@pytest.mark.parametrize("csv", [False, True])
def test_cut_off_or_broken_anywhere(csv: bool):
    text = f"{START}\n{tables(GRAPH, csv=csv)}Delegate internal: \n{tables(XNNPACK, csv=csv)}"
    whole = parse_profile(text)
    assert whole is not None
    for at in range(len(text)):
        for spoilt in (text[:at], text[:at] + "\n" + text[at:]):
            profile = parse_profile(spoilt)
            assert profile is None or facts(profile) <= facts(whole), text[at - 30 : at + 30]


LINES = st.sampled_from([*WHOLE.splitlines(), "", "\t1\t2", "a, 1, 2, 3%, 4%, 5, 6", RULE])


@given(st.lists(LINES | st.text(max_size=30), max_size=60))
def test_any_order_of_lines(lines: list[str]):
    profile = parse_profile("\n".join(lines))
    if profile is not None:
        for one in profile.graph.types:
            assert one.count >= 1 and 0 <= one.percent <= 100.01 and 0 <= one.avg_ms <= 3.6e6
            assert one.type.isprintable()


@given(st.text())
def test_any_text(text: str):
    assert parse_profile(text) is None
    parse_profile(f"{START}\n{tables(GRAPH)}{text}")
