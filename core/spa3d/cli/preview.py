"""``spa3d preview``: pictures of cloud files, of datasets and of noised clouds.

Modules that import torch or read files are imported inside functions, so that listing the verbs is fast.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from spa3d.artifacts.run_folder import refuse_unwritable
from spa3d.cli.console import error_console, escape_text, output, page, print_meanings
from spa3d.cli.flags import COLORS_FLAG, read_choice, read_number, scan_flags
from spa3d.config.overrides import Arguments, Flag, scan_run, source_of_flags
from spa3d.config.parse import parse_arguments, read
from spa3d.config.resolve import resolve
from spa3d.config.settings import RunConfig
from spa3d.errors import ConfigError, OutputError, describe_unknown
from spa3d.registry.registry import Registry
from spa3d.runtime.paths import folder_problem

SPLIT = "test"
CLOUD = "cloud"
COUNTS = {"dataset": 30, "noise": 1, CLOUD: 60}
"""Subjects, and the default number of records or files of each."""
POINTS = 8192
MOST_FILES, MOST_POINTS = 600, 1_000_000
LEVELS = "0.1,0.25,0.5,0.75"
OWN_FLAGS = {"dataset": ("split", "count"), "noise": ("split", "count", "level", "noise")}
FLAGS = {
    "--split NAME": f"split to show (default: {SPLIT})",
    "--count N": f"number of records, from the first (default: {COUNTS['dataset']}, and {COUNTS['noise']} under noise)",
    "--level X,Y": f"noise: its levels, from 0 to 1 (default: {LEVELS})",
    "--noise NAME,NAME": "noise: its names (default: all); their settings follow as --noise.FIELD VALUE",
    "--dataset NAME": "the dataset; its settings follow as --dataset.FIELD VALUE",
    "--config FILE": "the dataset of a run.yaml",
    "--plugin FILE": "load an unpackaged plugin (a file or a module), too",
    "--registry FILE": "add the rows of a file to registry.yaml",
}
CLOUD_FLAGS = {
    "--count N": f"number of files, from the first (default: {COUNTS[CLOUD]})",
    "--points N": f"points drawn from a mesh, and most points in a picture (default: {POINTS})",
    **COLORS_FLAG,
    "--up-axis AXIS": "x, y, z, or auto: z for STL, LAS, LAZ and E57 files, y for others (default: auto)",
}


def main(argv: Sequence[str]) -> int:
    """Draw cloud files, objects of a dataset, or what noises make of them, on one sheet (PNG)."""
    if "--help" in argv or "-h" in argv:
        _print_usage()
        return 0
    if CLOUD in scan_flags(argv, CLOUD_FLAGS).words[:1]:
        return _draw_clouds(scan_flags(argv, CLOUD_FLAGS))
    arguments = scan_run(argv, own=OWN_FLAGS["noise"])
    subject, path, count, levels = _read_arguments(arguments)
    settings = arguments.drop_flags(OWN_FLAGS[subject])
    if subject == "noise":
        configs, registry = _resolve_noises(settings, arguments.value("noise"))
    else:
        invocation = parse_arguments(settings)
        configs, registry = [invocation.config], invocation.registry
    from spa3d.pipeline.preview import PreviewRequest, draw_dataset, draw_noise

    request = PreviewRequest(path, arguments.value("split") or SPLIT, count, levels)
    if subject == "noise":
        summary = draw_noise(configs, registry, request, skipped=_show("skipped"), noted=_show("note"))
    else:
        summary = draw_dataset(configs[0], registry, request, skipped=_show("skipped"), noted=_show("note"))
    output().print(escape_text(f"{path}: {summary}"), soft_wrap=True)
    return 0


def _resolve_noises(arguments: Arguments, names: str | None) -> tuple[list[RunConfig], Registry]:
    """Make a configuration for each noise in `names`; None: for every noise that works here."""
    choices = read(arguments)
    registry = choices.registry
    if names is None:
        noises = [row.name for row in registry.components("noise") if not registry.describe_unmet(row)]
    else:
        noises = list(dict.fromkeys(name.strip() for name in names.split(",")))
    sources = [source_of_flags([Flag("noise", name)]) for name in noises]
    return [resolve(*choices.sources, source, registry=registry) for source in sources], registry


def _draw_clouds(arguments: Arguments) -> int:
    """Draw files and folders of clouds."""
    from spa3d.pipeline.preview_clouds import COLORS, UP_AXES, CloudsRequest, draw_clouds

    count = read_number(arguments, "count", COUNTS[CLOUD], least=1, most=MOST_FILES)
    points = read_number(arguments, "points", POINTS, least=1, most=MOST_POINTS)
    colors, up_axis = read_choice(arguments, "colors", COLORS), read_choice(arguments, "up-axis", UP_AXES)
    if len(arguments.words) < 3:
        arguments.errors.append(
            "spa3d preview cloud: name the sheet, then files or folders, as in: spa3d preview cloud sheet.png my_clouds"
        )
    if arguments.errors:
        raise ConfigError(arguments.errors)
    path, *sources = map(Path, arguments.words[1:])
    _check_sheet(path)
    request = CloudsRequest(path, tuple(sources), int(count), int(points), colors, up_axis)
    summary = draw_clouds(request, skipped=_show("skipped"), noted=_show("note"))
    output().print(escape_text(f"{path}: {summary}"), soft_wrap=True)
    return 0


def _show(kind: str) -> Callable[[str], None]:
    """Make a function that prints lines of a kind."""
    return lambda line: error_console().print(escape_text(f"{kind}: {line}", "yellow"), soft_wrap=True)


def _read_arguments(arguments: Arguments) -> tuple[str, Path, int, tuple[float, ...]]:
    """Read subject, file, number of records and levels; raises with all errors."""
    errors = [*arguments.errors]
    subject, *files = arguments.words or [""]
    if subject not in COUNTS:
        errors.append(f"spa3d preview: {describe_unknown('subject', subject, COUNTS)}")
        subject = "dataset"
    if len(files) != 1:
        errors.append(f"spa3d preview {subject}: name one file to write, as in: spa3d preview {subject} sheet.png")
    count = arguments.value("count") or str(COUNTS[subject])
    if not re.fullmatch(r"[1-9][0-9]{0,5}", count):
        errors.append(f"--count {count}: expected a whole number of records, 1 to 999999")
        count = "1"
    levels = _read_levels(arguments.value("level") or LEVELS, errors)
    if subject == "noise" and arguments.has("noise.level"):
        errors.append("--noise.level: a sheet shows several levels; give --level X,Y")
    if errors:
        raise ConfigError(errors)
    path = Path(files[0])
    _check_sheet(path)
    return subject, path, int(count), levels


def _check_sheet(path: Path) -> None:
    """Refuse a file that no sheet can be written to, before any work."""
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: the sheet is a PNG; choose a name that ends in .png")
    if folder_problem(path.parent):
        raise OutputError(f"{path}: there is no folder {path.parent}; create it first")
    refuse_unwritable(path, "")


def _read_levels(words: str, errors: list[str]) -> tuple[float, ...]:
    """Parse levels from 0 to 1; an invalid one is added to `errors`."""
    try:
        levels = tuple(float(word) for word in words.split(","))
    except ValueError:
        levels = (math.nan,)
    if not all(0 <= level <= 1 for level in levels):
        errors.append(f"--level {words}: expected numbers from 0 to 1, separated by commas, such as {LEVELS}")
    return levels


def _print_usage() -> None:
    console = page()
    console.print(
        "usage: spa3d preview cloud OUT.png FILE|FOLDER… [FLAGS]\n       spa3d preview dataset OUT.png [FLAGS]\n"
        "       spa3d preview noise OUT.png [FLAGS]\n\nspa3d preview cloud:",
        markup=False,
    )
    print_meanings(console, CLOUD_FLAGS)
    console.print("\nspa3d preview dataset and noise:", markup=False)
    print_meanings(console, FLAGS)
    console.print("\nAll flags of spa3d run for data and clouds work here, too.", style="dim")
