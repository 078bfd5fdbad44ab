"""``spa3d run --help``: the flags of the chosen components, with their current values."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from spa3d.cli.console import error_console, escape_text, make_page_table, page, print_sentence
from spa3d.config.choices import Choice, Choices
from spa3d.config.overrides import ALL, Arguments
from spa3d.config.parse import read
from spa3d.config.resolve import ConfigResolver
from spa3d.config.settings import EncoderSelection, RunConfig
from spa3d.config.sources import BLOCKS, CHECKPOINT, PLAIN
from spa3d.registry.fields import describe, is_block, show
from spa3d.registry.kinds import CHOSEN, CHOSEN_SEVERAL, kind_spec

Row = tuple[str, str, str, str]
"""Flag, type, current value and meaning."""

RUN_FLAGS: tuple[Row, ...] = (
    ("--preset", "name", "", "settings of a whole run; tools/list run"),
    (
        "--config",
        "file",
        "",
        "run.yaml with the same settings as keys; flags override it. The config.yaml of a run works, too",
    ),
    ("--output", "folder", "", "folder of the run; default runs/<time>-<encoder>-<noise>-<objective>-s<seed>"),
    ("--resume", "", "", "continue the run of this configuration"),
    (
        "--dry-run",
        "yaml",
        "",
        "print the plan and then the complete configuration, without running; with yaml the configuration alone",
    ),
    ("--blind", "", "", "train and evaluate without point clouds: the control of every claim about the encoder"),
    ("--no-blind", "", "", "undo blind: true of a run.yaml"),
    ("--no-cache", "", "", "do not keep the tokens of a frozen encoder on disk"),
    ("--cache", "", "", "undo cache: false of a run.yaml"),
    ("--plugin", "file|module", "", "load an unpackaged plugin; may be repeated"),
    ("--registry", "file", "", "add the rows of a file to registry.yaml: components, presets, defaults"),
    ("--help", ALL, "", "print the flags and their values; with the word all every flag of the stages of the base"),
    ("--debug", "", "", "show the traceback of an input error"),
    ("--version", "", "", "print the version"),
)
FLAG_WIDTH = 33
"""Columns of the flags on a page."""


def show_help(arguments: Arguments) -> None:
    """Print the flags of the components that `arguments` choose, then the errors in them."""
    every = arguments.value("help") == ALL
    choices = read(arguments)
    resolver = ConfigResolver(choices)
    resolver.apply_layers()
    resolver.validate()
    console = page()
    console.print("usage: tools/run.py [--FLAG VALUE] …      or: spa3d run …", markup=False)
    console.print("--FLAG  what it takes [its value with this command line]: what it means", markup=False, style="dim")
    console.print("lists are separated by commas", style="dim")
    _print_rows(console, "What runs", _list_names(choices, resolver.layers.block(CHECKPOINT[:1])))
    for choice in choices.components:
        if choice.keys in resolver.models:
            rows = _list_fields(
                resolver.models[choice.keys], resolver.layers.block(choice.keys), ".".join(map(str, choice.keys))
            )
            _print_rows(console, _make_title(choice, resolver), rows)
    _print_rows(console, "The run", _list_run_flags(choices, resolver.layers.values))
    for block in BLOCKS:
        model, values = RunConfig.model_fields[block].annotation, resolver.layers.block((block,))
        _print_rows(console, block, _list_block(block, model, values, every=every))
    if not every:
        console.print("\n--help all also lists the flags of each stage of the base", style="dim")
    for error in dict.fromkeys(resolver.errors):
        print_sentence(error_console(), escape_text("error: ", "bold red") + escape_text(error))


def show_block(block: str, *, without: Container[str] = ()) -> None:
    """Print the flags of one block of settings, except `without`, with their defaults."""
    model: Any = RunConfig.model_fields[block].annotation
    _print_rows(page(), block, (row for row in _list_fields(model, {}, block) if row[0] not in without))


CHECKPOINT_FLAG = f"--{'.'.join(CHECKPOINT)}"
CHECKPOINT_MEANING = EncoderSelection.model_fields["checkpoint"].description or ""


def _list_names(choices: Choices, encoder: Mapping[str, Any]) -> Iterator[Row]:
    registry = choices.registry
    for kind in CHOSEN:
        names = ",".join(choice.name for choice in choices.components if choice.kind == kind)
        yield f"--{kind}", "names" if kind in CHOSEN_SEVERAL else "name", names, ", ".join(registry.names(kind))
        if kind_spec(kind).has_weights:
            yield CHECKPOINT_FLAG, "file", show(encoder.get("checkpoint", "")), CHECKPOINT_MEANING
    known = ", ".join([*registry.manifest.presets.llm, "or a causal LM that transformers loads"])
    yield "--llm", "name|path", choices.llm.name if choices.llm else "", known


def _make_title(choice: Choice, resolver: ConfigResolver) -> str:
    resolved = resolver.resolved[choice.keys]
    title = f"{choice.kind} {resolved.component.name}"
    if resolved.preset is None:
        return title
    stands_in = "" if resolved.preset == choice.name else f" (stands in for {choice.name})"
    return f"{title}, preset {resolved.preset}{stands_in}"


def _list_fields(model: type[BaseModel], values: Mapping[str, Any], prefix: str) -> Iterator[Row]:
    for name, field in model.model_fields.items():
        value = values[name] if name in values else field.get_default(call_default_factory=True)
        shown = "required" if name not in values and field.is_required() else show(value)
        yield f"--{prefix}.{name}", describe(field), shown, field.description or ""


STAGE_ESSENTIALS = ("epochs", "steps", "learning_rate")
"""Fields shown of a nested stage; other nested blocks are short and are shown completely."""


def _list_run_flags(choices: Choices, values: Mapping[str, Any]) -> Iterator[Row]:
    for flag, takes, _, meaning in RUN_FLAGS:
        yield flag, takes, choices.preset if flag == "--preset" else "", meaning
    for name in PLAIN:
        key = name.replace("-", "_")
        field = RunConfig.model_fields[key]
        takes = "|".join(["auto", *choices.registry.names("ops")]) if name == "ops" else describe(field)
        yield f"--{name}", takes, show(values[key]), field.description or ""


def _list_block(block: str, model: Any, values: Mapping[str, Any], *, every: bool) -> Iterator[Row]:
    """List the flags of a block; the fields of its nested blocks only with `every`."""
    nested = {name for name, field in model.model_fields.items() if is_block(field)}
    for row in _list_fields(model, values, block):
        name = row[0].rpartition(".")[2]
        if name not in nested:
            yield row
    if block == "base":
        yield "--base", "folder", values["path"], "short for --base.path"
    for name in nested if every else ():
        yield from _list_block(f"{block}.{name}", model.model_fields[name].annotation, values[name], every=True)
    for name in () if every else nested:
        essentials = [key for key in STAGE_ESSENTIALS if key in values[name]]
        shown = ", ".join(f"{key} {show(values[name][key])}" for key in essentials or values[name])
        takes = "as in train" if essentials else "number ≥ 0"
        yield f"--{block}.{name}.FIELD", takes, shown, model.model_fields[name].description or ""


def _print_rows(console: Console, title: str, rows: Iterable[Row]) -> None:
    table = make_page_table(FLAG_WIDTH)
    for flag, takes, value, meaning in rows:
        facts = [escape_text(takes, "dim"), escape_text(f"[{value}]", "green") if value else Text()]
        head = Text(" ").join(text for text in facts if text)
        table.add_row(escape_text(flag, "bold cyan"), Text(": ").join(filter(None, (head, escape_text(meaning)))))
    console.print(Text("\n") + escape_text(title, "bold"))
    console.print(table)
