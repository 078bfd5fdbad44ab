"""``spa3d build-questions``: four-option questions from captions, facts and QA files.

Modules that import torch are imported inside functions, so that a wrong flag is refused at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spa3d.cli.console import error_console, make_reporter, page, print_meanings
from spa3d.cli.flags import read_choice, read_number
from spa3d.config.overrides import Arguments, scan_run
from spa3d.config.parse import parse_arguments
from spa3d.errors import ConfigError, describe_unknown
from spa3d.evaluation.question_builder.contract import CATEGORIES, PRESETS
from spa3d.pipeline.build_request import BuildSettings, WriterChoice, check_build_request
from spa3d.runtime import distributed

if TYPE_CHECKING:
    from spa3d.contracts.dataset import Dataset

OWN_FLAGS = {
    "--source FILE,FILE": "captions, or questions with answers: ScanQA, SQA3D, PointLLM, Cap3D, JSON, JSON lines, CSV",
    "--split NAME": "split of the dataset (default: test)",
    "--level object|scene": "what the records of the dataset are (default: object)",
    "--preset 3dcqa": "numbers of questions: 39 color, 42 texture, 72 use; 300 grounding, 284 relation, 243 navigation "
    "(default)",
    "--count N": "the same number of questions for each category",
    "--categories NAME,NAME": "only these categories; NAME=N sets a number",
    "--writer rule|local|endpoint": "who writes: a rule (default), a causal LM on this machine, or an endpoint",
    "--llm PATH": "the LM of the writer local: folder or name on the hub",
    "--url URL": "base URL of the endpoint, such as http://localhost:8000/v1; its key is read from OPENAI_API_KEY",
    "--model NAME": "the endpoint's name of the model",
    "--checker rule|local|endpoint": "who checks that the caption tells the answer (default: the writer)",
    "--check-llm PATH": "as --llm, for the checker; --check-url and --check-model likewise",
    "--check-url URL": "as --url, for the checker",
    "--check-model NAME": "as --model, for the checker",
    "--blind": "let the checker guess each answer without the caption, too: blind_solvable in the file",
    "--attempts N": "most requests to an LLM per wanted question (default: 3)",
    "--seed N": "of the choice of records, the wrong options and the order of the options (default: 0)",
    "--batch-size N": "replies of a local LM generated at once (default: 16)",
    "--device NAME": "of a local LM: auto, cpu, cuda, cuda:N or mps (default: auto)",
}
DATASET_FLAGS = {
    "--dataset NAME": "captions and facts of a dataset; its settings follow as --dataset.FIELD VALUE",
    "--on-bad-data stop|skip": "bad annotations of the dataset: stop (default), or leave them out",
    "--config FILE": "the dataset of a run.yaml",
    "--plugin FILE": "load an unpackaged plugin (a file or a module), too",
    "--registry FILE": "add the rows of a file to registry.yaml",
}
OWN = tuple(flag[2:].partition(" ")[0] for flag in OWN_FLAGS)
DATASET = ("dataset", "on-bad-data", "config", "plugin", "registry", "debug")
WRITERS = ("rule", "local", "endpoint")


def main(argv: Sequence[str]) -> int:
    """Make four-option questions, such as 3DCQA's, from captions, facts or QA files."""
    arguments = scan_run(argv, own=OWN)
    if arguments.has("help"):
        _print_usage()
        return 0
    path, sources, values = _read(arguments)
    checker = values.pop("checker")
    settings = BuildSettings(
        writer=WriterChoice(**values.pop("writer")),
        checker=None if checker is None else WriterChoice(**checker, prefix="--check-"),
        **values,
    )
    check_build_request(settings, path, has_source=True)
    dataset = _make_dataset(arguments)
    from spa3d.cli.build_questions_output import show_build
    from spa3d.pipeline.build_questions import build_questions

    try:
        built = build_questions(path, dataset=dataset, sources=sources, settings=settings, reporter=make_reporter())
    except KeyboardInterrupt:
        error_console().print("the replies so far are saved; the same command continues from them")
        raise
    show_build(path, built)
    return 0


