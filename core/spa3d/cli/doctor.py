"""``spa3d doctor``: faults of a cloud or a data set, their effect, and their repair.

Modules that import torch are imported inside functions, so that listing the verbs is fast.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spa3d.artifacts.run_folder import refuse_unwritable
from spa3d.cli.console import escape_text, make_reporter, output, page, print_meanings
from spa3d.cli.doctor_output import print_cloud_report, print_dataset_report, print_repairs
from spa3d.cli.flags import read_number
from spa3d.config.overrides import Arguments, Flag, scan_run
from spa3d.config.parse import parse_arguments, read
from spa3d.errors import ConfigError, OutputError
from spa3d.runtime.paths import file_problem, folder_problem

if TYPE_CHECKING:
    from spa3d.data.doctor.repairs import Repairs
    from spa3d.pipeline.doctor import Examination
    from spa3d.registry.registry import Registry

FLAGS = {
    "--for NAME": "a model (the folder of a run) or an encoder: what it expects stands beside what is there",
    "--picture OUT.png": "draw one cloud from four sides, in the axes of its file",
    "--json OUT.json": "write all figures and findings",
    "--count N": "data set: clouds that are read, a random sample (default: 1000); all texts are read",
    "--seed N": "of this sample, and of the points that estimates use (default: 0)",
    "--dataset NAME": "the dataset of a folder, or without one; its settings follow as --dataset.FIELD VALUE",
    "--config FILE": "the dataset of a run.yaml",
    "--plugin FILE": "load an unpackaged plugin (a file or a module), too",
    "--registry FILE": "add the rows of a file to registry.yaml",
}
REPAIR_FLAGS = {
    "--fix OUT": "write a repaired copy and a log: of a file OUT.npy or OUT.ply, of a folder a folder; without further "
    "flags all steps that are certain are taken, else these alone, in this order:",
    "--drop-invalid": "leave out points with NaN or infinity",
    "--colors LOW-HIGH": "range of the colors in the file, such as 0-255; they become 0 to 1",
    "--drop-colors": "leave the colors out",
    "--color R,G,B": "color of clouds without color, from 0 to 1",
    "--drop-duplicates": "keep one of several points at the same place",
    "--drop-outliers": "leave out at most 2 % of the points, beyond a gap",
    "--up-axis AXIS": "what points up in the file: x, y, z, -x, -y or -z; it becomes y",
    "--center": "move the centroid to the origin",
    "--scale F": "multiply the coordinates; unit: largest distance 1 from the centroid",
    "--resample N": "random points, or random repeats of too few; N points are drawn from a mesh",
}
OWN = {flag[2:].partition(" ")[0] for flag in (*FLAGS, *REPAIR_FLAGS)} - {"dataset", "config", "plugin", "registry"}
SWITCHES = {flag[2:] for flag in REPAIR_FLAGS if " " not in flag}
STEPS = {flag[2:].partition(" ")[0] for flag in REPAIR_FLAGS} - {"fix"}


def main(argv: Sequence[str]) -> int:
    """Examine a cloud or a data set: what is wrong, what it does to a model, what mends it."""
    arguments = scan_run(argv, own=OWN, own_switches=SWITCHES)
    if arguments.has("help"):
        _print_usage()
        return 0
    path, settings = _read_path(arguments), arguments.drop_flags(OWN)
    repairs, examination = _read_repairs(arguments), _read_examination(arguments)
    if arguments.errors:
        raise ConfigError(arguments.errors)
    _refuse_outputs(arguments)
    if path is not None and folder_problem(path):
        _examine_cloud(arguments, path, examination, read(settings).registry)
    else:
        _examine_dataset(arguments, path, examination, settings)
    if arguments.has("fix") and path is not None:
        from spa3d.pipeline.repair import repair

        target = arguments.value("fix") or ""
        print_repairs(repair(path, target, repairs, seed=examination.seed, reporter=make_reporter()))
    return 0


def _examine_cloud(arguments: Arguments, path: Path, examination: Examination, registry: Registry) -> None:
    from spa3d.pipeline.doctor import draw_cloud, examine_cloud, read_unchecked

    report = examine_cloud(path, examination, registry)
    print_cloud_report(report)
    _write_json(arguments, report.to_json())
    picture = arguments.value("picture")
    if picture:
        draw_cloud(read_unchecked(path), report, Path(picture))
        output().print(escape_text(picture), soft_wrap=True)


def _examine_dataset(arguments: Arguments, path: Path | None, examination: Examination, settings: Arguments) -> None:
    from spa3d.pipeline.doctor import choose_dataset, examine_dataset

    if path is not None:
        if not settings.has("dataset"):
            chosen = choose_dataset(path, read(Arguments([flag for flag in settings.flags if _finds(flag)])).registry)
            settings.flags += [Flag(name, value) for name, value in chosen.items()]
        elif not settings.has("dataset.root"):
            settings.flags.append(Flag("dataset.root", str(path)))
    invocation = parse_arguments(settings)
    report = examine_dataset(invocation.config, invocation.registry, examination, reporter=make_reporter())
    print_dataset_report(report)
    _write_json(arguments, report.to_json())


def _finds(flag: Flag) -> bool:
    """Whether a flag decides which datasets there are."""
    return flag.name in ("plugin", "registry")


def _read_path(arguments: Arguments) -> Path | None:
    """Read the path; None if flags name a dataset. Contradictions are added to the errors."""
    words, chooses = arguments.words, arguments.has("dataset") or arguments.has("config")
    if len(words) > 1 or not (words or chooses):
        arguments.errors.append("spa3d doctor: name one file of a cloud or one folder, as in: spa3d doctor chair.npy")
    path = Path(words[0]) if words else None
    is_file = path is not None and bool(folder_problem(path))
    if path is not None and is_file and file_problem(path):
        arguments.errors.append(f"{path}: cannot be read: {file_problem(path)}")
        return path
    if is_file and (chooses or any(flag.name.startswith("dataset.") for flag in arguments.flags)):
        arguments.errors.append(f"{path}: is no folder, so --dataset, its settings and --config have no effect")
    if is_file and arguments.has("count"):
        arguments.errors.append("--count: no effect on one cloud; leave it out")
    if not is_file and arguments.has("picture"):
        arguments.errors.append("--picture: draws one cloud; spa3d preview dataset draws several")
    if arguments.has("fix") and path is None:
        arguments.errors.append("--fix: name the file or folder to repair")
    return path


def _read_examination(arguments: Arguments) -> Examination:
    from spa3d.pipeline.doctor import CLOUDS, Examination

    count = read_number(arguments, "count", CLOUDS, least=1, most=10_000_000)
    seed = read_number(arguments, "seed", 0, least=0, most=2**63 - 1)
    return Examination(arguments.value("for") or "", int(count), int(seed))


def _read_repairs(arguments: Arguments) -> Repairs:
    """Read the steps of a repair; wrong values are added to the errors."""
    from spa3d.data.doctor.repairs import UP_AXES, Repairs

    named = [f"--{flag.name}" for flag in arguments.flags if flag.name in STEPS]
    if named and not arguments.has("fix"):
        arguments.errors.append(f"{' and '.join(named)}: no effect without --fix OUT, the repaired copy")
    values: dict[str, Any] = {name.replace("-", "_"): True for name in SWITCHES if arguments.has(name)}
    axis = arguments.value("up-axis")
    if axis is not None and axis not in UP_AXES:
        arguments.errors.append(f"--up-axis {axis}: possible: {', '.join(UP_AXES)}")
    values["up_axis"] = axis
    values["colors"] = _read_range(arguments)
    values["color"] = _read_color(arguments)
    if arguments.value("scale") == "unit":
        values["scale"] = 0.0
    elif arguments.has("scale"):
        values["scale"] = read_number(arguments, "scale", 1.0, least=1e-12, most=1e12)
    if arguments.has("resample"):
        values["resample"] = read_number(arguments, "resample", 8192, least=1, most=50_000_000)
    return Repairs(**values)


def _read_range(arguments: Arguments) -> tuple[float, float] | None:
    text = arguments.value("colors")
    if text is None:
        return None
    match = re.fullmatch(r"(-?[0-9.]{1,20})-([0-9.]{1,20})", text)
    try:
        low, high = (float(part) for part in match.groups()) if match else (1.0, 0.0)
    except ValueError:
        low, high = 1.0, 0.0
    if low >= high:
        arguments.errors.append(f"--colors {text}: expected the lowest and the largest color, such as 0-255 or -1-1")
    return low, high


def _read_color(arguments: Arguments) -> tuple[float, float, float] | None:
    text = arguments.value("color")
    if text is None:
        return None
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        parts = [math.nan]
    if len(parts) != 3 or not all(0 <= part <= 1 for part in parts):
        arguments.errors.append(f"--color {text}: expected three numbers from 0 to 1, such as 0.4,0.4,0.4")
        return None
    return parts[0], parts[1], parts[2]


def _refuse_outputs(arguments: Arguments) -> None:
    """Refuse files that cannot be written, before any work."""
    for name, ending in (("picture", ".png"), ("json", ".json")):
        text = arguments.value(name)
        if text is None:
            continue
        path = Path(text)
        if path.suffix.lower() != ending:
            raise OutputError(f"--{name} {path}: choose a name that ends in {ending}")
        if folder_problem(path.parent):
            raise OutputError(f"--{name} {path}: there is no folder {path.parent}; create it first")
        refuse_unwritable(path, f"--{name}")


def _write_json(arguments: Arguments, values: dict[str, Any]) -> None:
    name = arguments.value("json")
    if name:
        from spa3d.runtime.atomic_files import write_whole

        write_whole(Path(name), json.dumps(values, indent=1) + "\n")
        output().print(escape_text(name), soft_wrap=True)


def _print_usage() -> None:
    console = page()
    console.print("usage: spa3d doctor FILE|FOLDER [FLAGS]\n", markup=False)
    print_meanings(console, FLAGS)
    console.print()
    print_meanings(console, REPAIR_FLAGS)
    console.print(
        "\nThe exit code is 0 whatever is found, and 2 if the file or the data set cannot be read at all.", style="dim"
    )
