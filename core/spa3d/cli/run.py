"""``spa3d run``: one run, from names to a report."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from spa3d.cli import INTERRUPTED
from spa3d.cli.console import error_console, escape_text, is_first_process, make_reporter, output
from spa3d.config.parse import Invocation, parse
from spa3d.errors import DivergenceError
from spa3d.pipeline.run_location import run_folder
from spa3d.registry.plain_yaml import dump_yaml
from spa3d.version import __version__


def main(argv: Sequence[str]) -> int:
    """Build a small 3D LLM, post-train it, measure it, and write a report."""
    if "--help" in argv or "-h" in argv:
        from spa3d.cli.help import show_help

        show_help(argv)
        return 0
    if "--version" in argv:
        output().print(escape_text(f"spa3d {__version__}"))
        return 0
    invocation = parse(argv)
    if invocation.dry_run:
        show_plan(invocation)
        return 0
    folder = run_folder(invocation.config, output=invocation.output, resume=invocation.resume)
    try:
        run(invocation, folder)
    except DivergenceError:
        show(folder)
        raise
    except KeyboardInterrupt:
        error_console().print(escape_text(f"interrupted; to continue: {resume_command(argv, folder)}"), soft_wrap=True)
        return INTERRUPTED
    return 0


def run(invocation: Invocation, folder: Path) -> None:
    """Execute the run in `folder` and show its result."""
    from spa3d.pipeline.execute import execute

    execute(invocation.config, invocation.registry, output=folder, resume=invocation.resume, reporter=make_reporter())
    show(folder)


def show(folder: Path) -> None:
    """Show the result of the run in `folder`, once among all processes."""
    from spa3d.cli.run_output import show_result

    if is_first_process():
        show_result(folder)


def resume_command(argv: Sequence[str], folder: Path) -> str:
    """Make the command that continues the run in `folder`."""
    words = [*argv]
    if not any(word.partition("=")[0] == "--output" for word in words):
        words += ["--output", str(folder)]
    if "--resume" not in words:
        words.append("--resume")
    return shlex.join(["spa3d", "run", *words])


def show_plan(invocation: Invocation) -> None:
    """Print the complete configuration, the stages and the parts, without running."""
    from spa3d.pipeline.plan import plan

    console, config = output(), invocation.config
    planned = plan(config, invocation.registry)
    console.print(escape_text(dump_yaml(config.model_dump(mode="json"))), soft_wrap=True)
    stages = Table("stage", "what", "state", title="Stages", title_justify="left")
    for stage in planned.stages:
        stages.add_row(
            escape_text(stage.name), escape_text(stage.detail), escape_text("there", "green") if stage.done else "to do"
        )
    parts = Table("part", "what", "parameters", "trains in", title="Parts", title_justify="left")
    parts.columns[2].justify = "right"
    for part in planned.parts:
        trains = ", ".join(part.trains_in) or "never: frozen"
        parts.add_row(escape_text(part.name), escape_text(part.what), f"{part.parameters:,}", escape_text(trains))
    console.print(stages, parts)
    if planned.weights:
        console.print(escape_text(planned.weights), soft_wrap=True)
