"""Repaired copies of clouds and data sets; nothing is repaired in place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spa3d.data.doctor.repairs import Repairs
from spa3d.data.doctor.writing import SUFFIXES, refuse_other_suffix, write_cloud
from spa3d.data.formats.candidates import is_cloud_file
from spa3d.data.formats.contract import MESH_POINTS, Cloud
from spa3d.errors import DataError, OutputError, first_line
from spa3d.pipeline.doctor import judge, read_unchecked
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.paths import file_problem, folder_problem, naming_write_errors
from spa3d.runtime.progress import Reporter, SilentReporter
from spa3d.runtime.rng import Key

LOG = "repairs.log"
"""Log of a repaired data set, in its folder; that of a cloud has the ending .log after the cloud's name."""


@dataclass(frozen=True)
class RepairResult:
    """Result of a repair.

    Attributes:
        output: the repaired copy.
        log: the file that lists all changes.
        lines: its lines.
        repaired: number of clouds that were changed.
        left_out: a line for each file that is not in the copy.

    """

    output: Path
    log: Path
    lines: tuple[str, ...]
    repaired: int
    left_out: tuple[str, ...] = ()


def repair(
    path: str | Path,
    output: str | Path,
    repairs: Repairs | None = None,
    *,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> RepairResult:
    """Write a repaired copy of a cloud, or of all clouds below a folder, and a log.

    Args:
        path: a file of a cloud, or a folder. Its files that are no clouds are copied as they are.
        output: a new file that ends in .npy or .ply; of a folder, a new folder. A cloud of another format than these
            becomes a .ply there, and the log says so.
        repairs: the steps; without any, those that the findings about a cloud recommend and that are certain.
        seed: of the draws of ``resample``.
        reporter: where progress goes; None: nowhere.

    Raises:
        DataError: the cloud cannot be read, or a step is not possible.
        OutputError: `output` exists, or cannot be written.

    """
    source, target = Path(path), Path(output)
    if target.exists() or target.is_symlink():
        raise OutputError(f"--fix {target}: exists; nothing is overwritten, choose another name")
    if folder_problem(source):
        return _repair_file(source, target, repairs, seed)
    return _repair_folder(source, target, repairs, seed, reporter or SilentReporter())


def _repair_file(source: Path, target: Path, repairs: Repairs | None, seed: int) -> RepairResult:
    refuse_other_suffix(target)
    log = target.with_name(f"{target.name}.log")
    if log.exists():
        raise OutputError(f"{log}: exists, and would be the log of the repair; choose another --fix")
    if folder_problem(target.parent):
        raise OutputError(f"--fix {target}: there is no folder {target.parent}; create it first")
    repaired, lines = _repair_cloud(source, repairs, ("repair", seed))
    if not lines:
        raise DataError(
            f"{source}: nothing that is certain to repair; name the steps, such as --up-axis z (spa3d doctor {source} "
            "recommends some)"
        )
    repaired.to_array(where=f"{source}, repaired")
    lines += write_cloud(repaired, target)
    result = [f"{source} -> {target}", *(f"  {line}" for line in lines)]
    write_whole(log, "\n".join([*result, ""]))
    return RepairResult(target, log, tuple(result), 1)


def _repair_cloud(source: Path, repairs: Repairs | None, key: Key) -> tuple[Cloud, list[str]]:
    """The repaired cloud, and a line per step; no line if nothing is certain to be repaired."""
    cloud = read_unchecked(source, count=(repairs and repairs.resample) or MESH_POINTS)
    return (repairs or judge(cloud).certain_repairs).apply(cloud, key=key)


def _repair_folder(source: Path, target: Path, repairs: Repairs | None, seed: int, reporter: Reporter) -> RepairResult:
    if target.resolve().is_relative_to(source.resolve()):
        raise OutputError(f"--fix {target}: lies inside {source}, whose files are read; choose another place")
    files = sorted(_list_files(source))
    lines, left_out, changed = list[str](), list[str](), 0
    clouds = {name for name in files if is_cloud_file(source / name)}
    taken = {name for name in files if name not in clouds or Path(name).suffix.lower() in SUFFIXES}
    _make_folder(target)
    with reporter.track(len(files), "files") as advance:
        for name in files:
            new_name = Path(name)
            if name in clouds and new_name.suffix.lower() not in SUFFIXES:
                new_name = _find_free_name(new_name, taken)
            try:
                steps = _write_copy(source / name, target / new_name, repairs, ("repair", seed, name))
                changed += bool(steps)
                if steps or str(new_name) != name:
                    lines += [f"{name} -> {new_name}", *(f"  {step}" for step in steps)]
            except DataError as error:
                left_out.append(f"left out {name}: {first_line(error)}")
            advance(1)
    log = target / LOG
    write_whole(log, "\n".join([f"{source} -> {target}", *lines, *left_out, ""]))
    return RepairResult(target, log, tuple(lines), changed, tuple(left_out))


def _list_files(source: Path) -> Iterator[str]:
    """Names of all files below a folder, relative to it; links to folders are not followed."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read: {(error.strerror or str(error)).lower()}.") from error

    for folder, _, names in os.walk(source, onerror=refuse):
        for name in names:
            yield os.path.relpath(Path(folder) / name, source)


def _find_free_name(new_name: Path, taken: set[str]) -> Path:
    """A name with the ending .ply that no other file of the copy has."""
    name = new_name.with_suffix(".ply")
    if str(name) in taken:
        name = new_name.with_name(f"{new_name.name}.ply")
    taken.add(str(name))
    return name


def _write_copy(source: Path, target: Path, repairs: Repairs | None, key: Key) -> list[str]:
    """Write the repaired copy of a cloud, or the copy of another file; returns what was changed."""
    problem = file_problem(source)
    if problem:
        raise DataError(f"{source}: cannot be read: {problem}.")
    _make_folder(target.parent)
    if not is_cloud_file(source):
        _copy_file(source, target)
        return []
    cloud, lines = _repair_cloud(source, repairs, key)
    if not lines and source.suffix == target.suffix:
        _copy_file(source, target)
        return []
    cloud.to_array(where=str(source))
    return [*lines, *write_cloud(cloud, target)]


def _make_folder(folder: Path) -> None:
    with naming_write_errors(folder, "place"):
        folder.mkdir(parents=True, exist_ok=True)


def _copy_file(source: Path, target: Path) -> None:
    with naming_write_errors(target, "place"):
        shutil.copyfile(source, target)
