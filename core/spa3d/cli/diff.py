"""``spa3d diff``: two models on the same questions, from the answers that their runs saved.

Modules that import torch are imported inside functions, so that a wrong flag is refused at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spa3d.artifacts.run_folder import refuse_unwritable
from spa3d.cli.console import page, print_meanings
from spa3d.cli.flags import read_choice, read_number, scan_flags
from spa3d.config.overrides import Arguments
from spa3d.errors import ConfigError
from spa3d.runtime.atomic_files import write_whole

FLAGS = {
    "--first after|before": "answers of the first run: after post-training (default), or before",
    "--second after|before": "answers of the second run: after post-training (default), or before",
    "--on-changed stop|skip": "questions that differ under the same id: refuse them (default), or leave them out",
    "--examples N": "most changed questions per benchmark that are shown with both answers (default: 3)",
    "--json FILE": "also write all figures, and the ids of all changed questions",
    "--bootstrap N": "resamples behind each interval (default: 2000)",
    "--seed N": "of the resampling (default: 0)",
}
PHASES = ("after", "before")


def main(argv: Sequence[str]) -> int:
    """Compare two models on the same questions, paired by question."""
    arguments = scan_flags(argv, FLAGS)
    if arguments.has("help"):
        _print_usage()
        return 0
    settings, phases = _read_settings(arguments), (_read_phase(arguments, "first"), _read_phase(arguments, "second"))
    if len(arguments.words) != 2:
        named = ", ".join(map(repr, arguments.words)) or "nothing"
        arguments.errors.append(
            f"spa3d diff: name two runs or evaluations (folders, or their report.json); given: {named}"
        )
    if arguments.errors:
        raise ConfigError(arguments.errors)
    target = arguments.value("json")
    if target is not None:
        refuse_unwritable(Path(target), "--json")
    from spa3d.cli.diff_output import show_difference
    from spa3d.comparison.paired.diff import DiffSettings, diff

    document = diff(*arguments.words, phases=phases, settings=DiffSettings(**settings))
    if target is not None:
        write_whole(Path(target), document.json_text())
    show_difference(document, target)
    return 0


def _read_settings(arguments: Arguments) -> dict[str, Any]:
    """Read the values of `DiffSettings`; faults are added to the errors."""
    return {
        "on_changed": read_choice(arguments, "on-changed", ("stop", "skip")),
        "examples": read_number(arguments, "examples", 3, least=0, most=10**9),
        "bootstrap": read_number(arguments, "bootstrap", 2000, least=100, most=10**5),
        "seed": read_number(arguments, "seed", 0, least=0, most=2**63 - 1),
    }


def _read_phase(arguments: Arguments, name: str) -> Any:
    return read_choice(arguments, name, PHASES)


def _print_usage() -> None:
    console = page()
    console.print("usage: spa3d diff FIRST SECOND [FLAGS]      differences are SECOND minus FIRST\n", markup=False)
    print_meanings(console, FLAGS)
