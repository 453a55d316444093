"""The written page: complete, self-contained, safe with hostile records, fine in a browser."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support import processes
from tests.support.processes import HANG_S
from tests.support.report_samples import (
    PHONE,
    artifact,
    metered,
    scored,
    sha256,
    sustained,
    timed,
    trained,
    write_output,
)
from zoo.errors import ZooError
from zoo.report import build
from zoo.report import page as report_html
from zoo.report.charts import render
from zoo.report.charts.panels import size_panels
from zoo.schema.measurement import Device, Record

pytest.importorskip("vl_convert", reason="the report extra is not installed")
pytest.importorskip("jinja2", reason="the report extra is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]></svg><svg onload=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "name" * 400,
]


class Page(HTMLParser):
    """The tags of a page, their attributes, and the text outside style sheets."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An ordinary output folder with its report written by the command line."""
    output = tmp_path_factory.mktemp("output")
    names = {"squeeze-float32": 2967, "squeeze-int8": 798}
    manifests = {name: artifact(name, name.split("-")[1], kb) for name, kb in names.items()}
    records: list[Record] = [trained()]
    for i, name in enumerate(names):
        records += [
            scored(name, 0.92 - i / 1000),
            timed(name, 2.0 - i),
            timed(name, 6.0 - i, "none"),
            timed(name, 3.0 if i == 0 else None, "gpu", device=PHONE),
        ]
    records.append(timed("squeeze-int8", 1.0, model_sha256="f" * 64))
    write_output(output, manifests, records)
    with (output / "results.jsonl").open("a") as stream:
        stream.write('{"kind": "latency", "time')
    done = command(output)
    assert done.returncode == 0, done.stderr
    (output / "stdout").write_text(done.stdout)
    return output


