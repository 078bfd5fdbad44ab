"""docs/example, a default run: its result is in the README, its settings are today's.

`make run` makes the files anew, in ``runs/latest``. After copying them, ``SPA3D_UPDATE_DOCS=1 pytest
tests/test_example_run.py`` writes the result into the README.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from spa3d.config.resolve import resolve
from spa3d.report.document import Document
from spa3d.report.markdown import describe_table, render_markdown
from spa3d.report.verdict import judge_run

ROOT = Path(__file__).parents[1]
README, EXAMPLE = ROOT / "README.md", ROOT / "docs" / "example"
BEGIN, END = "<!-- result:begin -->\n", "<!-- result:end -->"


@pytest.fixture(scope="module")
def example() -> Document:
    return Document.model_validate_json((EXAMPLE / "report.json").read_text(encoding="utf-8"))


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Settings of `old` with another value in `new`; settings that came later are left out."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key, value in old.items():
            yield from differences(value, new.get(key), f"{path}.{key}")
    elif old != new:
        yield f"{path}: {old!r}, today {new!r}"


def test_readme_shows_the_result_of_the_example(example: Document) -> None:
    first, gain, *blocks = render_markdown(example, []).split("\n\n")
    table = blocks[blocks.index("## Scores") + 1]
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    expected = (
        before
        + BEGIN
        + "\n\n".join((first, gain, table, describe_table(example)))
        + "\n"
        + END
        + rest.partition(END)[2]
    )
    if os.environ.get("SPA3D_UPDATE_DOCS"):
        README.write_text(expected, encoding="utf-8")
    assert README.read_text(encoding="utf-8") == expected


def test_example_has_the_default_settings_of_today(example: Document) -> None:
    assert example.status == "complete"
    assert list(differences(example.config, resolve().model_dump(mode="json"))) == []


def test_example_page_shows_the_verdict_in_less_than_a_megabyte(example: Document) -> None:
    page = (EXAMPLE / "report.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 2**20
    assert judge_run(example).claim in page
    assert "](docs/example/report.html)" in README.read_text(encoding="utf-8")
