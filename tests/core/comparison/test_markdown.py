"""compare.md."""

import json

import pytest

from spa3d.comparison.markdown import render_markdown

HOSTILE = "<b>a|b</b> `c` *d* [e](f) $g$"


def tables(page):
    """The tables of a page, each a list of lines."""
    return [block.splitlines() for block in page.split("\n\n") if block.startswith("| ")]


def test_render_markdown_first_line_is_the_verdict(three_rows):
    table = three_rows.table()
    page = render_markdown(table)
    assert page.startswith(f"**{table.verdict[0]}**\n")


def test_render_markdown_main_table_has_nine_columns(three_rows):
    main = tables(render_markdown(three_rows.table()))[0]
    assert main[0].count(" | ") == 8
    assert [line.split(" | ")[0] for line in main[2:]] == ["| sft *(control)*", "| spa", "| twins"]


def test_render_markdown_rows_match_the_header(three_rows, paper):
    three_rows.add(HOSTILE, HOSTILE).add("late", "")
    for lines in tables(render_markdown(three_rows.table(preset=paper))):
        cells = {line.replace("\\|", "").count("|") for line in lines}
        assert len(cells) == 1


def test_render_markdown_escapes_text(three_rows):
    page = render_markdown(three_rows.add(HOSTILE, HOSTILE).table())
    assert "<b>" not in page.replace("\\<b", "")
    assert "\\<b\\>a\\|b\\</b\\> \\`c\\` \\*d\\* \\[e\\](f) \\$g\\$: seeds 0, 1, 2 failed: \\<b\\>a" in page


def test_render_markdown_lists_every_seed(three_rows):
    runs = next(lines for lines in tables(render_markdown(three_rows.table())) if "folder" in lines[0])
    assert len(runs) == 2 + 9
    assert runs[2].startswith("| sft *(control)* | 0 | done | ")


@pytest.mark.parametrize(
    "title", ["the paper's own figures, from another model and other data: compare the pattern, not the values"]
)
def test_render_markdown_labels_the_papers_figures(three_rows, paper, title):
    page = render_markdown(three_rows.table(preset=paper))
    assert f"## T{title[1:]}\n\nTable 4\n\n| row | CLIP | GPT |\n" in page
    assert "| SPA | 53.2 | 49 |" in page
    assert title[4:20] not in render_markdown(three_rows.table())


def test_render_markdown_marks_only_significant_differences(three_rows):
    main = tables(render_markdown(three_rows.table()))[0]
    assert "▲" in main[4]
    assert not {"▲", "▼"} & set(main[3])
    assert "could see ±" in main[3].split(" | ")[4]
    assert "could see" not in main[4].split(" | ")[4], "it was seen"


def test_render_markdown_states_questions_seeds_and_decoding(three_rows):
    page = render_markdown(three_rows.table())
    assert "80 questions, chance 25.0 %; counterfactual: 80 questions, chance 25.0 %; flip: 40 pairs" in page
    assert "Seeds 0, 1, 2; 200 bootstrap resamples." in page
    for cell in sorted(three_rows.folder.glob("cells/*/report.json"))[:2]:
        cell.write_text(json.dumps(json.loads(cell.read_text()) | {"decoding": {"options": "by likelihood"}}))
    assert "Decoding: options by likelihood." in render_markdown(three_rows.table())
