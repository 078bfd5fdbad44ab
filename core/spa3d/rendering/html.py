"""Frame and parts of every HTML page: sections, definition lists, tables.

A page is one file and needs no network. Text from data and models must go through `isolate_text` or ``html.escape``;
all other arguments are HTML. Control characters anywhere in a page become visible escapes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from spa3d.runtime.plain_text import escape_controls

STYLE = "page.css"


@dataclass(frozen=True)
class Page:
    """Content of a page.

    Attributes:
        title: plain text.
        sections: HTML; empty ones are left out.
        style: CSS rules, appended to the common style sheet.
        script: the only script of the page; it must not contain text from data or models.
        pictures: whether pictures as data URLs are allowed.

    """

    title: str
    sections: Sequence[str]
    style: str = ""
    script: str = ""
    pictures: bool = False

    @property
    def policy(self) -> str:
        """Content security policy: no connections, and no script except `script`, by its hash."""
        rules = ["default-src 'none'", "style-src 'unsafe-inline'"]
        rules += ["img-src data:"] if self.pictures else []
        if self.script:
            digest = base64.b64encode(hashlib.sha256(self.script.encode()).digest()).decode()
            rules.append(f"script-src 'sha256-{digest}'")
        return "; ".join(rules)

    def render(self) -> str:
        """Render the whole file."""
        style = files(__package__).joinpath(STYLE).read_text(encoding="utf-8") + self.style
        script = f"\n<script>{self.script}</script>" if self.script else ""
        return escape_controls(
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{self.policy}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{escape(self.title)}</title>\n<style>\n{style}</style></head>\n<body><main>\n"
            + "\n".join(section for section in self.sections if section)
            + f"\n</main>{script}</body></html>\n"
        )


@dataclass(frozen=True)
class Headline:
    """Head of a page: claim, evidence, plain sentences, and subject.

    Attributes:
        tone: class of the head: ``helped``, ``even``, ``hurt`` or ``open``.
        claim: HTML.
        evidence: HTML.
        ledes: plain text; empty ones are left out.
        meta: HTML of the line below.

    """

    tone: str
    claim: str
    evidence: str
    ledes: Sequence[str]
    meta: str

    def render(self) -> str:
        """Render the head."""
        ledes = "".join(f'<p class="lede">{isolate_text(line)}</p>' for line in self.ledes if line)
        return (
            f'<header class="{self.tone}"><h1><span class="claim">{self.claim}</span> '
            f'<span class="evidence">{self.evidence}</span></h1>{ledes}<p class="meta">{self.meta}</p></header>'
        )


def isolate_text(untrusted: str) -> str:
    """Escape text, and isolate its writing direction from its surroundings."""
    return f"<bdi>{escape(untrusted)}</bdi>"


def render_section(name: str, body: str, kind: str = "") -> str:
    """Render a section with its heading."""
    return f'<section class="{kind}"><h2>{name}</h2>{body}</section>'


def render_warnings(items: Sequence[str]) -> str:
    """Render the box of warnings, one item each (HTML); empty without warnings."""
    listed = "".join(f"<li>{item}</li>" for item in items)
    return f'<section class="warnings" aria-label="Warnings"><ul>{listed}</ul></section>' if items else ""


def render_definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Render a definition list of names and values."""
    return "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in pairs) + "</dl>"


def render_table(heads: Iterable[tuple[str, str]], rows: Iterable[str], caption: str, kind: str | None = None) -> str:
    """Render a table with explicit ARIA roles.

    On phones the style sheet shows rows as cards; the elements would then lose their implicit roles.

    Args:
        heads: content and class of each column heading.
        rows: from `render_row`.
        caption: plain text for screen readers.
        kind: class of the table; None adds no attribute.

    """
    cells = "".join(f'<th scope="col" role="columnheader" class="{kind}">{head}</th>' for head, kind in heads)
    return (
        f'<table role="table"{_attribute("class", kind)}><caption class="hidden">{escape(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{cells}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(rows)}</tbody></table>'
    )


def render_row(label: str, cells: Iterable[str], kind: str | None = None) -> str:
    """Render a row with its label; `cells` are from `render_cell`, `kind` is a class or None."""
    head = f'<th scope="row" role="rowheader" class="label">{label}</th>'
    return f'<tr role="row"{_attribute("class", kind)}>{head}{"".join(cells)}</tr>'


def render_cell(content: str, *, label: str | None = None, kind: str | None = None) -> str:
    """Render a cell.

    Args:
        content: HTML of the cell.
        label: plain name of its column, shown on phones; None adds no attribute.
        kind: class of the cell; None adds no attribute.

    """
    return f'<td role="cell"{_attribute("class", kind)}{_attribute("data-label", label)}>{content}</td>'


def _attribute(name: str, value: str | None) -> str:
    return "" if value is None else f' {name}="{escape(value)}"'
