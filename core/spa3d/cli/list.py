"""``spa3d list``: components and presets with origin and status on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from spa3d.cli import FAULT
from spa3d.cli.console import error_console, escape_text, output, page, print_meanings, print_sentence
from spa3d.cli.flags import scan_flags
from spa3d.config.catalog import (
    BROKEN,
    IMPORTS,
    READY,
    SECTIONS,
    UNAVAILABLE,
    WORKS,
    Entry,
    Explanation,
    automatic_backends,
    catalog,
    explain,
)
from spa3d.config.overrides import Arguments
from spa3d.errors import ConfigError
from spa3d.ops.selection import REFERENCE
from spa3d.registry.registry import Registry, describe_missing, open_registry

STYLES = {READY: "green", IMPORTS: "green", WORKS: "green", UNAVAILABLE: "yellow", BROKEN: "bold red"}
FLAGS = {
    "--why NAME": "explain one name: file, license, source, weights, fields",
    "--check": "import everything and try the point operations; exit code 1 if something is broken",
    "--json": "print JSON",
    "--plugin FILE": "load an unpackaged plugin (a file or a module), too",
    "--registry FILE": "add the rows of a file to registry.yaml",
}


def main(argv: Sequence[str]) -> int:
    """List components and presets, or explain one name."""
    arguments = scan_flags(argv, FLAGS)
    if arguments.has("help"):
        _print_usage()
        return 0
    section = _read_section(arguments)
    name, check = arguments.value("why"), arguments.has("check")
    registry = open_registry(added=arguments.value("registry"), plugins=arguments.values("plugin"))
    if name is not None:
        explanations = explain(registry, name, section)
        _print_json([asdict(each) for each in explanations]) if arguments.has("json") else _print_why(explanations)
        return 0
    sections = SECTIONS if section is None else (section,)
    entries = catalog(registry, sections, check=check)
    if arguments.has("json"):
        _print_json(_make_document(registry, entries))
    else:
        _print_table(entries)
        _print_empty(sections, entries)
        if section == "ops":
            backends = ", ".join(f"{name} on {device}" for device, name in _find_automatic(registry, entries).items())
            output().print(
                escape_text(f"--ops auto takes {backends}, and {REFERENCE} on any other device; all give the same.")
            )
        _print_plugins(registry)
        if check:
            _print_torchvision()
    for clash in registry.clashes:
        print_sentence(error_console(), escape_text("error: ", "bold red") + escape_text(clash))
    broken = bool(registry.broken) or any(entry.status.word == BROKEN for entry in entries)
    return FAULT if registry.clashes else int(check and broken)


def _read_section(arguments: Arguments) -> str | None:
    """Find the section to list; raises `ConfigError` with all errors of the arguments."""
    errors = [*arguments.errors]
    errors += [f"{word!r} is one kind too many; give one, or none for all" for word in arguments.words[1:]]
    section = arguments.words[0] if arguments.words else None
    if section not in (None, *SECTIONS):
        errors.append(describe_missing("kind", str(section), SECTIONS, "tools/list"))
    if errors:
        raise ConfigError(errors)
    return section


def _print_usage() -> None:
    console = page()
    console.print("usage: spa3d list [KIND] [FLAGS]\n", markup=False)
    console.print(f"KIND  {', '.join(SECTIONS)}\n")
    print_meanings(console, FLAGS)


def _print_empty(sections: Sequence[str], entries: Sequence[Entry]) -> None:
    """Say which sections are empty, and where components come from."""
    for section in sections:
        if not any(entry.section == section for entry in entries):
            text = (
                f"there is no {section} yet; plugins bring them: a package, or a file with --plugin (docs/plugins.md)"
            )
            print_sentence(output(), escape_text(text))


def _print_table(entries: Sequence[Entry]) -> None:
    if not entries:
        return
    table = Table("kind", "name", "summary", "origin", "status", box=None, pad_edge=False, header_style="bold")
    last = ""
    for entry in entries:
        name = escape_text(
            f"  {entry.name}" if entry.preset_of else entry.name, "cyan" if entry.preset_of else "bold cyan"
        )
        table.add_row(
            escape_text("" if entry.section == last else entry.section, "bold"),
            name + escape_text(" *" if entry.default else "", "bold"),
            escape_text(entry.summary),
            escape_text(entry.origin, "dim" if entry.preset_of else ""),
            escape_text(entry.status, STYLES[entry.status.word]),
        )
        last = entry.section
    console = output()
    console.print(table)
    if any(entry.default for entry in entries):
        console.print("\n* default; what is indented is a preset of the component above it", style="dim")


def _print_plugins(registry: Registry) -> None:
    console = output()
    for plugin in registry.plugins:
        if plugin.imports_torch:
            text = f"{plugin.origin.plugin} ({plugin.origin}) imports torch to be listed: {plugin.seconds:.1f} s"
            print_sentence(console, escape_text("slow plugin: ", "yellow") + escape_text(text))
    for broken in registry.broken:
        text = f"{broken.origin.plugin} ({broken.origin}): {broken.cause}"
        print_sentence(console, escape_text("broken plugin: ", "bold red") + escape_text(text))


def _print_torchvision() -> None:
    from spa3d.runtime.torchvision_guard import describe_problem  # imports torch, which a list without --check does not

    problem = describe_problem()
    if problem:
        print_sentence(output(), escape_text("note: ", "yellow") + escape_text(problem))


def _print_why(explanations: Sequence[Explanation]) -> None:
    console = output()
    for each in explanations:
        console.print(escape_text(f"{each.section} {each.name}", "bold cyan"))
        facts = Table(box=None, show_header=False, padding=(0, 2))
        for key, text in each.facts.items():
            facts.add_row(escape_text(key, "dim"), escape_text(text))
        console.print(facts)
        if each.fields:
            table = Table("field", "type", "default", "meaning", box=None, padding=(0, 2), header_style="bold")
            for entry in each.fields:
                table.add_row(
                    escape_text(entry.name, "cyan"), *map(escape_text, (entry.type, entry.default, entry.description))
                )
            console.print(table)
        console.print()


def _print_json(document: Any) -> None:
    output().print(escape_text(json.dumps(document, indent=1, ensure_ascii=True)), soft_wrap=True)


def _make_document(registry: Registry, entries: Sequence[Entry]) -> dict[str, Any]:
    """Make the JSON list; later versions add keys and change none."""
    return {
        "schema": 1,
        "entries": [_make_row(entry) for entry in entries],
        "slow": [{**asdict(p.origin), "seconds": round(p.seconds, 2)} for p in registry.plugins if p.imports_torch],
        "broken": [{**asdict(plugin.origin), "cause": plugin.cause} for plugin in registry.broken],
        "clashes": list(registry.clashes),
        "ops_auto": _find_automatic(registry, entries),
    }


def _find_automatic(registry: Registry, entries: Sequence[Entry]) -> dict[str, str]:
    """Find the backend of ``--ops auto`` per device type; skips those broken in `entries`."""
    broken = [entry.name for entry in entries if entry.section == "ops" and entry.status.word == BROKEN]
    return automatic_backends(registry, broken=broken)


def _make_row(entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": entry.section, "name": entry.name, "summary": entry.summary, "origin": entry.origin}
    row |= {"status": entry.status.word, "cause": entry.status.cause, "default": entry.default}
    row |= {"preset_of": entry.preset_of}
    if entry.component is not None:
        component = asdict(entry.component)
        row |= {key: component[key] for key in ("target", "requires", "programs", "install", "source", "license")}
    return row
