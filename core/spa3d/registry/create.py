"""Components by name, built for a caller from Python."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from spa3d.errors import ConfigError
from spa3d.registry.fields import complaint, faults_of
from spa3d.registry.registry import load_registry

BUILD_ARGUMENTS = {"projector": ("dim", "hidden")}
"""What a constructor needs beside its Config: the widths of both sides of a projector."""


def available(kind: str) -> list[str]:
    """The names of `kind` that `create` can build here: components with all they require, and their presets."""
    registry = load_registry()
    return [name for name in registry.names(kind) if not registry.unmet(registry.get(kind, name))]


def create(kind: str, name_or_preset: str, **config: Any) -> Any:
    """Build a component with fresh weights; `config` overrides the preset's values and the Config's defaults.

    A projector is also given ``dim`` (width of the tokens) and ``hidden`` (width of the LLM).

    Raises:
        RegistryError: no such name.
        PluginError: it cannot be imported.
        ConfigError: an unknown field, or a value that its Config refuses.

    """
    registry = load_registry()
    resolved = registry.resolve(kind, name_or_preset)
    target = registry.target(resolved.component)
    needed = BUILD_ARGUMENTS.get(kind, ())
    absent = [name for name in needed if name not in config]
    if absent:
        raise ConfigError(f"{kind} {name_or_preset!r} needs {' and '.join(f'{name}=' for name in absent)}")
    widths = {name: config.pop(name) for name in needed}
    try:
        values = target.Config.model_validate({**resolved.config, **config}).model_dump()
    except ValidationError as error:
        what = f"{kind} {name_or_preset!r}"
        faults = [(".".join(map(str, fault["loc"])), complaint(target.Config, fault)) for fault in faults_of(error)]
        raise ConfigError([f"{what}: {place}: {fault}" for place, fault in faults]) from error
    return target(**widths, **values)
