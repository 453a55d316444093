"""Energy from gauges whose truth is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from android_bench.power.energy import Battery, Window, energy
from android_bench.power.gauge import PowerProblem, calibrate, distinct
from android_bench.power.trace import parse
from tests.support.gauges import Phone, sampled
from zoo.errors import ZooError

INFERENCE_S = 0.008
NO_BATTERY = Battery()


def measured(phone, seed=0, kind="native", change=lambda text: text, battery=NO_BATTERY):
    found = sampled(phone, seed, kind)
    trace = parse(change(found.text))
    return found, energy(trace, found.before, found.load, found.after, INFERENCE_S, battery)


HEALTHY = {
    "by the ABI": Phone(),
    "SD865, inverted": Phone(charging_positive=False, averaging=True),
    "milliamperes": Phone(amps=1e-3, counter_step_uah=0),
    "milliamperes, inverted": Phone(amps=1e-3, charging_positive=False),
    "100 ms": Phone(period_s=0.1, noise=0.15),
    "10 s": Phone(period_s=10, idle_s=80, load_s=150),
    "coarse steps": Phone(steps=5000, noise=0.1),
    "light load": Phone(idle_w=0.5, load_w=0.9, noise=0.03),
    "warm afterwards": Phone(idle_w=0.7, drift_w=0.15),
    "two cells": Phone(volts=8.1, load_w=6),
}


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize("kind", ["native", "loop"])
def test_energy_of_a_healthy_phone(name, kind):
    phone = HEALTHY[name]
    for seed in range(5):
        truth, found = measured(phone, seed, kind)
        assert found.net_mw == pytest.approx(1e3 * truth.net_w, rel=0.05)
        assert found.gross_mw == pytest.approx(1e3 * truth.gross_w, rel=0.05)
        assert found.net_mj == pytest.approx(found.net_mw * INFERENCE_S)
        assert found.net_mj_uncertainty / found.net_mj <= 0.1
        assert found.unit == ("uA" if phone.amps == 1e-6 else "mA")
        assert found.charging_is == ("positive" if phone.charging_positive else "negative")
        assert found.sampler == kind
        assert phone.load_s - 2.5 * phone.period_s - 3 < found.window_s < phone.load_s
        assert found.gauge_period_s == pytest.approx(phone.period_s, rel=0.35)


def test_the_uncertainty_covers_the_error():
    phone = Phone(noise=0.15, load_w=2.5, period_s=1)
    outside = 0
    for seed in range(60):
        truth, found = measured(phone, seed)
        outside += abs(found.net_mw - 1e3 * truth.net_w) > found.net_mw_uncertainty
    assert outside <= 6


@settings(max_examples=150, deadline=None)
@given(
    idle_w=st.floats(0.02, 2),
    more_w=st.floats(0.05, 10),
    drift_w=st.floats(-0.3, 0.3),
    noise=st.floats(0, 0.4),
    volts=st.one_of(st.floats(3.4, 4.4), st.floats(7, 8.8)),
    period_s=st.sampled_from([0.1, 0.25, 1, 2, 5, 10, 30]),
    averaging=st.booleans(),
    milli=st.booleans(),
    charging_positive=st.booleans(),
    steps=st.sampled_from([1, 10, 61, 1000]),
    counter_step_uah=st.sampled_from([0, 1, 1000, 5000]),
    load_s=st.sampled_from([31, 60, 120]),
    seed=st.integers(0, 1000),
)
def test_an_energy_is_right_or_refused(
    idle_w, more_w, drift_w, milli, steps, **options
):  # fmt: skip
    phone = Phone(
        idle_w=idle_w,
        load_w=idle_w + more_w,
        drift_w=max(drift_w, -0.5 * idle_w),
        amps=1e-3 if milli else 1e-6,
        steps=min(steps, 10) if milli else steps,
        **{k: v for k, v in options.items() if k != "seed"},
    )
    try:
        truth, found = measured(phone, options["seed"])
    except PowerProblem:
        return
    assert found.unit == ("mA" if milli else "uA")
    assert found.charging_is == ("positive" if phone.charging_positive else "negative")
    # Five percent, or what it says itself; once in a while a little more.
    allowed = max(0.05 * truth.net_w, 2e-3 * found.net_mw_uncertainty)
    assert abs(1e-3 * found.net_mw - truth.net_w) <= allowed


def rewritten(column, change):
    """A change of the sampler's text: one column of every row."""

    def apply(text):
        head, _, body = text.partition("start\n")
        rows = [line.split(" ") for line in body.splitlines()]
        for i, row in enumerate(rows):
            row[column] = str(change(i / len(rows), row[column]))
        return head + "start\n" + "".join(" ".join(row) + "\n" for row in rows)

    return apply


