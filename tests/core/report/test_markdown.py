"""report.md, read back with a Markdown parser."""

import json

import pytest

from spa3d.rendering.markdown import escape_markdown
from spa3d.rendering.numbers import MINUS, NOTHING
from spa3d.report.document import Document
from spa3d.report.markdown import render_markdown
from spa3d.runtime.plain_text import escape_controls


def plain(inline):
    return "".join(child.content for child in inline.children)


def texts(tokens, kind):
    return [plain(tokens[i + 1]) for i, token in enumerate(tokens) if token.type == kind]


def test_render_markdown_first_line_is_the_verdict(document):
    first = render_markdown(document(0.9, 0.5), []).splitlines()[0]
    assert first.startswith("**Post-training with spa hurt: choice fell by ")
    assert "95 % interval" in first


def test_render_markdown_score_table(document, parser):
    report = document(0.9, 0.5)
    page = render_markdown(report, [])
    tokens = parser(page)
    heads, cells = texts(tokens, "th_open"), texts(tokens, "td_open")
    width = heads.index("n") + 1
    first = dict(zip(heads[:width], cells[:width], strict=True))
    block = report.benchmarks["choice"]
    assert first[""] == "choice"
    assert first["before"].startswith(f"{100 * block.before.score:.1f} (")
    assert first["blind before"] == f"{100 * block.before.blind:.1f}"
    assert (first["chance"], first["n"]) == ("50.0", "80")
    assert first["could see"] == f"±{100 * block.change.mde:.1f}"
    assert first["McNemar"].endswith(f" (+{block.change.mcnemar.gained} {MINUS}{block.change.mcnemar.lost})")
    assert cells[width] == "choice, counterfactual"
    assert cells[2 * width] == "choice, flip"
    assert page.index("| choice |") < page.index("## How it was run")


def test_render_markdown_states_seeds_and_decoding(document):
    page = render_markdown(document(decoding={"options": "by likelihood", "most_tokens": 64}), [])
    assert "One run, seeds: post-training 3, base 0; n is the number of questions (flip: of pairs). " in page
    assert "Decoding: options by likelihood, most tokens 64." in page
    assert "Decoding" not in render_markdown(document(), [])


def test_render_markdown_of_a_report_without_the_newer_figures(document, parser):
    report = json.loads(document().json_text())
    for side in (change := report["benchmarks"]["choice"]["change"], *change["kinds"].values()):
        del side["mde"], side["mcnemar"]
    tokens = parser(render_markdown(Document.model_validate(report), []))
    heads, cells = texts(tokens, "th_open"), texts(tokens, "td_open")
    assert [cells[heads.index(name)] for name in ("could see", "McNemar")] == [NOTHING, NOTHING]


def test_render_markdown_shows_calibration_on_request(document, parser):
    tokens = parser(render_markdown(document(calibration=True), []))
    heads, cells = texts(tokens, "th_open"), texts(tokens, "td_open")
    # softmax of -1 and -2: 0.731 for the first option, which is right in half of the cases.
    assert cells[heads.index("ECE")] == "23.1 → 23.1"
    assert cells[heads.index("Brier")] == "0.607 → 0.607"
    assert cells[3 * (heads.index("Brier") + 1) - 1] == NOTHING, "a minimal pair has no calibration"
    assert "ECE" not in texts(parser(render_markdown(document(), [])), "th_open")


def test_render_markdown_escapes_hostile_text(document, example, hostile_text, parser):
    report = document(
        warnings=[hostile_text],
        data={"dataset": hostile_text, "splits": {hostile_text: 3}, "skipped": [hostile_text]},
        passport={"revision": hostile_text, "machine": {"device": hostile_text}},
    )
    tokens = parser(render_markdown(report, [example(hostile_text)]))
    assert not [token for token in tokens if token.type == "html_block"]
    children = [child for token in tokens for child in token.children or []]
    assert not [child for child in children if child.type in ("html_inline", "image")]
    assert {child.attrs["href"] for child in children if child.type == "link_open"} == {
        "predictions/", "metrics.jsonl", "config.yaml", "passport.json",
    }  # fmt: skip
    heads = texts(tokens, "th_open")
    row = texts(tokens, "td_open")[-6:]
    assert heads[-6:] == ["record", "question", "reference", "before", "after", "blind"]
    shown = escape_controls(hostile_text)
    assert row[0] == row[2] == row[3] == row[4] == shown
    lines = [plain(token) for token in tokens if token.type == "inline"]
    assert f"Watchdog: {shown}" in lines
    assert shown in lines


@pytest.mark.parametrize("text", ["a\nb", "a\r\n\n  b", "a\tb"])
def test_escape_markdown_line_breaks(text):
    assert escape_markdown(text) == "a b"


def test_render_markdown_empty_run(document):
    page = render_markdown(document(rows={}, status="interrupted", config={}, passport={}, data={}), [])
    assert page.startswith("**This run is interrupted: nothing was measured.**")


def test_render_markdown_links_to_pairs(document):
    passport = {"pairs": {"kept": 7, "requested": 9, "dropped": {}}}
    assert "the preference pairs in [`pairs.jsonl`](pairs.jsonl)" in render_markdown(document(passport=passport), [])
    assert "pairs.jsonl" not in render_markdown(document(), [])
