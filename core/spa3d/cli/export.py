"""``spa3d export``: the model of a run in a folder of its own.

Modules that import torch are imported inside functions, so that a wrong flag is refused at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spa3d.cli.console import escape_text, output, page, print_meanings
from spa3d.cli.flags import SOURCE_FLAGS, read_choice, read_source, scan_flags
from spa3d.errors import ConfigError

FLAGS = {
    "--format hf|pointllm": "layout: of spa3d and transformers' Auto classes (default), or of PointLLM's code",
    "--merge": "of a run with adapters: the whole model with the adapters merged, not the adapters alone",
    "--output FOLDER": "where to write; MODEL/exported-FORMAT by default",
    **SOURCE_FLAGS,
}


def main(argv: Sequence[str]) -> int:
    """Write the model of a run for transformers or for PointLLM."""
    arguments = scan_flags(argv, FLAGS)
    if arguments.has("help"):
        _print_usage()
        return 0
    source, layout = read_source(arguments, "export"), read_choice(arguments, "format", ("hf", "pointllm"))
    arguments.errors += [f"{word!r} is not expected here; one model" for word in arguments.words[1:]]
    if arguments.errors:
        raise ConfigError(arguments.errors)
    folder: Path = source.pop("path")
    target = Path(arguments.value("output") or folder / f"exported-{layout}")
    from transformers.utils import logging

    from spa3d.checkpoints.export import export

    logging.disable_progress_bar()
    chosen: Any = {"format": layout, "merge": arguments.has("merge"), **source}
    export(folder, target, **chosen)
    output().print(escape_text(str(target)), soft_wrap=True)
    return 0


def _print_usage() -> None:
    console = page()
    console.print("usage: spa3d export MODEL [FLAGS]\n", markup=False)
    print_meanings(console, FLAGS)