REFUSED = {
    "charging": (
        Phone(), rewritten(2, lambda at, x: 400_000 + int(x) // 9),
        "was charging|not plausible for a phone",
    ),
    "charged in between": (
        Phone(), rewritten(2, lambda at, x: 90_000 if 0.5 < at < 0.52 else x), "was charging",
    ),
    "always 0": (Phone(), rewritten(2, lambda at, x: 0), "always 0"),
    "unsupported": (Phone(), rewritten(2, lambda at, x: -(2**31)), "always 0|can't be read"),
    "stands still": (Phone(), rewritten(2, lambda at, x: -412_000), "does not update"),
    "no load": (Phone(load_w=0.6), None, "does not change"),
    "gauge too slow": (Phone(period_s=10, load_s=60), None, "too few readings|does not update"),
    "load too short": (Phone(load_s=20), None, "too short"),
    "uncertain": (Phone(idle_w=1, load_w=2.6, noise=0.02, drift_w=0.4), None, "too uncertain"),
    "below the noise": (Phone(idle_w=3, load_w=3.1, noise=0.1), None, "below the noise|not change"),
    "nonsense volts": (Phone(), rewritten(3, lambda at, x: 12), "voltage is not plausible"),
    "no unit fits": (
        Phone(amps=1e-4, counter_step_uah=0, load_w=4), None,
        "two units|not plausible for a phone",
    ),
    "the counter disagrees": (
        Phone(counter_step_uah=1), rewritten(4, lambda at, x: 3_000_000 - round(90_000 * at)),
        "contradict",
    ),
    "gap": (
        Phone(), lambda text: "".join(
            line for i, line in enumerate(text.splitlines(True)) if not 500 < i < 540
        ), "paused",
    ),
    "asleep": (
        Phone(), rewritten(0, lambda at, x: int(x) - (9_000_000 if at > 0.4 else 0)), "slept",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_trusted_is_refused(name):
    phone, change, message = REFUSED[name]
    with pytest.raises(PowerProblem, match=message):
        measured(phone, change=change or (lambda text: text))


def test_denied_nodes_are_named():
    text = sampled(Phone()).text
    text = text.replace("node current_now", "denied current_now")
    text = rewritten(2, lambda at, x: "")(text).replace("  ", " ")
    found = sampled(Phone())
    with pytest.raises(PowerProblem, match=r"current can't be read \| got: denied"):
        energy(parse(text), found.before, found.load, found.after, 1.0, Battery())


def test_the_battery():
    phone = Phone(noise=0.01)
    truth, found = measured(phone, battery=Battery(percent=60.0))
    volts = phone.volts - phone.ohms * phone.load_w / phone.volts
    full_j = 3.0 / 0.6 * 3600 * volts
    assert found.hours == pytest.approx(full_j / truth.gross_w / 3600, rel=0.03)
    by_net = full_j / 100 / (truth.net_w * INFERENCE_S)
    assert found.inferences_per_percent == pytest.approx(by_net, rel=0.05)
    _, told = measured(phone, battery=Battery(percent=60.0, full_uah=2_500_000.0))
    assert told.hours == pytest.approx(found.hours / 2, rel=0.01)
    _, unknown = measured(phone)
    assert (unknown.hours, unknown.inferences_per_percent) == (None, None)


def test_readings_are_counted_once():
    trace = parse(sampled(Phone(noise=0.3)).text)
    readings = distinct(trace)
    assert len(trace.boot_s) == 1200
    assert 110 < len(readings.rows) <= 120
    assert readings.period_s == pytest.approx(1, abs=0.11)
    assert readings.held_s.sum() == pytest.approx(118, abs=2)


def test_evidence():
    found = sampled(Phone())
    trace = parse(found.text)
    idle, load = (trace.part(w.start_s, w.end_s) for w in (found.before, found.load))
    gauge = calibrate(idle, load)
    assert any("charge counter fell by" in line for line in gauge.evidence)
    assert gauge.watts(load).mean() == pytest.approx(found.gross_w, rel=0.05)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_traces_are_refused_or_read(data):
    text = sampled(Phone(idle_s=1, load_s=1)).text
    cut = text[: data.draw(st.integers(0, len(text)))]
    at = data.draw(st.integers(0, len(cut)))
    mutated = cut[:at] + data.draw(st.text(max_size=20)) + cut[at:]
    try:
        trace = parse(mutated)
    except ZooError:
        return
    assert (np.diff(trace.boot_s) >= 0).all()
    assert len(trace.boot_s) + trace.damaged == mutated.count("\n", mutated.find("start\n") + 6)


def test_the_last_row_is_dropped_where_it_was_cut_off():
    text = sampled(Phone(idle_s=1, load_s=1)).text
    whole, cut = parse(text), parse(text[:-3])
    assert len(cut.boot_s) == len(whole.boot_s) - 1


def test_clocks_that_run_backwards():
    with pytest.raises(ZooError, match="backwards"):
        parse(
            rewritten(1, lambda at, x: int(x) - (10**7 if at > 0.5 else 0))(sampled(Phone()).text)
        )


def test_windows_out_of_order():
    found = sampled(Phone())
    with pytest.raises(ValueError, match="order"):
        energy(parse(found.text), found.after, found.load, found.before, 1.0, Battery())
    assert dataclasses.replace(found.load).length_s == Window(0, 60).length_s
