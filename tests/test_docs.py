"""Generated pages: docs/settings.md, and tables in README.md, formats.md and doctor.md.

``SPA3D_UPDATE_DOCS=1 pytest tests/test_docs.py`` writes them; without the variable a stale page fails.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from spa3d.cli.help import CHECKPOINT_FLAG, CHECKPOINT_MEANING, RUN_FLAGS
from spa3d.config.catalog import Entry, catalog, explain
from spa3d.config.settings import RunConfig
from spa3d.config.sources import BLOCKS, PLAIN
from spa3d.data.doctor.findings import KINDS as FINDINGS
from spa3d.data.formats.read import FORMATS
from spa3d.registry.fields import describe, is_block, show, show_default
from spa3d.registry.kinds import CHOSEN, CHOSEN_SEVERAL, KINDS, kind_spec, settings_keys
from spa3d.registry.registry import Registry, load_registry
from spa3d.rendering.markdown import escape_markdown

ROOT = Path(__file__).parents[1]
README, SETTINGS, FORMATS_PAGE = ROOT / "README.md", ROOT / "docs" / "settings.md", ROOT / "docs" / "formats.md"
DOCTOR_PAGE = ROOT / "docs" / "doctor.md"
UPDATE = "SPA3D_UPDATE_DOCS"
STALE = f"is not what the code says; {UPDATE}=1 pytest tests/test_docs.py writes it"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")

INTRODUCTION = f"""\
# Settings

<!-- Written by `{UPDATE}=1 pytest tests/test_docs.py`; edits by hand are lost. -->

This page lists every flag of `tools/run.py` (or `spa3d run`) with its type, default and meaning.

- In a `run.yaml` (`--config run.yaml`) the names are keys and each dot is a level: `--train.steps 3` is
  `train: {{steps: 3}}`. Hyphens and underscores in names are the same.
- Values of a list are separated by commas. `none` means no value.
- `--no-blind` and `--cache` undo `blind: true` and `cache: false` of a `run.yaml`.

