"""Encoder and projector of a saved model, built by name through the registry."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from spa3d.errors import CheckpointError, Note, RegistryError
from spa3d.registry.fields import describe_error, errors_of
from spa3d.registry.plugins import Origin
from spa3d.registry.registry import Registry


def create_part(registry: Registry, kind: str, entry: dict[str, Any], **widths: int) -> Any:
    """Create a part of a saved model with fresh weights; an error names a missing plugin.

    Raises:
        CheckpointError: the plugin of the part is missing, or the part rejects its saved settings.

    """
    try:
        component = registry.get(kind, entry["name"])
    except RegistryError as error:
        # Never a command to install what a model names: anybody can publish a package of any name.
        hint = "ask its authors where to get it" if entry.get("distribution") else "is it the right model?"
        if entry.get("plugin"):
            file = str(entry["plugin"])
            argument = f"registry={file!r}" if file.endswith((".yaml", ".yml")) else f"plugins=[{file!r}]"
            hint = f"if you trust {file}, spa3d.load(folder, {argument}) loads it"
        origin = f"{entry.get('distribution', '')} {entry.get('version', '')}".strip() or str(entry.get("plugin", ""))
        raise CheckpointError(
            f"the model needs {kind} {entry['name']!r} of {origin}, which is not here; {hint}"
        ) from error
    _note_other_version(registry.origin(component), kind, entry)
    try:
        return registry.target(component)(**widths, **entry["config"])
    except (ValidationError, TypeError) as error:
        raise CheckpointError(
            f"{kind} {entry['name']!r} does not take the settings of the saved model: {error}"
        ) from error


def describe_part(registry: Registry, kind: str, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Entry of a part in the configuration of a saved model.

    Args:
        registry: source of the part.
        kind: ``encoder`` or ``projector``.
        name: of a component, or of a preset, whose values `values` override.
        values: fields of the component's Config; defaults for those left out.

    Raises:
        CheckpointError: the part does not take these values.

    """
    resolved = registry.resolve(kind, name)
    component = resolved.component
    origin, model = registry.origin(component), registry.target(component).Config
    try:
        config = model.model_validate({**resolved.config, **values})
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(map(str, each['loc']))} {describe_error(model, each)}" for each in errors_of(error)
        )
        raise CheckpointError(f"{kind} {name!r} does not take the settings of the model: {reasons.strip()}") from error
    entry = {
        "name": component.name,
        "distribution": origin.distribution,
        "version": origin.version,
        "config": json.loads(json.dumps(config.model_dump(mode="json"))),  # tuples become lists, as in a file
    }
    return entry if origin.distribution else {**entry, "plugin": origin.plugin}


def _note_other_version(origin: Origin, kind: str, entry: dict[str, Any]) -> None:
    """Note that a part was saved by another package or version than the one that is here."""
    saved, here = (
        f"{distribution} {version}".strip()
        for distribution, version in (
            (entry.get("distribution"), entry.get("version")),
            (origin.distribution, origin.version),
        )
    )
    if entry.get("distribution") and here and saved != here:
        text = f"{kind} {entry['name']!r}: the model was saved with {saved}, and here is {here}; its answers may differ"
        warnings.warn(Note(text), stacklevel=3)