def command(output: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return processes.run("scripts.report", f"--output={output}", *flags)


def test_terminal_text_tells_everything(folder):
    text = (folder / "stdout").read_text()
    assert "\x1b" not in text
    row = next(line for line in text.splitlines() if line.startswith("squeeze-int8 "))
    assert row.split()[:5] == ["squeeze-int8", "int8", "798", "718", "91.90"]
    assert "failed: the delegate refused QUANTIZE" in text
    assert "1 stale result line" in text
    assert "results.jsonl:11: not a result line" in text
    assert text.rstrip().splitlines()[-1] == f"Page: {folder}/report/index.html"


def test_page_has_the_same_figures(folder):
    page = Page((folder / "report" / "index.html").read_text())
    text = " ".join(" ".join(page.texts).split())
    for figure in ("2,967", "798", "92.00", "91.90", "5.00×", "41/41"):
        assert figure in text
    for name in ("squeeze-float32", "squeeze-int8"):
        assert sha256(name) in text
    assert "scripts/benchmark.py --artifact=squeeze-int8" in text
    assert "failed: the delegate refused QUANTIZE" in text
    assert "1 stale result line" in text
    assert "92.62" in text  # validation accuracy of the training run
    assert "fashion_mnist: 10,000 test images" in text


def test_page_loads_nothing_and_links_only_to_its_folder(folder):
    html = (folder / "report" / "index.html").read_text()
    page = Page(html)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"iframe", "object", "embed", "img", "video", "form", "base"}
    assert [dict(a) for tag, a in page.tags if tag == "script"] == [
        {"type": "application/json", "id": "choose-data"},
        {},
    ]
    assert f"script-src '{report_html.digest(report_html.script())}'" in html
    assert f"<script>{report_html.script()}</script>" in html
    for tag, attributes in page.tags:
        for key in ("src", "href", "xlink:href", "action", "poster", "srcset"):
            value = attributes.get(key)
            if value is None:
                continue
            assert tag in {"a", "link"}, (tag, key, value)
            if value.startswith("#"):
                assert any(a.get("id") == value[1:] for _, a in page.tags)
            elif value != "data:,":
                assert (folder / "report" / value).is_file(), value
    assert "url(" not in html and "@import" not in html
    assert html.startswith("<!doctype html>") and '<html lang="en">' in html
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_page_alone_can_lie_anywhere(folder, tmp_path):
    page = tmp_path / "site" / "zoo.html"
    done = command(folder, f"--output_file={page}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(f"Page: {page}")
    assert [path.name for path in page.parent.iterdir()] == ["zoo.html"]
    links = set(re.findall(r'href="([^"#]+)"', page.read_text())) - {"data:,"}
    assert len(links) == 2 and all((page.parent / link).is_file() for link in links)


@pytest.mark.parametrize("package", ["jinja2", "vl_convert"])
def test_a_missing_package_is_one_line(folder, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ZooError, match=r"pip install 'mobile-model-zoo\[report\]'"):
        build.write_page(build.load(folder), folder, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("stem", ["accuracy_vs_size", "accuracy_vs_latency"])
def test_pictures_stand_alone(folder, stem):
    svg = (folder / "report" / f"{stem}.svg").read_text()
    root = ElementTree.fromstring(svg)  # noqa: S314 - written by this test
    assert not re.search(r'(?:href|src)="', svg)
    titles = [e.text for e in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(t and t.startswith("squeeze-int8: 91.90 %") for t in titles)
    texts = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "int8" in texts and "Test accuracy (%)" in texts


def test_png_holds_text(folder):
    """A missing font would leave the headline blank: then a headline would change nothing."""
    panels = size_panels(build.load(folder))
    dark = {}
    for title in ("Test accuracy", " "):
        width, _, rows = pixels(render.figure(panels, title, " ")[1])
        dark[title] = sum(row[4 * x] < 100 for row in rows for x in range(min(width, 400)))
    assert dark["Test accuracy"] > dark[" "] + 500


@pytest.mark.parametrize("stem", ["accuracy_vs_size", "accuracy_vs_latency"])
def test_png_is_large_enough_for_a_readme(folder, stem):
    width, height, _ = pixels((folder / "report" / f"{stem}.png").read_bytes())
    assert width > 1000 and height > 500


def pixels(png: bytes) -> tuple[int, int, list[bytearray]]:
    """Width, height and RGBA rows of an 8-bit PNG without interlacing."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (depth, kind) == (8, 6)
    at, packed = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    raw, stride = zlib.decompress(packed), 4 * width + 1
    rows: list[bytearray] = []
    above = bytearray(4 * width)
    for y in range(60):  # the top is enough
        how, row = raw[y * stride], bytearray(raw[y * stride + 1 : (y + 1) * stride])
        for x in range(len(row)):
            left = row[x - 4] if x >= 4 else 0
            corner = above[x - 4] if x >= 4 else 0
            guess = left + above[x] - corner
            paeth = min((left, above[x], corner), key=lambda value: abs(guess - value))
            row[x] = (row[x] + (0, left, above[x], (left + above[x]) // 2, paeth)[how]) & 255
        rows.append(row)
        above = row
    return width, height, rows


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("hostile")
    records: list[Record] = [trained(HOSTILE[0])]
    for i, name in enumerate(HOSTILE):
        phone = Device(kind="phone", id=name, name=name, details={name: name})
        records += [
            scored(name, 0.9 + i / 1000, dataset="fashion_mnist" if i else name, precision=name),
            timed(name, 1.0 + i, precision=name, versions={name: name}, command=(name,)),
            timed(name, 2.0 + i, "gpu", device=phone, minute=i),
            timed(name, None, name, reasons=(name,), precision=name),
        ]
    # The names in a manifest can't be hostile; all its other texts can.
    listed = artifact(
        "listed",
        scheme=tuple(HOSTILE),
        labels=tuple(HOSTILE),
        operators={HOSTILE[0]: 1},
        preprocessing={"channels": HOSTILE[0], "geometry": HOSTILE[1]},
        recipe={"name": HOSTILE[1], "teacher": HOSTILE[0]},
        versions={HOSTILE[0]: HOSTILE[1]},
    )
    write_output(output, {"listed": listed}, [*records, scored("listed", 0.95)])
    build.write(build.load(output), output)
    return output


def test_hostile_names_stay_text(hostile):
    html = (hostile / "report" / "index.html").read_text()
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag not in {"img", "iframe"}
        assert not any(key.startswith("on") for key in attributes), (tag, attributes)
        assert not (attributes.get("href") or "").startswith("javascript")
    assert sum(tag == "script" for tag, _ in page.tags) == 2  # its data, its own
    assert "<script>alert(1)</script>" in "".join(page.texts)
    assert "{{ 7*7 }}" in "".join(page.texts)
    for stem in ("accuracy_vs_size", "accuracy_vs_latency"):
        path = hostile / "report" / f"{stem}.svg"
        if path.exists():
            root = ElementTree.parse(path).getroot()  # noqa: S314 - written by this test
            assert not any(e.tag.endswith("}script") for e in root.iter())
            assert not any(key.startswith("on") for e in root.iter() for key in e.attrib)
    assert (hostile / "report" / "accuracy_vs_latency.svg").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this computer")
@pytest.mark.parametrize("which", ["folder", "hostile"])
def test_browser_shows_the_page_without_a_complaint(which, request, tmp_path):
    page = request.getfixturevalue(which) / "report" / "index.html"
    done = chromium(page, tmp_path)
    assert done.returncode == 0, done.stderr[-800:]
    assert "How it was measured" in done.stdout
    assert "CONSOLE" not in done.stderr, done.stderr[-800:]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this computer")
def test_browser_would_have_complained(tmp_path):
    """The check above can fail: a page that breaks its own policy is noticed."""
    page = tmp_path / "bad.html"
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
    page.write_text(f"<!doctype html>{policy}<script>alert(1)</script>")
    assert "CONSOLE" in chromium(page, tmp_path).stderr


def chromium(page: Path, profile: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            str(CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            f"--user-data-dir={profile / 'chromium'}",
            *("--enable-logging=stderr", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
        env={**os.environ, "HOME": str(profile)},
    )


def test_bad_manifests_are_told_and_cost_only_themselves(tmp_path):
    write_output(tmp_path, {"a": artifact("a"), "other": artifact("b")}, [timed("a", 1.0)])
    (tmp_path / "artifacts" / "broken.json").write_text("{")
    (tmp_path / "artifacts" / "a.tflite").write_bytes(b"changed since")
    found = build.load(tmp_path)
    problems = "\n".join(found.problems)
    assert "broken.json" in problems and "names another file" in problems
    assert "the SHA-256 does not match the manifest" in problems
    assert [row.name for row in found.rows] == ["a"] and found.rows[0].artifact is None


@pytest.mark.parametrize("content", [None, "", "not json\n"])
def test_nothing_to_report_is_one_line_with_the_remedy(tmp_path, content):
    if content is not None:
        (tmp_path / "results.jsonl").write_text(content)
    with pytest.raises(ZooError, match="run `zoo benchmark` first"):
        build.load(tmp_path)
    done = command(tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "run `zoo benchmark` first" in done.stderr
    assert not (tmp_path / "report").exists()


def test_energy_and_sustained_runs(tmp_path):
    denied = timed("b", 4.0, device=PHONE).model_copy(update={"no_energy": "powered by USB"})
    write_output(
        tmp_path,
        {"a": artifact("a"), "b": artifact("b")},
        [
            scored("a", 0.91),
            scored("b", 0.92),
            timed("a", 9.0, device=PHONE, energy=metered(23.4)),
            denied,
            sustained("a", 60),
            sustained("b", None, "gpu"),
        ],
    )
    text = build.write(build.load(tmp_path), tmp_path).read_text()
    for figure in (
        ">23.4<",
        "none: powered by USB",
        "23.4 ± 0.54 mJ per inference, 3200 mW minus 600 mW idle, 57 battery gauge readings",
        "33 % slower from minute 10.0; clock first limited at minute 9.7; battery 29.0 to 40.2 °C",
        "no slowdown in 30 min",
        "Test accuracy against energy",
        "Sustained runs",
    ):
        assert figure in text, figure
    folder = tmp_path / "report"
    for stem in ("accuracy_vs_energy", "sustained"):
        assert "<svg" in (folder / f"{stem}.svg").read_text()
        assert (folder / f"{stem}.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_of_an_earlier_report_do_not_outlive_their_figures(tmp_path):
    write_output(tmp_path, {"a": artifact("a")}, [timed("a", 1.0)])
    old = tmp_path / "report" / "accuracy_vs_size.svg"
    old.parent.mkdir()
    old.write_text("old")
    page = build.write(build.load(tmp_path), tmp_path)
    assert not old.exists()
    assert "accuracy_vs_size.svg" not in page.read_text()


def test_import_is_light():
    code = (
        "import sys, scripts.report, zoo.report.build, zoo.report.terminal;"
        "heavy = {'altair', 'vl_convert', 'jinja2', 'rich', 'numpy', 'tensorflow'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S, check=True
    )
    assert done.stdout.strip() == "[]"
