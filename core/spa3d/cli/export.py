"""``spa3d export``: the model of a run in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spa3d.cli.console import escape_text, output, page, print_meanings
from spa3d.config.overrides import Arguments, scan
from spa3d.errors import ConfigError, describe_unknown

FLAGS = {
    "--format hf|pointllm": "layout: of spa3d and transformers' Auto classes (default), or of PointLLM's code",
    "--merge": "of a run with adapters: the whole model with the adapters merged, not the adapters alone",
    "--output FOLDER": "where to write; RUN/exported-FORMAT by default",
    "--plugin FILE": "an unpackaged plugin that the model's parts come from",
    "--registry FILE": "the file of rows that the model's parts come from",
}


def main(argv: Sequence[str]) -> int:
    """Write the model of a run for transformers or for PointLLM."""
    arguments = scan(argv, switches={"merge", "help", "debug"}, repeatable={"plugin"})
    if arguments.has("help") or "-h" in argv:
        _print_usage()
        return 0
    source, settings = _read(arguments)
    target = Path(arguments.value("output") or source / f"exported-{settings['format']}")
    from spa3d.checkpoints.export import export

    export(source, target, **settings)
    output().print(escape_text(str(target)), soft_wrap=True)
    return 0


def _read(arguments: Arguments) -> tuple[Path, dict[str, Any]]:
    """Read the run and the arguments of `export`; raises `ConfigError` with all errors."""
    flags = [*(flag.partition(" ")[0] for flag in FLAGS), "--help", "--debug"]
    unknown = [flag for flag in arguments.flags if f"--{flag.name}" not in flags]
    errors = [*arguments.errors, *(f"{each}: {describe_unknown('flag', f'--{each.name}', flags)}" for each in unknown)]
    if len(arguments.words) != 1:
        errors.append("spa3d export: name one run, as in: spa3d export runs/latest --format pointllm")
    chosen = arguments.value("format") or "hf"
    if chosen not in ("hf", "pointllm"):
        errors.append(f"--format {chosen}: possible are hf and pointllm")
    if errors:
        raise ConfigError(errors)
    return Path(arguments.words[0]), {
        "format": chosen,
        "merge": arguments.has("merge"),
        "plugins": arguments.values("plugin"),
        "registry": arguments.value("registry"),
    }


def _print_usage() -> None:
    console = page()
    console.print("usage: spa3d export RUN [FLAGS]\n", markup=False)
    print_meanings(console, FLAGS)
