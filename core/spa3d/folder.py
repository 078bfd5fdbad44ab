"""The folder of a run: whose it is, and where the latest one is."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from spa3d.config import RunConfig
from spa3d.errors import OutputError
from spa3d.passport import differences


def claim(output: Path, config: RunConfig, *, resume: bool) -> None:
    """Make `output` this run's folder, or say why it cannot be."""
    saved = output / "config.yaml"
    try:
        output.mkdir(parents=True, exist_ok=True)
        inside = sorted(path.name for path in output.iterdir())
    except OSError as fault:
        raise OutputError(
            f"--output {output}: cannot be made or read ({fault.strerror}); choose another folder"
        ) from fault
    dumped = config.model_dump(mode="json")
    if not inside:
        try:
            saved.write_text(yaml.safe_dump(dumped, sort_keys=False), encoding="utf-8")
        except OSError as fault:
            raise OutputError(f"--output {output}: not writable ({fault.strerror}); choose another folder") from fault
        return
    if not saved.exists():
        raise OutputError(
            f"--output {output}: not empty and no run of spa3d ({', '.join(inside[:5])} ...); choose another"
        )
    changed = differences(yaml.safe_load(saved.read_text(encoding="utf-8")), dumped)
    if changed:
        raise OutputError(
            f"--output {output}: holds a run of another configuration ({'; '.join(changed[:8])}); choose another folder"
        )
    if not resume:
        raise OutputError(
            f"--output {output}: holds this very run; add --resume to continue it, or choose another folder"
        )


def link_latest(output: Path) -> None:
    """Point ``runs/latest`` at `output` where it lies in a folder called runs."""
    if output.resolve().parent.name != "runs":
        return
    link = output.resolve().parent / "latest"
    if link.is_symlink():
        link.unlink()
    if not link.exists():
        link.symlink_to(output.resolve().name)


LASTING = ("base", "data", "sources")
"""Entries of the passport that must not change between a run and its continuation."""


def issue_passport(output: Path, passport: dict[str, object]) -> None:
    """Write the passport of a new run, or hold that of a continued one against it."""
    path = output / "passport.json"
    if not path.exists():
        path.write_text(json.dumps(passport, indent=1), encoding="utf-8")
        return
    old = json.loads(path.read_text(encoding="utf-8"))
    changed = differences({name: old[name] for name in LASTING}, {name: passport[name] for name in LASTING})
    if changed:
        raise OutputError(
            f"{output} was begun with something else ({'; '.join(changed)}); its numbers would mix two programs or "
            f"data sets: choose another --output"
        )
