"""Flags of verbs that are no run: split, checked, and read as numbers or names."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from spa3d.artifacts.model_folder import find_model_folder
from spa3d.config.overrides import Arguments, scan
from spa3d.errors import CheckpointError, describe_unknown

Choice = TypeVar("Choice", bound=str)

SOURCE_FLAGS = {
    "--plugin FILE": "load an unpackaged plugin (a file or a module) that the model's parts come from",
    "--registry FILE": "add the rows of a file to registry.yaml",
}
MODEL_FLAGS = {
    "--device NAME": "auto, cpu, cuda, cuda:N or mps (default: auto)",
    "--dtype NAME": "arithmetic: float32, bfloat16, or auto: bfloat16 on CUDA (default: auto)",
    **SOURCE_FLAGS,
}
COLORS_FLAG = {"--colors RANGE": "range of the colors in the files: 0-1 or 0-255 (default: 0-1)"}
DECODING_FLAGS = {
    "--max-tokens N": "most tokens of an answer (default: 256)",
    "--temperature X": "0 takes the most likely token, above 0 tokens are drawn (default: 0)",
    "--top-p X": "draw only among the most likely tokens that together have this probability (default: 1)",
    "--seed N": "of the draws (default: 0)",
}


def scan_flags(argv: Sequence[str], flags: Mapping[str, str]) -> Arguments:
    """Split the arguments of a verb; unknown flags are among the errors.

    Args:
        argv: the words after the verb.
        flags: the page of help: ``--name VALUE`` or ``--switch``, and what it means.

    """
    switches = {"help", "debug", *(entry[2:] for entry in flags if " " not in entry)}
    known = [*(entry.partition(" ")[0] for entry in flags), "--help", "--debug"]

    def describe_foreign(name: str) -> str:
        return "" if f"--{name}" in known else describe_unknown("flag", f"--{name}", known)

    words = ["--help" if word == "-h" else word for word in argv]
    arguments = scan(words, switches=switches, repeatable={"plugin"}, describe_foreign=describe_foreign)
    for flag in arguments.flags:
        if f"--{flag.name}" not in known:
            arguments.errors.append(f"{flag}: {describe_unknown('flag', f'--{flag.name}', known)}")
    return arguments


def read_number(arguments: Arguments, name: str, default: float, *, least: float, most: float) -> float:
    """Read the number of ``--name``, whole where its default is; another is added to the errors."""
    text = arguments.value(name)
    if text is None:
        return default
    try:
        number = type(default)(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        kind = "a whole number" if isinstance(default, int) else "a number"
        arguments.errors.append(f"--{name} {text}: expected {kind} from {least:g} to {most:g}")
        return default
    return number


def read_choice(arguments: Arguments, name: str, choices: Collection[Choice]) -> Choice:
    """Read the word of ``--name``, by default the first choice; another is added to the errors."""
    text = arguments.value(name)
    if text is not None and text not in choices:
        arguments.errors.append(f"--{name} {text}: possible: {', '.join(choices)}")
    return next((choice for choice in choices if choice == text), next(iter(choices)))


def read_decoding(arguments: Arguments) -> dict[str, Any]:
    """Read the values of `DECODING_FLAGS`: the arguments of `Decoding`."""
    values = {
        "max_tokens": read_number(arguments, "max-tokens", 256, least=1, most=100_000),
        "temperature": read_number(arguments, "temperature", 0.0, least=0, most=100),
        "top_p": read_number(arguments, "top-p", 1.0, least=1e-6, most=1),
        "seed": read_number(arguments, "seed", 0, least=0, most=2**63 - 1),
    }
    idle = [f"--{name}" for name in ("top-p", "seed") if arguments.has(name) and not values["temperature"]]
    if idle:
        arguments.errors.append(f"{' and '.join(idle)}: no effect without --temperature; leave it out, or give both")
    return values


def read_source(arguments: Arguments, verb: str) -> dict[str, Any]:
    """Read the folder of a model and the values of `SOURCE_FLAGS`, which `spa3d.load` takes."""
    folder = arguments.words[0] if arguments.words else ""
    if not folder:
        arguments.errors.append(f"spa3d {verb}: name a model: the folder of a finished run, or its model/ folder")
    else:
        try:
            find_model_folder(folder)
        except CheckpointError as error:
            arguments.errors.append(str(error))
    return {
        "path": Path(folder),
        "plugins": arguments.values("plugin"),
        "registry": arguments.value("registry"),
    }


def read_model(arguments: Arguments, verb: str) -> dict[str, Any]:
    """Read the folder of the model and the values of `MODEL_FLAGS`: the arguments of `session`."""
    return {
        **read_source(arguments, verb),
        "device": arguments.value("device") or "auto",
        "dtype": read_choice(arguments, "dtype", ("auto", "float32", "bfloat16")),
    }
