"""``spa3d pairs``: preference pairs without training.

Modules that import torch are imported inside functions, so that listing the verbs is fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from spa3d.cli.console import error_console, escape_text, make_reporter, output, page
from spa3d.cli.help import show_block
from spa3d.config.overrides import scan_run
from spa3d.config.parse import Invocation, parse_arguments
from spa3d.errors import ConfigError
from spa3d.pipeline.pairs_request import check_pairs_request
from spa3d.runtime import distributed

if TYPE_CHECKING:
    from spa3d.preferences.generate import Pairs

UNUSED_FLAGS = ("output", "resume", "dry-run")
"""Flags of a run that have no meaning here."""
EXAMPLES = 3
"""Number of pairs shown at the end."""


def main(argv: Sequence[str]) -> int:
    """Make preference pairs, for objectives that need answers to avoid (JSON lines)."""
    if "--help" in argv or "-h" in argv:
        _print_usage()
        return 0
    path, invocation = _parse(argv)
    from spa3d.pipeline.execute import execute_pairs

    try:
        pairs = execute_pairs(invocation.config, invocation.registry, path=path, reporter=make_reporter())
    except KeyboardInterrupt:
        error_console().print("the answers so far are saved; the same command continues from them")
        raise
    _show(path, pairs)
    return 0


def _parse(argv: Sequence[str]) -> tuple[Path, Invocation]:
    """Parse the arguments to the output file and the run that the pairs are for."""
    arguments = scan_run(argv)
    errors = [
        f"--{name}: spa3d pairs writes one file and always continues; leave it out"
        for name in UNUSED_FLAGS
        if arguments.has(name)
    ]
    if distributed.world_size() > 1:
        errors.append("spa3d pairs: start it without torchrun; pairs are made by one process")
    if len(arguments.words) != 1:
        errors.append("spa3d pairs: name one file to write, as in: spa3d pairs pairs.jsonl --pairs.mode augmentation")
    if arguments.has("pairs.path"):
        errors.append("--pairs.path: spa3d pairs makes pairs and does not read any; leave it out")
    if errors:
        raise ConfigError([*arguments.errors, *errors])
    path = Path(arguments.words[0])
    invocation = parse_arguments(replace(arguments, words=[]))
    check_pairs_request(invocation.config, path)
    return path, invocation


def _show(path: Path, pairs: Pairs) -> None:
    console = output()
    counts = Table(box=None, show_header=False, pad_edge=False)
    for number, label in [
        (pairs.requested, "requests"),
        *((count, f"dropped: {why}") for why, count in pairs.dropped.items()),
        (len(pairs.kept), f"pairs in {path}"),
    ]:
        counts.add_row(f"{number:>8,}", escape_text(label))
    console.print(counts)
    shown = Table("record", "question", "chosen", "rejected", title="For example", title_justify="left")
    for pair in pairs.kept[:EXAMPLES]:
        shown.add_row(*(escape_text(text) for text in (pair.record_id, pair.question, pair.chosen, pair.rejected)))
    console.print(shown)


def _print_usage() -> None:
    console = page()
    console.print(
        "usage: spa3d pairs OUT.jsonl --pairs.mode augmentation|corruption [FLAGS of spa3d run]\n", markup=False
    )
    show_block("pairs", without=("--pairs.path",))
    console.print(
        "\nA run whose objective needs pairs makes them itself, with the same flags; for other flags see spa3d run "
        "--help.\nEvery answer is saved at once: after a kill the same command continues and repeats no request.",
        style="dim",
    )
