"""Markdown of untrusted text, and tables."""

from spa3d.rendering.markdown import escape_markdown, render_bullets, render_markdown_table


def test_escape_markdown_control_characters_and_markup():
    assert escape_markdown("[/red]<script>|") == r"\[/red\]\<script\>\|"
    assert escape_markdown("a\x1b[2J\u2028b\r\n\x9bc") == r"a\\x1b\[2J b \\x9bc"


def test_render_markdown_table_aligns_numbers_and_escapes_heads():
    assert render_markdown_table(["row", "a|b"], [["x", "1"]]) == "| row | a\\|b |\n|---|---:|\n| x | 1 |"
    assert render_markdown_table(["row", "said"], [], numeric=False) == "| row | said |\n|---|---|"


def test_render_bullets():
    assert render_bullets(["a", "b"]) == "- a\n- b"


def test_escape_markdown_marks_of_direction():
    assert escape_markdown("a\u202eb\u2066c\u2069\x07") == r"a\\u202eb\\u2066c\\u2069\\x07"
