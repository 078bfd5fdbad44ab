"""``spa3d run``: one run, from names to a report."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from spa3d.artifacts.run_folder import link_latest
from spa3d.cli import INTERRUPTED
from spa3d.cli.console import error_console, escape_text, is_first_process, make_reporter, output
from spa3d.cli.help import show_help
from spa3d.config.overrides import SWITCH_WORDS, YAML, scan_run
from spa3d.config.parse import Invocation, parse_arguments
from spa3d.errors import DivergenceError
from spa3d.pipeline.run_location import run_folder
from spa3d.registry.plain_yaml import dump_yaml
from spa3d.version import __version__

if TYPE_CHECKING:
    from spa3d.pipeline.plan import Plan


def main(argv: Sequence[str]) -> int:
    """Build a small 3D LLM, post-train it, measure it, and write a report."""
    arguments = scan_run(argv, switch_words=SWITCH_WORDS)
    if arguments.has("help"):
        show_help(arguments)
        return 0
    if arguments.has("version"):
        output().print(escape_text(f"spa3d {__version__}"))
        return 0
    invocation = parse_arguments(arguments)
    if invocation.dry_run:
        show_dry_run(invocation, only_yaml=arguments.value("dry-run") == YAML)
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
    """Show the result in `folder` and link ``runs/latest`` to it, in the first process."""
    from spa3d.cli.run_output import show_result

    if is_first_process():
        link_latest(folder)
        show_result(folder)


def resume_command(argv: Sequence[str], folder: Path) -> str:
    """Make the command that continues the run in `folder`."""
    words = [*argv]
    if not any(word.partition("=")[0] == "--output" for word in words):
        words += ["--output", str(folder)]
    if "--resume" not in words:
        words.append("--resume")
    return shlex.join(["spa3d", "run", *words])


def show_dry_run(invocation: Invocation, *, only_yaml: bool) -> None:
    """Print the plan and then the complete configuration, without running; `only_yaml`: no plan."""
    from spa3d.pipeline.plan import plan

    planned = plan(invocation.config, invocation.registry)
    if not only_yaml:
        show_plan(planned)
        output().print("\nConfiguration", style="italic")
    output().print(escape_text(dump_yaml(invocation.config.model_dump(mode="json"))), soft_wrap=True)


def show_plan(planned: Plan) -> None:
    """Print the stages and the parts of a run."""
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
    output().print(stages, parts)
    if planned.weights:
        output().print(escape_text(planned.weights), soft_wrap=True)
