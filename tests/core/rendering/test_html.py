"""The frame of a page and its pieces."""

import base64
import hashlib
import subprocess
import sys

from spa3d.rendering.html import (
    Headline,
    Page,
    isolate_text,
    render_cell,
    render_definitions,
    render_row,
    render_section,
    render_table,
    render_warnings,
)


def test_page_policy_forbids_scripts_and_pictures_by_default():
    page = Page("a < b", ["<p>one</p>", "", "<p>two</p>"], style="b { color: red; }\n")
    assert page.policy == "default-src 'none'; style-src 'unsafe-inline'"
    text = page.render()
    assert "<title>a &lt; b</title>" in text
    assert "b { color: red; }\n</style>" in text
    assert text.endswith("<body><main>\n<p>one</p>\n<p>two</p>\n</main></body></html>\n")


def test_page_allows_its_own_script_and_pictures():
    page = Page("t", [], script="let a = 1;", pictures=True)
    digest = base64.b64encode(hashlib.sha256(b"let a = 1;").digest()).decode()
    assert page.policy.endswith(f"; img-src data:; script-src 'sha256-{digest}'")
    assert page.render().endswith("</main>\n<script>let a = 1;</script></body></html>\n")


def test_headline_leaves_out_empty_sentences():
    text = Headline("even", "claim", "evidence", ("", "<more>"), "meta").render()
    assert text.startswith('<header class="even"><h1><span class="claim">claim</span>')
    assert text.count("lede") == 1
    assert isolate_text("<more>") in text


def test_isolate_text_escapes():
    assert isolate_text("<b>") == "<bdi>&lt;b&gt;</bdi>"


def test_section_warnings_and_definitions():
    assert render_section("Scores", "<p></p>", "x") == '<section class="x"><h2>Scores</h2><p></p></section>'
    assert render_warnings([]) == ""
    assert render_warnings(["a", "b"]).count("<li>") == 2
    assert render_definitions([("a", "b")]) == "<dl><div><dt>a</dt><dd>b</dd></div></dl>"


def test_table_names_roles_and_cells():
    row = render_row("r", [render_cell("1", label='a"b'), render_cell("2", kind="")], "control")
    assert row == (
        '<tr role="row" class="control"><th scope="row" role="rowheader" class="label">r</th>'
        '<td role="cell" data-label="a&quot;b">1</td><td role="cell" class="">2</td></tr>'
    )
    table = render_table([("Row", "label")], [row], "a < b")
    assert table.startswith('<table role="table"><caption class="hidden">a &lt; b</caption>')
    assert row in table


def test_rendering_imports_no_torch():
    code = "import sys, spa3d.rendering; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_page_shows_control_characters_and_marks_of_direction():
    hostile = "a\x1b]0;b\x07c\x9bd\u202ee\u2069f"
    shown = r"a\x1b]0;b\x07c\x9bd\u202ee\u2069f"
    page = Page(hostile, [f"<p title='{hostile}'>{isolate_text(hostile)}</p>"], style=f"/*{hostile}*/")
    assert page.render().count(shown) == 4
    assert all(sign.isprintable() or sign == "\n" for sign in page.render())
