"""``spa3d run --help``: every flag of exactly what is chosen, with the value it would have."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich.panel import Panel
from rich.table import Table

from spa3d.cli.console import complaints, output, plain
from spa3d.config.choices import Choice, Request, read
from spa3d.config.resolve import BLOCKS, PLAIN, Filling
from spa3d.config.run_file import CHECKPOINT, COMPONENTS
from spa3d.config.settings import EncoderSelection, RunConfig
from spa3d.registry.fields import describe, is_block, show

Row = tuple[str, str, str, str]
"""Flag, what it takes, its value now, and its meaning."""

RUN_FLAGS: tuple[Row, ...] = (
    ("--preset", "name", "", "settings of a whole run; tools/list run"),
    ("--config", "file", "", "run.yaml: the same settings as keys; flags win. A run's config.yaml is one"),
    ("--output", "folder", "", "where the run goes; default runs/<time>-<encoder>-<noise>-<objective>-s<seed>"),
    ("--resume", "", "", "go on with the run of this configuration"),
    ("--dry-run", "", "", "print the filled configuration and the plan, and do nothing"),
    ("--blind", "", "", "train and ask without any cloud: the control of every claim about the encoder"),
    ("--no-cache", "", "", "do not keep the tokens of a frozen encoder on disk"),
    ("--plugin", "file|module", "", "load an unpackaged plugin; may be repeated"),
    ("--registry", "file", "", "read another registry.yaml"),
    ("--debug", "", "", "show the traceback of a fault of the input"),
    ("--version", "", "", "print the version"),
)


def show_help(argv: Sequence[str]) -> None:
    """Print the flags of what `argv` chooses; faults are told below them."""
    request = read(argv)
    filling = Filling(request)
    filling.lay_all()
    filling.validated()
    console = output()
    console.print("usage: tools/run.py [--FLAG VALUE] …      or: spa3d run …")
    console.print("lists are typed with commas; values shown are those this command line gives\n", style="dim")
    console.print(_panel("What runs", _choices(request, filling.layers.block(CHECKPOINT[:1]))))
    for choice in request.components:
        if choice.keys in filling.models:
            rows = _fields(
                filling.models[choice.keys], filling.layers.block(choice.keys), ".".join(map(str, choice.keys))
            )
            console.print(_panel(_title(choice, filling), rows))
    console.print(_panel("The run", _run_rows(request, filling.layers.values)))
    for block in BLOCKS:
        model, values = RunConfig.model_fields[block].annotation, filling.layers.block((block,))
        console.print(_panel(block, _block(block, model, values)))
    for fault in dict.fromkeys(filling.faults):
        complaints().print(plain("error: ", "bold red") + plain(fault), soft_wrap=True)


def show_block(block: str, *, without: Container[str] = ()) -> None:
    """Print the flags of one block of settings, with their defaults; those in `without` are left out."""
    model: Any = RunConfig.model_fields[block].annotation
    output().print(_panel(block, (row for row in _fields(model, {}, block) if row[0] not in without)))


CHECKPOINT_FLAG = f"--{'.'.join(CHECKPOINT)}"
CHECKPOINT_MEANING = EncoderSelection.model_fields["checkpoint"].description or ""


def _choices(request: Request, encoder: Mapping[str, Any]) -> Iterator[Row]:
    registry = request.registry
    for kind in (*COMPONENTS, "benchmark"):
        names = ",".join(choice.name for choice in request.components if choice.kind == kind)
        yield f"--{kind}", "names" if kind == "benchmark" else "name", names, ", ".join(registry.names(kind))
        if kind == "encoder":
            yield CHECKPOINT_FLAG, "file", show(encoder.get("checkpoint", "")), CHECKPOINT_MEANING
    known = ", ".join([*registry.manifest.presets.llm, "or a causal LM that transformers loads"])
    yield "--llm", "name|path", request.llm.name if request.llm else "", known


def _title(choice: Choice, filling: Filling) -> str:
    resolved = filling.resolved[choice.keys]
    title = f"{choice.kind} {resolved.component.name}"
    if resolved.preset is None:
        return title
    stands_in = "" if resolved.preset == choice.name else f" (stands in for {choice.name})"
    return f"{title}, preset {resolved.preset}{stands_in}"


def _fields(model: type[BaseModel], values: Mapping[str, Any], prefix: str) -> Iterator[Row]:
    for name, field in model.model_fields.items():
        value = values[name] if name in values else field.get_default(call_default_factory=True)
        shown = "required" if name not in values and field.is_required() else show(value)
        yield f"--{prefix}.{name}", describe(field), shown, field.description or ""


STAGE_ESSENTIALS = ("epochs", "steps", "learning_rate")
"""What a nested stage shows of itself; other nested blocks are short enough to be shown whole."""


def _run_rows(request: Request, values: Mapping[str, Any]) -> Iterator[Row]:
    for flag, takes, _, meaning in RUN_FLAGS:
        yield flag, takes, request.preset if flag == "--preset" else "", meaning
    for name in PLAIN:
        key = name.replace("-", "_")
        field = RunConfig.model_fields[key]
        takes = "|".join(["auto", *request.registry.names("ops")]) if name == "ops" else describe(field)
        yield f"--{name}", takes, show(values[key]), field.description or ""


def _block(block: str, model: Any, values: Mapping[str, Any]) -> Iterator[Row]:
    nested = {name for name, field in model.model_fields.items() if is_block(field)}
    for row in _fields(model, values, block):
        name = row[0].rpartition(".")[2]
        if name not in nested:
            yield row
    if block == "base":
        yield "--base", "folder", values["path"], "short for --base.path"
    for name in model.model_fields:
        if name in nested:
            told = [key for key in STAGE_ESSENTIALS if key in values[name]]
            shown = ", ".join(f"{key} {show(values[name][key])}" for key in told or values[name])
            takes = "as in train" if told else "number ≥ 0"
            yield f"--{block}.{name}.FIELD", takes, shown, model.model_fields[name].description or ""


def _panel(title: str, rows: Iterable[Row]) -> Panel:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for flag, takes, value, meaning in rows:
        table.add_row(plain(flag, "bold cyan"), plain(takes, "dim"), plain(value, "green"), plain(meaning))
    return Panel(table, title=plain(title, "bold"), title_align="left", border_style="dim")
