"""The folder of a run: whose it is, and where the latest one is."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from spa3d.artifacts.diff import differences
from spa3d.errors import OutputError
from spa3d.runtime.atomic_files import write_whole

UNTRAINED_FILES = (
    *("config.yaml", "passport.json", "metrics.jsonl", "predictions", "pairs.jsonl"),
    *("probe.json", "best.safetensors", "checkpoints"),
)
"""What a run leaves that has trained nothing yet; the base it may have built lies elsewhere."""
IMMUTABLE_KEYS = ("base", "data", "sources")
"""Entries of the passport that must not change between a run and its continuation."""


@contextmanager
def lock_run_folder(output: Path, config: Mapping[str, Any], *, resume: bool) -> Iterator[None]:
    """Make `output` this run's folder, and keep other runs out of it inside the ``with`` block.

    A folder in which a run was only begun is begun anew: there is nothing to lose in it, and the command that puts
    right what ended that run must not be refused for its sake.

    Raises:
        OutputError: the folder cannot be made or written, holds something else or another run, or a run is at work
            in it; the message says which.

    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        handle = os.open(output, os.O_RDONLY)
    except OSError as error:
        raise OutputError(
            f"--output {output}: cannot be made or read ({error.strerror}); choose another folder"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"--output {output}: another run is at work in it; choose another folder") from error
        _claim(output, dict(config), resume=resume)
        yield
    finally:
        os.close(handle)


def _claim(output: Path, config: dict[str, Any], *, resume: bool) -> None:
    inside = sorted(path.name for path in output.iterdir())
    saved = output / "config.yaml"
    if _only_begun(output, inside):
        _clear(output)
    elif inside:
        _continue(output, inside, config, resume=resume)
        return
    try:
        write_whole(saved, yaml.safe_dump(config, sort_keys=False))
    except OSError as error:
        raise OutputError(f"--output {output}: not writable ({error.strerror}); choose another folder") from error


def _continue(output: Path, inside: list[str], config: dict[str, Any], *, resume: bool) -> None:
    """Hold what `output` holds against `config`; raises unless it is the same run, to be resumed."""
    if not (output / "config.yaml").exists():
        raise OutputError(
            f"--output {output}: not empty and no run of spa3d ({', '.join(inside[:5])} ...); choose another"
        )
    old = read_saved_config(output)
    if old is None:
        raise OutputError(f"--output {output}: not empty, and its config.yaml is none that a run saved; choose another")
    changed = differences(old, config)
    if changed:
        raise OutputError(
            f"--output {output}: holds a run of another configuration ({'; '.join(changed[:8])}); choose another folder"
        )
    if not resume:
        raise OutputError(
            f"--output {output}: holds this very run; add --resume to continue it, or choose another folder"
        )


def read_saved_config(folder: Path) -> Mapping[str, Any] | None:
    """Read the configuration of the run in `folder`; None where there is none that can be read."""
    try:
        saved = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return saved if isinstance(saved, Mapping) else None


def _only_begun(output: Path, inside: list[str]) -> bool:
    """Whether a run was begun here, nothing was trained in it, and nothing else lies here."""
    if not {"config.yaml", "passport.json"} <= set(inside) <= set(UNTRAINED_FILES) or not _passport(output):
        return False
    trained = [*output.glob("checkpoints/*"), *output.glob("predictions/*.after.jsonl")]
    return not trained


def _clear(output: Path) -> None:
    for name in UNTRAINED_FILES:
        path = output / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def link_latest(output: Path) -> None:
    """Point ``runs/latest`` at `output` where it lies in a folder called runs."""
    folder = output.resolve()
    link = folder.parent / "latest"
    if folder.parent.name != "runs" or (link.exists() and not link.is_symlink()):
        return
    fresh = folder.parent / f".latest-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(link)  # at once: two runs may end together


def issue_passport(output: Path, passport: dict[str, object]) -> None:
    """Write the passport of a new run, or hold that of a continued one against it."""
    path = output / "passport.json"
    if not path.exists():
        write_whole(path, json.dumps(passport, indent=1))
        return
    old = _passport(output)
    changed = differences(
        {name: old.get(name) for name in IMMUTABLE_KEYS}, {name: passport[name] for name in IMMUTABLE_KEYS}
    )
    if changed:
        raise OutputError(
            f"{output} was begun with something else ({'; '.join(changed)}); its numbers would mix two programs or "
            f"data sets: choose another --output"
        )


def extend_passport(output: Path, **more: object) -> dict[str, object]:
    """Add entries to the passport in `output`, and return all of it."""
    path = output / "passport.json"
    passport: dict[str, object] = {**json.loads(path.read_text(encoding="utf-8")), **more}
    write_whole(path, json.dumps(passport, indent=1))
    return passport


def _passport(output: Path) -> dict[str, Any]:
    """The passport that `output` holds; empty where it is none."""
    try:
        passport = json.loads((output / "passport.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return passport if isinstance(passport, dict) and set(IMMUTABLE_KEYS) <= set(passport) else {}
