"""``spa3d evaluate``: the scores of a model on benchmarks, with a report.

Modules that import torch are imported inside functions, so that a wrong flag is refused at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spa3d.cli.console import error_console, make_reporter, page, print_meanings
from spa3d.cli.evaluate_flags import OWN_FLAGS, read_evaluation, refuse_idle
from spa3d.cli.flags import SOURCE_FLAGS, read_choice, read_source
from spa3d.config.choices import choose
from spa3d.config.overrides import Arguments, scan_run, source_of_flags
from spa3d.config.resolve import load_registry_of, resolve_choices
from spa3d.config.run_file import read_run_file
from spa3d.config.settings import RunConfig
from spa3d.config.sources import Assignment, Source, fixed_location
from spa3d.errors import ConfigError
from spa3d.registry.registry import Registry
from spa3d.runtime.paths import file_problem

if TYPE_CHECKING:
    from spa3d.pipeline.evaluate_model import Evaluation

FLAGS = {
    "--benchmark NAME,NAME": "the benchmarks; their settings follow as --benchmark.NAME.FIELD VALUE",
    "--dataset NAME": "the data; their settings follow as --dataset.FIELD VALUE. Default: dataset and benchmarks of "
    "the run that the model is of",
    "--output FOLDER": "predictions and report; default runs/evaluate-<model>-<dataset>-<hash>. The same command "
    "continues it",
    **OWN_FLAGS,
    "--config FILE": "dataset, benchmarks, noise and evaluate of a run.yaml; flags override it",
    "--preset NAME": "settings of a run preset for data and evaluation",
    "--evaluate.FIELD X": "bootstrap (resamples behind each interval), calibration (true: ECE and Brier score of "
    "options), blind_run (of the text floor)",
    "--on-bad-data stop|skip": "bad clouds and texts: list them and stop (default), or leave their questions out",
    "--no-cache": "neither use nor keep answers and tokens in the workspace",
    "--device NAME": "auto, cpu, cuda, cuda:N or mps (default: auto)",
    "--dtype NAME": "arithmetic: float32, bfloat16, or auto: bfloat16 on CUDA (default: auto)",
    "--threads N": "CPU threads; 0: torch's default. A tiny model is fastest with one (default: 0)",
    "--ops NAME": "backend of the point operations (default: auto)",
    **SOURCE_FLAGS,
}
KINDS, SETTINGS = ("dataset", "benchmark", "noise"), ("evaluate", "on_bad_data")
"""What counts of a run.yaml: its model and its training do not."""
SHORT = {"split": "split", "limit": "limit", "batch-size": "batch_size", "seed": "seed"}
"""Flags that are short for those of the block ``evaluate``."""


def main(argv: Sequence[str]) -> int:
    """Score a model on benchmarks, each question with and without its cloud, and write a report."""
    arguments = scan_run(argv, own=[flag[2:].partition(" ")[0] for flag in OWN_FLAGS])
    if arguments.has("help"):
        _print_usage()
        return 0
    arguments.errors += [f"{word!r} is not expected here; one model" for word in arguments.words[1:]]
    arguments.errors += refuse_idle(arguments)
    model = read_source(arguments, "evaluate") | {
        "device": arguments.value("device") or "auto",
        "dtype": read_choice(arguments, "dtype", ("auto", "float32", "bfloat16")),
    }
    request = read_evaluation(arguments)
    if arguments.errors:
        raise ConfigError(arguments.errors)
    config, registry = _resolve(arguments, model["path"])
    try:
        result = _evaluate(model, config, registry, request, arguments.value("output"))
    except KeyboardInterrupt:
        error_console().print("the answers so far are kept; the same command continues")
        raise
    from spa3d.cli.evaluate_output import show_evaluation

    show_evaluation(result)
    return 0


def _evaluate(
    model: dict[str, Any], config: RunConfig, registry: Registry, request: dict[str, Any], output: str | None
) -> Evaluation:
    from spa3d.inference.session import ModelSource
    from spa3d.pipeline.evaluate_config import evaluate_config

    folder = None if output is None else Path(output)
    return evaluate_config(ModelSource(**model), config, registry, request, output=folder, reporter=make_reporter())


def _resolve(arguments: Arguments, model: Path) -> tuple[RunConfig, Registry]:
    """Resolve the settings of a file and of the flags.

    Without a file, those of the run that the model is of; they name no plugin that is loaded.
    """
    path, sources = arguments.value("config"), list[Source]()
    folder = model.resolve()
    run = folder.parent if folder.name == "model" else folder
    if path:
        if file_problem(path):
            raise ConfigError(f"--config {path}: {file_problem(path)}; give the config.yaml of a run")
        sources.append(read_run_file(Path(path)).select(KINDS, SETTINGS))
    elif (run / "config.yaml").is_file():
        saved = read_run_file(run / "config.yaml").select(KINDS, SETTINGS)
        sources.append(Source(saved.names, saved.several, assignments=saved.assignments, errors=saved.errors))
    elif not arguments.has("dataset") and not arguments.has("preset"):
        raise ConfigError(f"{model}: it is not of a run, so say on which data: --dataset NAME (tools/list dataset)")
    sources.append(_read_flags(arguments))
    registry = load_registry_of(*sources)
    return resolve_choices(choose(sources, registry)), registry


def _read_flags(arguments: Arguments) -> Source:
    """Make a source of the flags of a run, and of `SHORT` ones."""
    own = {flag[2:].partition(" ")[0] for flag in OWN_FLAGS} - {"noise"}
    source = source_of_flags([flag for flag in arguments.flags if flag.name not in own])
    short = [
        Assignment(("evaluate", SHORT[flag.name]), flag.value, fixed_location(str(flag)), dotted=True)
        for flag in arguments.flags
        if flag.name in SHORT
    ]
    return replace(source, assignments=(*source.assignments, *short))


def _print_usage() -> None:
    console = page()
    console.print("usage: spa3d evaluate MODEL --benchmark NAME,NAME --dataset NAME [FLAGS]\n", markup=False)
    print_meanings(console, FLAGS)
    console.print(
        "\nNothing is asked twice: answers are kept in the workspace, whichever run, shard or process asked.",
        style="dim",
    )
