"""Run folders: lock, saved configuration, passport, checkpoints, and link to the latest run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spa3d.artifacts.diff import differences
from spa3d.errors import OutputError
from spa3d.registry.located_yaml import read_located
from spa3d.registry.plain_yaml import dump_yaml
from spa3d.runtime.atomic_files import write_whole

UNTRAINED_FILES = (
    *("config.yaml", "passport.json", "metrics.jsonl", "predictions", "pairs.jsonl"),
    *("probe.json", "best.safetensors", "checkpoints"),
)
"""Files of a run before its training starts; its base is in the workspace instead."""
IMMUTABLE_KEYS = ("base", "data", "sources")
"""Entries of the passport that must not change when a run resumes."""


@contextmanager
def lock_run_folder(output: Path, config: Mapping[str, Any], *, resume: bool) -> Iterator[None]:
    """Create or reopen the folder of a run, and lock it inside the ``with`` block.

    The folder of a run that stopped before its training is cleared and reused: nothing in it is worth keeping, and the
    corrected command should not need another folder.

    Raises:
        OutputError: the folder cannot be created or written, contains other files or another run, or is in use by a
            running process; the message says which.

    """
    refuse_unwritable(output, "--output")
    try:
        output.mkdir(parents=True, exist_ok=True)
        handle = os.open(output, os.O_RDONLY)
    except OSError as error:
        raise OutputError(
            f"--output {output}: cannot be created or read ({error.strerror}); choose another folder"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"--output {output}: another run is using it; choose another folder") from error
        _claim(output, dict(config), resume=resume)
        yield
    finally:
        os.close(handle)


def refuse_unwritable(path: Path, flag: str) -> None:
    """Refuse a file or folder that could not be made, before any work; nothing is made.

    Raises:
        OutputError: `path` is below a file, or in a folder that may not be written.

    """
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.lstat()  # names that no file can have: too long, or with a NUL
        there = next(location for location in (path, *path.absolute().parents) if location.exists())
        problem = "" if there == path or there.is_dir() else f"{there} is a file"
        if not problem and not os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
            problem = f"{there} may not be written"
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or str(error)
    if problem:
        raise OutputError(f"{flag} {path}: cannot be made there ({problem}); choose another place".lstrip())


def _claim(output: Path, config: dict[str, Any], *, resume: bool) -> None:
    inside = sorted(path.name for path in output.iterdir())
    saved = output / "config.yaml"
    if _is_untrained(output, inside):
        _clear(output)
    elif inside:
        _check_same_run(output, inside, config, resume=resume)
        return
    try:
        write_whole(saved, dump_yaml(config))
    except OSError as error:
        raise OutputError(f"--output {output}: not writable ({error.strerror}); choose another folder") from error


def _check_same_run(output: Path, inside: list[str], config: dict[str, Any], *, resume: bool) -> None:
    """Raise `OutputError` unless `output` has a run of the same `config` and `resume` is set."""
    if not (output / "config.yaml").exists():
        raise OutputError(
            f"--output {output}: not empty, and not a run of spa3d ({', '.join(inside[:5])} ...); choose another folder"
        )
    old = read_saved_config(output)
    if old is None:
        raise OutputError(f"--output {output}: not empty, and its config.yaml is not from a run; choose another folder")
    changed = differences(old, config)
    if changed:
        raise OutputError(
            f"--output {output}: has a run of another configuration ({'; '.join(changed[:8])}); choose another folder"
        )
    if not resume:
        raise OutputError(
            f"--output {output}: already contains this run; add --resume to continue it, or choose another folder"
        )


def read_saved_config(folder: Path) -> Mapping[str, Any] | None:
    """Read the configuration of the run in `folder`; None if it is missing or unreadable."""
    try:
        return read_located(folder / "config.yaml", OutputError).values
    except OutputError:
        return None


def _is_untrained(output: Path, inside: list[str]) -> bool:
    """Whether `output` contains only a run that stopped before its training."""
    if not {"config.yaml", "passport.json"} <= set(inside) <= set(UNTRAINED_FILES) or not _read_passport(output):
        return False
    training_results = [*output.glob("checkpoints/*"), *output.glob("predictions/*.after.jsonl")]
    return not training_results


def _clear(output: Path) -> None:
    for name in UNTRAINED_FILES:
        path = output / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def link_latest(output: Path) -> None:
    """Link ``runs/latest`` to `output`, wherever that lies, if the link can be made."""
    runs = Path("runs")
    link, fresh = runs / "latest", runs / f".latest-{os.getpid()}"
    if link.exists() and not link.is_symlink():
        return
    with suppress(OSError):
        runs.mkdir(exist_ok=True)
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(
            os.path.relpath(output.resolve(), runs.resolve()) if _is_in(output, runs) else output.resolve()
        )
        fresh.replace(link)  # atomic: two runs may end at the same time


def _is_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def drop_checkpoints(output: Path) -> None:
    """Remove what only a run that is not finished needs; the trained model is in ``model/``."""
    shutil.rmtree(output / "checkpoints", ignore_errors=True)
    (output / "best.safetensors").unlink(missing_ok=True)


def issue_passport(output: Path, passport: dict[str, object]) -> None:
    """Write the passport of a new run, or check it against the saved one of a resumed run.

    Raises:
        OutputError: an entry of `IMMUTABLE_KEYS` differs.

    """
    path = output / "passport.json"
    if not path.exists():
        write_whole(path, json.dumps(passport, indent=1))
        return
    old = _read_passport(output)
    changed = differences(
        {name: old.get(name) for name in IMMUTABLE_KEYS}, {name: passport[name] for name in IMMUTABLE_KEYS}
    )
    if changed:
        raise OutputError(
            f"{output}: base, data or sources changed since the run began ({'; '.join(changed)}); "
            f"its numbers would not be comparable; choose another --output"
        )


def extend_passport(output: Path, **more: object) -> dict[str, object]:
    """Add entries to the passport in `output` and return the whole passport."""
    path = output / "passport.json"
    passport: dict[str, object] = {**json.loads(path.read_text(encoding="utf-8")), **more}
    write_whole(path, json.dumps(passport, indent=1))
    return passport


def _read_passport(output: Path) -> dict[str, Any]:
    """Read the passport in `output`; empty if it is missing or invalid."""
    try:
        passport = json.loads((output / "passport.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return passport if isinstance(passport, dict) and set(IMMUTABLE_KEYS) <= set(passport) else {}
