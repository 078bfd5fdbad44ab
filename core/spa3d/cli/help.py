"""``spa3d run --help``: the flags of the chosen components, with their current values."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich.panel import Panel
from rich.table import Table

from spa3d.cli.console import error_console, escape_text, output
from spa3d.config.choices import Choice, Choices
from spa3d.config.overrides import scan_run
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
    ("--dry-run", "", "", "print the complete configuration and the plan, without running"),
    ("--blind", "", "", "train and evaluate without point clouds: a control that shows what the text alone gives"),
    ("--no-cache", "", "", "do not keep the tokens of a frozen encoder on disk"),
    ("--plugin", "file|module", "", "load an unpackaged plugin; may be repeated"),
    ("--registry", "file", "", "add the rows of a file to registry.yaml: components, presets, defaults"),
    ("--debug", "", "", "show the traceback of an input error"),
    ("--version", "", "", "print the version"),
)


def show_help(argv: Sequence[str]) -> None:
    """Print the flags of the components that `argv` chooses, then the errors in `argv`."""
    choices = read(scan_run(argv))
    resolver = ConfigResolver(choices)
    resolver.apply_layers()
    resolver.validate()
    console = output()
    console.print("usage: tools/run.py [--FLAG VALUE] …      or: spa3d run …")
    console.print("lists are separated by commas; the values are those of this command line\n", style="dim")
    console.print(_make_panel("What runs", _list_names(choices, resolver.layers.block(CHECKPOINT[:1]))))
    for choice in choices.components:
        if choice.keys in resolver.models:
            rows = _list_fields(
                resolver.models[choice.keys], resolver.layers.block(choice.keys), ".".join(map(str, choice.keys))
            )
            console.print(_make_panel(_make_title(choice, resolver), rows))
    console.print(_make_panel("The run", _list_run_flags(choices, resolver.layers.values)))
    for block in BLOCKS:
        model, values = RunConfig.model_fields[block].annotation, resolver.layers.block((block,))
        console.print(_make_panel(block, _list_block(block, model, values)))
    for error in dict.fromkeys(resolver.errors):
        error_console().print(escape_text("error: ", "bold red") + escape_text(error), soft_wrap=True)


def show_block(block: str, *, without: Container[str] = ()) -> None:
    """Print the flags of one block of settings, except `without`, with their defaults."""
    model: Any = RunConfig.model_fields[block].annotation
    output().print(_make_panel(block, (row for row in _list_fields(model, {}, block) if row[0] not in without)))


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


def _list_block(block: str, model: Any, values: Mapping[str, Any]) -> Iterator[Row]:
    nested = {name for name, field in model.model_fields.items() if is_block(field)}
    for row in _list_fields(model, values, block):
        name = row[0].rpartition(".")[2]
        if name not in nested:
            yield row
    if block == "base":
        yield "--base", "folder", values["path"], "short for --base.path"
    for name in model.model_fields:
        if name in nested:
            essentials = [key for key in STAGE_ESSENTIALS if key in values[name]]
            shown = ", ".join(f"{key} {show(values[name][key])}" for key in essentials or values[name])
            takes = "as in train" if essentials else "number ≥ 0"
            yield f"--{block}.{name}.FIELD", takes, shown, model.model_fields[name].description or ""


def _make_panel(title: str, rows: Iterable[Row]) -> Panel:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for flag, takes, value, meaning in rows:
        table.add_row(
            escape_text(flag, "bold cyan"), escape_text(takes, "dim"), escape_text(value, "green"), escape_text(meaning)
        )
    return Panel(table, title=escape_text(title, "bold"), title_align="left", border_style="dim")
