"""Encoder and projector of a saved model, built by name through the registry."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from spa3d.errors import CheckpointError, RegistryError
from spa3d.registry.registry import Registry


def create_part(registry: Registry, kind: str, entry: dict[str, Any], **widths: int) -> Any:
    """The part a saved model names, with fresh weights; what is missing is answered with what to do about it.

    Raises:
        CheckpointError: the plugin that brings the part is not there, or the part does not take its saved settings.

    """
    try:
        component = registry.get(kind, entry["name"])
    except RegistryError as error:
        hint = f"pip install {entry['distribution']}" if entry.get("distribution") else "is it the right model?"
        if entry.get("plugin"):
            file = str(entry["plugin"])
            argument = f"registry={file!r}" if file.endswith((".yaml", ".yml")) else f"plugins=[{file!r}]"
            hint = f"if you trust {file}, spa3d.load(folder, {argument}) loads it"
        origin = f"{entry.get('distribution', '')} {entry.get('version', '')}".strip() or str(entry.get("plugin", ""))
        raise CheckpointError(
            f"the model needs {kind} {entry['name']!r} of {origin}, which is not here; {hint}"
        ) from error
    try:
        return registry.target(component)(**widths, **entry["config"])
    except (ValidationError, TypeError) as error:
        raise CheckpointError(
            f"{kind} {entry['name']!r} does not take the settings of the saved model: {error}"
        ) from error