A value comes from the first of these sources that sets it: flag, `run.yaml`, the run preset's values for the objective,
run preset, preset of the component, default. The tables below show the defaults;
[what the presets set](#what-the-presets-set) is at the end. Add `--help` to a command to see the resulting values with
their flags, or `--dry-run` to see the whole configuration.
"""
CHOICES = """\
## What runs

Names of components or of their presets; `tools/list` shows them, `tools/list --why NAME` explains one.
"""
PARTS = """\
## Settings of the components

Only settings of the chosen components can be set. A benchmark's flags contain its name, because a run can have several.
"""
PRESETS = """\
## What the presets set

A *default preset* replaces a component's name under a run preset. Values under *objectives* apply with that objective.
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Registry of the shipped components, without other installed plugins."""
    return load_registry(ROOT / "registry.yaml", environ={"SPA3D_PLUGINS": ""})


def test_the_table_of_components_in_the_readme(registry: Registry) -> None:
    check_table(README, "components", component_table(catalog(registry)))


def test_the_table_of_formats() -> None:
    rows = [(each.name, " ".join(map(code, each.suffixes)), escape_markdown(each.summary)) for each in FORMATS]
    check_table(FORMATS_PAGE, "formats", table(("format", "endings", "what is read"), rows))


def test_the_table_of_findings() -> None:
    rows = [(code(name), kind.subject, kind.severity, escape_markdown(kind.meaning)) for name, kind in FINDINGS.items()]
    check_table(DOCTOR_PAGE, "findings", table(("finding", "about", "severity", "when"), rows))


def test_the_settings(registry: Registry) -> None:
    check_page(SETTINGS, settings_page(registry))


@pytest.mark.parametrize("page", sorted(p.relative_to(ROOT) for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))))
def test_links_have_targets(page: Path) -> None:
    text = re.sub(r"(?s)```.*?```", "", (ROOT / page).read_text(encoding="utf-8"))
    targets = [target for target in LINK.findall(text) if "://" not in target]
    assert [target for target in targets if not ((ROOT / page).parent / target).exists()] == []


def check_page(path: Path, expected: str) -> None:
    """Compare a page with its expected text, or write it."""
    if os.environ.get(UPDATE):
        path.write_text(expected, encoding="utf-8")
    assert path.is_file(), f"{path.relative_to(ROOT)} {STALE}"
    assert path.read_text(encoding="utf-8") == expected, f"{path.relative_to(ROOT)} {STALE}"


def check_table(path: Path, name: str, expected: str) -> None:
    """Compare the table between two marks of a page with the expected one, or write it."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, mark, rest = path.read_text(encoding="utf-8").partition(begin)
    assert mark, f"{path.relative_to(ROOT)} has lost {begin}"
    _, mark, after = rest.partition(end)
    assert mark, f"{path.relative_to(ROOT)} has lost {end}"
    check_page(path, before + begin + expected + end + after)


def component_table(entries: Iterable[Entry]) -> str:
    """Table by kind; presets are below their component."""
    rows, last = [], ""
    preferred = {names[0] for names in load_registry().manifest.defaults.backends.values()}
    for entry in entries:
        follows = entry.component.source if entry.component and not entry.preset_of else ""
        # The backend chosen by auto depends on the machine; the page shows the preferred ones.
        default = entry.name in preferred if entry.section == "ops" else entry.default
        name = f"{'&emsp;' if entry.preset_of else ''}`{entry.name}`{' (default)' if default else ''}"
        rows.append(
            ("" if entry.section == last else entry.section, name, escape_markdown(entry.summary), link(follows))
        )
        last = entry.section
    return table(("kind", "name", "what it is", "follows"), rows)


def settings_page(registry: Registry) -> str:
    """The whole of docs/settings.md."""
    parts = [INTRODUCTION, CHOICES, table(("flag", "takes", "default", "there is"), choices(registry))]
    parts += ["## The run\n", table(FIELD_HEAD, run_rows(registry))]
    for block in BLOCKS:
        parts += block_parts(block)
    parts.append(PARTS)
    for entry in catalog(registry, KINDS):
        if entry.component and not entry.preset_of and entry.section != "ops":
            parts += component_parts(registry, entry)
    parts += [PRESETS, *preset_parts(registry)]
    return "\n".join(parts)


FIELD_HEAD = ("flag", "type", "default", "meaning")


def choices(registry: Registry) -> Iterator[tuple[str, ...]]:
    for section in (*CHOSEN, "llm"):
        names = ", ".join(code(entry.name) for entry in catalog(registry, (section,)))
        takes = "name or path" if section == "llm" else "names" if section in CHOSEN_SEVERAL else "name"
        yield code(f"--{section}"), takes, code(show(registry.manifest.defaults.names(section))), names
        if section in CHOSEN and kind_spec(section).has_weights:
            yield code(CHECKPOINT_FLAG), "file", "", escape_markdown(CHECKPOINT_MEANING)


def run_rows(registry: Registry) -> Iterator[tuple[str, ...]]:
    for flag, takes, _, meaning in RUN_FLAGS:
        default = registry.manifest.defaults.preset if flag == "--preset" else ""
        yield code(flag), code(takes), code(default), escape_markdown(meaning)
    for name in PLAIN:
        yield field_row(f"--{name}", RunConfig.model_fields[name.replace("-", "_")])


def block_parts(block: str) -> Iterator[str]:
    """Tables of a block of RunConfig; equal inner blocks, such as the base's stages, share one."""
    model: Any = RunConfig.model_fields[block].annotation
    inner = {name: field for name, field in model.model_fields.items() if is_block(field)}
    alike = [
        name for name, field in inner.items() if [each.default for each in inner.values()].count(field.default) > 1
    ]
    yield f"## {block}\n\n{model.__doc__.strip().partition(chr(10))[0]}\n"
    short = [(code("--base"), code("folder"), "", "Short for `--base.path`.")] if block == "base" else []
    yield table(FIELD_HEAD, [*fields(model, f"--{block}", leave=alike), *short])
    if alike:
        yield f"`STAGE` is one of {', '.join(map(code, alike))}:\n"
        yield table(("stage", "meaning"), [(code(name), inner[name].description or "") for name in alike])
        yield table(FIELD_HEAD, fields(inner[alike[0]].annotation, f"--{block}.STAGE"))


def component_parts(registry: Registry, entry: Entry) -> Iterator[str]:
    assert entry.component is not None
    rows = list(fields(registry.target(entry.component).Config, f"--{flag_of(entry)}"))
    yield f"### {entry.section} {entry.name}\n\n{escape_markdown(entry.summary)}.\n"
    yield table(FIELD_HEAD, rows) if rows else "No settings.\n"


def flag_of(entry: Entry) -> str:
    return ".".join(settings_keys(entry.section, entry.name))


def preset_parts(registry: Registry) -> Iterator[str]:
    for entry in catalog(registry):
        if entry.preset_of and entry.component:
            values: Mapping[str, Any] = registry.manifest.presets.of_kind(entry.section)[entry.name].config
            rows = [(code(f"--{flag_of(entry)}.{key}"), code(show(value))) for key, value in values.items()]
        elif entry.component is None:
            (explanation,) = explain(registry, entry.name, entry.section)
            facts = {key: text for key, text in explanation.facts.items() if key not in ("summary", "set in", "status")}
            rows = [(preset_key(entry.section, key), code(text)) for key, text in facts.items()]
        else:
            continue
        of = f", preset of {entry.preset_of}" if entry.preset_of else ""
        yield f"### {entry.section} {entry.name}{of}\n\n{escape_markdown(entry.summary)}.\n"
        yield table(("sets", "to"), rows)


def preset_key(section: str, key: str) -> str:
    """Flag that a key of a run or LLM preset sets, or a description of the key."""
    head, _, rest = key.partition(".")
    if key == "source":
        return "source"
    if head == "objectives":
        objective, _, setting = rest.partition(".")
        return f"objectives: {code(objective)}: {code(f'--train.{setting}')}"
    if head == "default_presets":
        kind, _, name = rest.partition(".")
        return f"default preset: {code(f'--{kind} {name}')}"
    return code(f"--llm.{rest}") if section == "llm" else code(f"--{rest}")


def fields(model: Any, prefix: str, *, leave: Iterable[str] = ()) -> Iterator[tuple[str, ...]]:
    """Rows for all fields, nested ones included, without those in `leave`."""
    for name, field in model.model_fields.items():
        if name in leave:
            continue
        if is_block(field):
            yield from fields(field.annotation, f"{prefix}.{name}")
        else:
            yield field_row(f"{prefix}.{name}", field)


def field_row(flag: str, field: Any) -> tuple[str, ...]:
    return code(flag), code(describe(field)), code(show_default(field)), escape_markdown(field.description or "")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [[*head], ["---" for _ in head], *rows]
    return "".join(f"| {' | '.join(cell(text) for text in line)} |\n" for line in lines)


def cell(text: str) -> str:
    """Escape bars, so that text (code spans included) stays in its cell."""
    return re.sub(r"(?<!\\)\|", r"\|", text)


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def link(source: str) -> str:
    """A web address as a short link; anything else as it is."""
    if not source.startswith("https://"):
        return source
    return f"[{source.removeprefix('https://').replace('arxiv.org/abs/', 'arXiv ')}]({source})"