def _read(arguments: Arguments) -> tuple[Path, list[str], dict[str, Any]]:
    """Read the output, the sources and the values of `BuildSettings`; raises with all errors."""
    errors = arguments.errors
    if distributed.world_size() > 1:
        errors.append("spa3d build-questions: start it without torchrun; questions are made by one process")
    if len(arguments.words) != 1:
        errors.append("spa3d build-questions: name one file to write, as in: spa3d build-questions questions.jsonl")
    for flag in arguments.flags:
        if flag.name not in OWN and flag.name not in DATASET and not flag.name.startswith("dataset."):
            errors.append(f"{flag}: no flag of spa3d build-questions; --help lists them")
    values: dict[str, Any] = {
        "counts": _read_counts(arguments),
        "split": arguments.value("split") or "test",
        "level": read_choice(arguments, "level", ("object", "scene")),
        "writer": _read_writer(arguments, "writer", ""),
        "checker": _read_writer(arguments, "checker", "check-") if arguments.has("checker") else None,
        "attempts": read_number(arguments, "attempts", 3, least=1, most=1000),
        "blind": arguments.has("blind"),
        "seed": read_number(arguments, "seed", 0, least=0, most=2**63 - 1),
        "batch_size": read_number(arguments, "batch-size", 16, least=1, most=10_000),
        "device": arguments.value("device") or "auto",
    }
    if not arguments.has("checker"):
        idle = [f"--check-{key}" for key in ("llm", "url", "model") if arguments.has(f"check-{key}")]
        errors += [f"{flag}: no effect without --checker; give both, or leave it out" for flag in idle]
    sources = (arguments.value("source") or "").split(",") if arguments.has("source") else []
    if not sources and not arguments.has("dataset") and not arguments.has("config"):
        errors.append("nothing to make questions from: give --source FILE, or --dataset NAME")
    if errors:
        raise ConfigError(list(dict.fromkeys(errors)))
    return Path(arguments.words[0]), sources, values


def _read_writer(arguments: Arguments, flag: str, prefix: str) -> dict[str, str]:
    return {
        "name": read_choice(arguments, flag, WRITERS),
        **{key: arguments.value(f"{prefix}{key}") or "" for key in ("llm", "url", "model")},
    }


def _read_counts(arguments: Arguments) -> dict[str, int]:
    """Read the wanted numbers of questions by category."""
    if arguments.has("preset") and arguments.has("count"):
        arguments.errors.append("--preset and --count both set the numbers of questions; keep one of them")
    counts = dict(PRESETS[read_choice(arguments, "preset", tuple(PRESETS))])
    if arguments.has("count"):
        counts = dict.fromkeys(CATEGORIES, int(read_number(arguments, "count", 100, least=1, most=10**6)))
    chosen = arguments.value("categories")
    if chosen is None:
        return counts
    result = {}
    for word in chosen.split(","):
        name, equals, number = (part.strip() for part in word.partition("="))
        if name not in CATEGORIES:
            arguments.errors.append(f"--categories {word}: {describe_unknown('category', name, CATEGORIES)}")
        elif equals and not (number.isdigit() and 0 < int(number) <= 10**6):
            arguments.errors.append(f"--categories {word}: expected a whole number from 1 to 1000000 behind the =")
        else:
            result[name] = int(number) if equals else counts[name]
    return result


def _make_dataset(arguments: Arguments) -> Dataset | None:
    """Make the dataset that the flags name; None if they name none."""
    if not arguments.has("dataset") and not arguments.has("config"):
        return None
    invocation = parse_arguments(arguments.drop_flags(OWN))
    from spa3d.pipeline.assemble import make_dataset

    return make_dataset(invocation.config, invocation.registry)


def _print_usage() -> None:
    console = page()
    console.print("usage: spa3d build-questions OUT.jsonl --source FILE | --dataset NAME [FLAGS]\n", markup=False)
    print_meanings(console, {**OWN_FLAGS, **DATASET_FLAGS})
    console.print(
        "\nEvery reply of an LLM is saved at once: after a kill the same command continues and pays for none twice.",
        style="dim",
    )
