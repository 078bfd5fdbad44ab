"""Licenses of what a run's model is made of, as far as they are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import ModelCard

from spa3d.config.hub_ids import is_hub_id
from spa3d.config.settings import RunConfig
from spa3d.registry.registry import Registry

UNKNOWN = "not stated"
OWN = "Apache-2.0 (spa3d)"
GENERATED = "shapes"
"""The dataset that spa3d generates; others read files of somebody."""


def find_licenses(config: RunConfig, registry: Registry) -> dict[str, str]:
    """Find the license of each part: its code, published weights, the LLM, the data."""
    return dict(_list_licenses(config, registry))


def _list_licenses(config: RunConfig, registry: Registry) -> Iterator[tuple[str, str]]:
    for kind in ("encoder", "projector", "dataset"):
        selection = getattr(config, kind)
        row = registry.get(kind, selection.component)
        is_own = registry.origin(row).builtin and (kind != "dataset" or row.name == GENERATED)
        yield f"{kind} {selection.requested}", row.license or (OWN if is_own else UNKNOWN)
    if config.base.path:
        yield f"base {Path(config.base.path).name}", _read_base_licenses(Path(config.base.path))
        return
    if config.encoder.checkpoint:
        preset = registry.manifest.presets.of_kind("encoder").get(config.encoder.preset)
        license_ = preset.weights.license if preset and preset.weights else ""
        yield f"encoder weights {Path(config.encoder.checkpoint).name}", license_ or UNKNOWN
    if config.llm.path:
        name = config.llm.path if is_hub_id(config.llm.path) else Path(config.llm.path).name
        yield f"LLM {name}", read_license(config.llm.path)
    else:
        yield f"LLM {config.llm_name}", "trained from nothing by this run"


def read_license(path: str) -> str:
    """Read the license in the card of the model in a folder; that of a hub id is not looked up."""
    if is_hub_id(path):
        return f"that of https://huggingface.co/{path}"
    card = Path(path) / "README.md"
    try:
        data = ModelCard.load(card).data
    except Exception:  # the card of a stranger: missing, or no card at all
        return UNKNOWN
    return str(data.get("license_name") or data.get("license") or UNKNOWN)


def _read_base_licenses(folder: Path) -> str:
    """Licenses in the passport of a base, in one line."""
    for parent in (folder / "model", folder):
        try:
            saved = json.loads((parent / "passport.json").read_text(encoding="utf-8"))["licenses"]
            return "; ".join(f"{name}: {text}" for name, text in saved.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return read_license(str(folder))
