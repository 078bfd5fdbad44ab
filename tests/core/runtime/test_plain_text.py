"""Control characters of foreign text become visible; all other text stays."""

import pytest

from spa3d.runtime.plain_text import escape_controls


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J\x85", r"\x9b2J\x85"),
        ("a\u202eb\u2066c\u2069\u200f\u061c", r"a\u202eb\u2066c\u2069\u200f\u061c"),
        ("a\rb\tc\u2028d\ufeff", r"a\rb\tc\u2028d\ufeff"),
        ("\ud800", r"\ud800"),
        ("line\nline", "line\nline"),
        ("Stuhl, 椅子\u3000می\u200cخ 👩\u200d🚀\u00a0§", "Stuhl, 椅子\u3000می\u200cخ 👩\u200d🚀\u00a0§"),
    ],
)
def test_escape_controls(text: str, shown: str) -> None:
    assert escape_controls(text) == shown
