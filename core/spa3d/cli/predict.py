"""``spa3d predict``: answers to a file of questions, or the features of clouds.

Modules that import torch are imported inside functions, so that a wrong flag is refused at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spa3d.cli.console import error_console, escape_text, make_reporter, output, page, print_meanings
from spa3d.cli.flags import (
    COLORS_FLAG,
    DECODING_FLAGS,
    MODEL_FLAGS,
    read_choice,
    read_decoding,
    read_model,
    read_number,
    scan_flags,
)
from spa3d.config.overrides import Arguments
from spa3d.errors import ConfigError
from spa3d.rendering.numbers import format_count
from spa3d.runtime.paths import file_problem, folder_problem
from spa3d.runtime.shards import Shard

if TYPE_CHECKING:
    from spa3d.pipeline.line_job import LineResult

FLAGS = {
    "--input FILE": "JSON lines, one question each: id, cloud (a path), question, options (if one is to be chosen)",
    "--output FILE": "JSON lines: id, question, answer, logp (nats), tokens, stopped; the same command continues it",
    "--root DIR": "folder of relative paths of clouds (default: that of the input)",
    "--blind": "ask each question without its cloud, too: blind_answer, and blind_logp of the same answer",
    "--features KIND": "write what the encoder says of each cloud, without the LLM: tokens or pooled; --output is a "
    "folder then",
    "--format NAME": "files of features: npy or safetensors (default: npy)",
    "--on-bad-data stop|skip": "bad clouds: refuse all of them at the start (default), or give their lines an error",
    "--shard i/n": "only this part of the lines; the last shard that ends joins all of them",
    "--batch-size N": "questions or clouds per forward (default: 16)",
    **COLORS_FLAG,
    **DECODING_FLAGS,
    **MODEL_FLAGS,
}
KINDS, FORMATS = ("tokens", "pooled"), ("npy", "safetensors")
ANSWER_FLAGS = ("blind", "dtype", *(flag[2:].partition(" ")[0] for flag in DECODING_FLAGS))
"""Flags that have no meaning for features."""


def main(argv: Sequence[str]) -> int:
    """Answer a file of questions, or write the features of clouds (JSON lines)."""
    arguments = scan_flags(argv, FLAGS)
    if arguments.has("help"):
        _print_usage()
        return 0
    model, settings = read_model(arguments, "predict"), _read_settings(arguments)
    if arguments.errors:
        raise ConfigError(arguments.errors)
    try:
        result = _predict(arguments, model, settings)
    except KeyboardInterrupt:
        error_console().print("what is done so far is saved; the same command continues")
        raise
    noun = "cloud" if arguments.has("features") else "question"
    text = f"{result.path}: {format_count(result.lines, noun)}"
    if result.new < result.lines:
        text += f", {result.lines - result.new:,} of them there before"
    if result.errors:
        text += f", {format_count(result.errors, 'new line')} with an error (a bad cloud)"
    if result.missing:
        text += f"; still to be done: --shard {', '.join(result.missing)}"
    elif result.whole not in (None, result.path):
        text += f"; all shards are done: {result.whole}"
    output().print(escape_text(text), soft_wrap=True)
    return 0


def _read_settings(arguments: Arguments) -> dict[str, Any]:
    """Read the settings that answers and features share; faults are added to the errors."""
    arguments.errors += [f"{word!r} is not expected here; one model" for word in arguments.words[1:]]
    for name in ("input", "output"):
        if not arguments.has(name):
            arguments.errors.append(f"--{name}: give it, as in: spa3d predict MODEL --input q.jsonl --output a.jsonl")
    path, root = arguments.value("input"), arguments.value("root")
    if path is not None and file_problem(path):
        arguments.errors.append(f"--input {path}: {file_problem(path)}")
    if root is not None and folder_problem(root):
        arguments.errors.append(f"--root {root}: {folder_problem(root)}")
    if arguments.has("features"):
        read_choice(arguments, "features", KINDS)
        idle = [f"--{flag.name}" for flag in arguments.flags if flag.name in ANSWER_FLAGS]
    else:
        idle = ["--format"] if arguments.has("format") else []
    if idle:
        beside = "with" if arguments.has("features") else "without"
        arguments.errors.append(f"{' and '.join(idle)}: no effect {beside} --features; leave it out")
    shard = Shard()
    try:
        shard = Shard.parse(arguments.value("shard") or "1/1", "--shard", "this process takes the i-th part")
    except ConfigError as error:
        arguments.errors.append(str(error))
    return {
        "root": None if root is None else Path(root),
        "batch_size": read_number(arguments, "batch-size", 16, least=1, most=100_000),
        "colors": read_choice(arguments, "colors", ("0-1", "0-255")),
        "shard": shard,
        "on_bad_data": read_choice(arguments, "on-bad-data", ("stop", "skip")),
    }


def _predict(arguments: Arguments, model: dict[str, Any], settings: dict[str, Any]) -> LineResult:
    """Answer questions, or write features."""
    decoding, form = read_decoding(arguments), read_choice(arguments, "format", FORMATS)
    if arguments.errors:
        raise ConfigError(arguments.errors)
    from spa3d.inference.generation import Decoding
    from spa3d.inference.session import ModelSource

    call: dict[str, Any] = {"reporter": make_reporter()}
    files = ModelSource(**model), arguments.value("input") or "", arguments.value("output") or ""
    kind: Any = arguments.value("features")
    if kind:
        from spa3d.pipeline.features import FeatureSettings, extract_features

        chosen: Any = {"kind": kind, "format": form, **settings}
        return extract_features(*files, settings=FeatureSettings(**chosen), **call)
    from spa3d.pipeline.predict import PredictionSettings, predict

    answers = PredictionSettings(blind=arguments.has("blind"), decoding=Decoding(**decoding), **settings)
    return predict(*files, settings=answers, **call)


def _print_usage() -> None:
    console = page()
    console.print("usage: spa3d predict MODEL --input FILE.jsonl --output FILE.jsonl [FLAGS]\n", markup=False)
    print_meanings(console, FLAGS)
    console.print(
        "\nA killed command continues where it stopped; an output that was made with something else is refused.",
        style="dim",
    )
