"""The chooser in a headless Chromium: filters, keyboard, what is drawn, and no network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.browser import CHROMIUM, Browser
from tests.support.report_samples import (
    PHONE,
    artifact,
    metered,
    scored,
    sha256,
    timed,
    trained,
    write_many,
    write_output,
)
from zoo.report import build

pytest.importorskip("vl_convert", reason="the report extra is not installed")
pytest.importorskip("jinja2", reason="the report extra is not installed")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this computer"),
    pytest.mark.xdist_group("browser"),
]

HOSTILE = "</script ><img src=x onerror=alert(1)><!--"
MARKS = "[...document.querySelectorAll('#choose-plot .marks > *')]"
ROWS = "[...document.querySelectorAll('#choose-rows tr')]"
NAMES = f"{ROWS}.map(row => row.querySelector('th').textContent)"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """Three good files, one that fails everywhere but on the host, one that was never scored."""
    output = tmp_path_factory.mktemp("choose")
    names = {"big-float32": 3000, "small-int8": 800, "worse-int8": 900, "odd-int8": 700, "new": 600}
    manifests = {
        name: artifact(name, "float32" if "float" in name else "int8", kb, parent_run="run")
        for name, kb in names.items()
    }
    jpeg = artifact("resnet20-jpeg", "int8", 280, model="resnet20", dataset="cifar10_jpeg")
    lines = [trained("run"), scored(HOSTILE, 0.5)]
    for i, name in enumerate(("big-float32", "small-int8", "worse-int8", "odd-int8")):
        lines.append(timed(name, 0.5, "gpu"))  # no phone's
        lines += [scored(name, None if i == 3 else 0.93 - i / 100), timed(name, 4.0 - i)]
        phone = metered(10.0 + i) if i < 2 else None
        lines.append(timed(name, 9.0 - i if i < 2 else None, "gpu", device=PHONE, energy=phone))
    lines += [timed("new", 1.0), scored("resnet20-jpeg", 0.4, dataset="cifar10_jpeg")]
    write_output(output, {**manifests, "resnet20-jpeg": jpeg}, lines)
    (output / "cards").mkdir()
    (output / "cards" / "run.md").write_text("# A card")
    build.write_page(build.load(output), output, output / "index.html")
    return output / "index.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def test_it_renders_without_a_complaint_or_a_request(browser, page):
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(page.as_uri())
    names = browser.run(NAMES)
    assert sorted(names) == sorted(
        ["big-float32", "small-int8", "worse-int8", "odd-int8", "new", HOSTILE]
    )
    assert len(browser.run(f"{MARKS}.map(mark => mark.getAttribute('aria-label'))")) == 3
    assert browser.run("document.images.length") == 0
    assert not browser.complaints
    assert {url for url in browser.requests if url != "about:blank"} == {page.as_uri()}


def test_complaints_and_requests_would_be_noticed(browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!doctype html><script>document.documentElement.dataset.ready = '1';"
        "fetch('http://127.0.0.1:9/').catch(() => 0); missing();</script>"
    )
    browser.open(bad.as_uri())
    assert any("missing is not defined" in complaint for complaint in browser.complaints)
    assert "http://127.0.0.1:9/" in browser.requests


def test_a_view_is_an_address(browser, page):
    browser.open(page.as_uri() + "#precision=int8&q=SMALL&x=size")
    assert browser.run(NAMES) == ["small-int8"]
    assert browser.run("document.getElementById('choose-precision').value") == "int8"
    assert browser.run("document.getElementById('choose-x').value") == "size"
    browser.run("location.hash = '#q=no such file'")
    wait = "new Promise(done => setTimeout(done, 50))"
    browser.run(wait)
    assert browser.run(NAMES) == []
    assert "No data" in browser.run("document.getElementById('choose-plot').textContent")


@pytest.mark.parametrize("key", ["data", "x", "device", "delegate", "precision", "sort", "file"])
def test_an_address_that_names_what_every_object_has_is_the_default(browser, page, key):
    browser.complaints.clear()
    browser.open(page.as_uri())
    names = browser.run(NAMES)
    for word in ("constructor", "__proto__", "toString"):
        browser.open(page.as_uri() + f"#{key}={word}")
        assert browser.run(NAMES) == names
    assert not browser.complaints


def test_a_control_changes_rows_and_address(browser, page):
    browser.open(page.as_uri())
    choose(browser, "x", "latency")
    choose(browser, "device", "Pixel 7, litert, 1 thread")
    assert browser.run("document.getElementById('choose-delegate').value") == "GPU"
    address = browser.run("decodeURIComponent(location.hash).replaceAll('+', ' ')")
    assert address == "#x=latency&device=Pixel 7, litert, 1 thread"
    assert len(browser.run(f"{MARKS}.map(() => 1)")) == 2
    browser.run("document.getElementById('choose-best').click()")
    assert browser.run(NAMES) == ["big-float32", "small-int8"]
    browser.run("document.getElementById('choose-reset').click()")
    assert browser.run("location.hash") == "" and len(browser.run(NAMES)) == 6


def choose(browser, key, value):
    browser.run(
        f"""{{ const made = document.getElementById("choose-{key}"); made.value = {value!r};
        made.dispatchEvent(new Event("change")); }}"""
    )


def test_what_failed_is_a_row_with_its_reason_and_no_point(browser, page):
    browser.open(page.as_uri() + "#x=latency&device=Pixel 7, litert, 1 thread")
    words = dict(browser.run(f"{ROWS}.map(row => [row.dataset.key, row.textContent])"))
    failed = words[f"file-{sha256('worse-int8')[:12]}"]
    assert "failed: the delegate refused QUANTIZE" in failed
    labels = browser.run(f"{MARKS}.map(mark => mark.getAttribute('aria-label'))")
    assert labels == [
        "small-int8: 92.00 % at 8 ms, Pareto-optimal",
        "big-float32: 93.00 % at 9 ms, Pareto-optimal",
    ]
    browser.open(page.as_uri())
    words = dict(browser.run(f"{ROWS}.map(row => [row.dataset.key, row.textContent])"))
    assert "failed: the interpreter crashed" in words[f"file-{sha256('odd-int8')[:12]}"]
    assert "no test accuracy" in words[f"file-{sha256('new')[:12]}"]
    count = browser.run("document.getElementById('choose-count').textContent")
    assert count == "6 of 6 files of this dataset; 3 plotted, 3 only in the table (1 failed)"


def test_energies_are_of_one_device(browser, page):
    browser.open(page.as_uri() + "#x=energy&device=Pixel 7, litert, 1 thread")
    assert len(browser.run(f"{MARKS}.map(() => 1)")) == 2
    choose(browser, "device", "Test CPU, litert, 1 thread")
    assert browser.run(f"{MARKS}.length") == 0


def test_keyboard_goes_from_point_to_details(browser, page):
    browser.open(page.as_uri())
    browser.run("document.getElementById('choose-reset').focus()")
    browser.press("Tab", "End", "ArrowLeft", "Enter")
    text = browser.run("document.getElementById('choose-details').innerText")
    assert "worse-int8" in text and sha256("worse-int8") in text
    assert "scripts/benchmark.py --artifact=worse-int8" in text
    assert "scripts/benchmark.py --artifact=run" in text
    links = browser.run(
        "[...document.querySelectorAll('#choose-details a')].map(a => a.getAttribute('href'))"
    )
    place = f"file-{sha256('worse-int8')[:12]}"
    assert links == ["artifacts/worse-int8.tflite", "cards/run.md", f"#{place}"]
    assert all((page.parent / link).is_file() for link in links[:2])
    assert browser.run("location.hash") == f"#file={place}"
    browser.run("document.querySelectorAll('#choose-details a')[2].click()")
    assert browser.run(f"document.getElementById('{place}').open")
    assert browser.run("location.hash") == f"#file={place}"


def test_columns_sort_by_keyboard(browser, page):
    browser.open(page.as_uri() + "#precision=int8")
    browser.run("document.querySelector('[data-sort=size]').focus()")
    browser.press("Enter")
    assert browser.run(NAMES)[0] == "new"
    browser.press("Enter")
    assert browser.run(NAMES)[0] == "worse-int8"
    head = "document.querySelector('[data-sort=size]').parentElement"
    assert browser.run(f"{head}.getAttribute('aria-sort')") == "descending"


def test_published_figures_are_apart_and_said_to_be_of_other_data(browser, page):
    browser.open(page.as_uri() + "#data=cifar10_jpeg&published=1")
    about = browser.run("document.getElementById('choose-about').textContent")
    assert "on CIFAR-10: not the same data as CIFAR-10 (JPEG)" in about
    marks = browser.run(f"{MARKS}.map(m => [m.getAttribute('class'), m.ariaLabel])")
    theirs = [label for kind, label in marks if kind == "published"]
    assert len(theirs) > 10 and all("published" in label for label in theirs)
    assert not any("Pareto-optimal" in label for label in theirs)
    ours = [label for kind, label in marks if kind != "published"]
    assert len(ours) == 1 and ours[0].endswith("Pareto-optimal")  # though theirs are better
    assert all("published (" in text for text in browser.run(
        f"{ROWS}.filter(row => row.dataset.key.startsWith('published')).map(r => r.textContent)"
    ))  # fmt: skip
    texts = browser.run(f"{ROWS}.map(row => row.textContent)")
    assert [("published" in text, "Pareto-optimal" in text) for text in texts].count(
        (True, True)
    ) == 0
    assert [text for text in texts if "Pareto-optimal" in text and "resnet20-jpeg" in text]
    choose(browser, "set", "fashion_mnist")
    assert browser.run("document.getElementById('choose-published').disabled")
    assert not any(
        "published" in kind for kind in browser.run(f"{MARKS}.map(m => m.className.baseVal)")
    )


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_in_light_and_dark(page, tmp_path, dark):
    with Browser(tmp_path, 360, 740, mobile=True, dark=dark) as browser:
        browser.open(page.as_uri())
        assert browser.run("document.documentElement.scrollWidth") <= 360
        color = browser.run("getComputedStyle(document.body).backgroundColor")
        assert (sum(json.loads(f"[{color[4:-1]}]")) < 150) is dark


@pytest.mark.slow
def test_two_thousand_result_lines_stay_small(browser, tmp_path):
    assert write_many(tmp_path, 400) == 2000
    page = build.write(build.load(tmp_path), tmp_path)
    assert page.stat().st_size <= 3_000_000
    browser.open(page.as_uri())
    count = browser.run("document.getElementById('choose-count').textContent")
    assert count == "400 of 400 files of this dataset; 400 plotted"
    assert browser.run(f"{ROWS}.length") == 100
    browser.run("document.getElementById('choose-more').click()")
    assert browser.run(f"{ROWS}.length") == 400
