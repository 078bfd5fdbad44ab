"""report.html, read back with an HTML parser."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from spa3d.report.conditions import list_mcnemar
from spa3d.report.page import render_page
from spa3d.runtime.plain_text import escape_controls

VOID = {"meta", "img", "circle", "line", "polyline", "br"}


class Reader(HTMLParser):
    """Parser that collects elements, text and unmatched tags."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text, self.errors = [], [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(tag)

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style", "title"):
            self.text += data


@pytest.fixture
def read():
    def reading(page):
        reader = Reader()
        reader.feed(page)
        assert reader.errors == []
        assert reader.open == []
        return reader

    return reading


def test_render_page_order_of_sections(document, example, metrics, read):
    report = document(0.9, 0.5, warnings=["log p fell"])
    reader = read(render_page(report, [example()], metrics))
    assert reader.text.split()[:4] == ["Post-training", "with", "spa", "hurt:"]
    order = [tag for tag, attrs in reader.tags if tag in ("h1", "table", "article") or attrs.get("class") == "chart"]
    assert order[:2] == ["h1", "table"]
    assert order.index("figure") < order.index("article")
    for expected in ("choice", "counterfactual", "flip", "color", "blind", "By kind of question", "log p fell"):
        assert expected in reader.text


def test_render_page_needs_no_network(document, example, metrics, read):
    page = render_page(document(), [example(points=1024), example()], metrics)
    assert len(page.encode()) < 200_000
    for tag, attrs in read(page).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert attrs.get("src", "data:").startswith("data:")
        assert "href" not in attrs
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", page)


def test_render_page_policy_allows_only_its_own_script(document, example, metrics):
    page = render_page(document(), [example()], metrics)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_render_page_escapes_hostile_text(document, example, hostile_text, metrics, read, rows):
    renamed = [row | {"kind": hostile_text + row["kind"]} for row in rows(0.8)]
    report = document(
        rows={hostile_text: (renamed, renamed)},
        warnings=[hostile_text],
        config={
            "encoder": {"requested": hostile_text},
            "noise": {"requested": hostile_text},
            "objective": {"requested": hostile_text},
        },
        data={"dataset": hostile_text, "splits": {hostile_text: 3}, "skipped": [hostile_text]},
        passport={"machine": {"argv": [hostile_text]}, hostile_text: hostile_text},
        status=hostile_text,
        timing={hostile_text: 1.0},
    )
    harmless = read(render_page(document(warnings=["x"], data={"skipped": ["x"]}), [example("x")], metrics))
    reader = read(render_page(report, [example(hostile_text)], metrics))
    assert {tag for tag, _ in reader.tags} == {tag for tag, _ in harmless.tags}
    assert sum(tag == "script" for tag, _ in reader.tags) == 1
    assert not [name for _, attrs in reader.tags for name in attrs if name.startswith("on")]
    shown = escape_controls(hostile_text)
    assert reader.text.count(shown) >= 12
    assert shown in next(attrs["alt"] for tag, attrs in reader.tags if tag == "img")


def test_render_page_states_statistics_seeds_and_decoding(document):
    page = render_page(document(decoding={"options": "by likelihood"}), [], [])
    change = document().benchmarks["choice"].change
    p, counts = list_mcnemar(change.mcnemar)
    assert f"<small>could see ±{100 * change.mde:.1f}</small><small>McNemar {p}</small><small>{counts}</small>" in page
    assert "One run, seeds: post-training 3, base 0; n is the number of questions" in page
    assert "Decoding: options by likelihood." in page
    assert ">Calibration<" not in page


def test_render_page_shows_calibration_on_request(document):
    page = render_page(document(calibration=True), [], [])
    assert ">Calibration</th>" in page
    assert 'data-label="Calibration"><b>23.1 → 23.1</b><small>Brier 0.607 → 0.607</small>' in page


def test_render_page_labels_for_screen_readers(document, example, metrics, read):
    reader = read(render_page(document(), [example()], metrics))
    for tag, attrs in reader.tags:
        if tag == "svg":
            assert attrs["aria-label"]
            assert attrs["role"] == "img"
        if tag == "img":
            assert attrs["alt"]
        if tag == "th":
            assert attrs["scope"] in ("col", "row")
    assert sum(tag == "caption" for tag, _ in reader.tags) == sum(tag == "table" for tag, _ in reader.tags) == 2
    assert ("html", {"lang": "en"}) in reader.tags


def test_render_page_marks_answers_equal_to_the_reference(document, example, metrics):
    page = render_page(document(), [example("Red.")], metrics)
    assert page.count('class="same"') == 2  # before and after, not blind


def test_render_page_empty_run(document, read):
    report = document(rows={}, status="interrupted", config={}, passport={}, data={}, timing={})
    reader = read(render_page(report, [], []))
    assert "This run is interrupted" in reader.text
    assert "Training" not in reader.text
    assert "Examples" not in reader.text


def test_render_page_names_the_pairs_file(document, read):
    passport = {"pairs": {"kept": 7, "requested": 9, "dropped": {"an answer is empty": 2}}}
    page_text = read(render_page(document(passport=passport), [], [])).text
    assert "the preference pairs in pairs.jsonl" in page_text
    assert "7 of 9 requests" in page_text
    assert "pairs.jsonl" not in read(render_page(document(), [], [])).text
