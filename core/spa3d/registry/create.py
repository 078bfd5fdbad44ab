"""Public functions that list and build components by name."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from spa3d.errors import ConfigError
from spa3d.registry.fields import describe_error, errors_of
from spa3d.registry.kinds import kind_spec
from spa3d.registry.registry import load_registry


def available(kind: str) -> list[str]:
    """List the components and presets of `kind` whose requirements are installed."""
    registry = load_registry()
    return [name for name in registry.names(kind) if not registry.describe_unmet(registry.get(kind, name))]


def create(kind: str, name_or_preset: str, **config: Any) -> Any:
    """Build a component with fresh weights; `config` overrides preset and default values.

    A projector also needs ``dim`` (width of the tokens) and ``hidden`` (width of the LLM).

    Raises:
        RegistryError: the name is unknown.
        PluginError: the component cannot be imported.
        ConfigError: a field is unknown, or its value is not allowed.

    """
    registry = load_registry()
    resolved = registry.resolve(kind, name_or_preset)
    target = registry.target(resolved.component)
    names = kind_spec(kind).build_arguments
    missing = [name for name in names if name not in config]
    if missing:
        raise ConfigError(f"{kind} {name_or_preset!r} needs {' and '.join(f'{name}=' for name in missing)}")
    arguments = {name: config.pop(name) for name in names}
    try:
        values = target.Config.model_validate({**resolved.config, **config}).model_dump()
    except ValidationError as error:
        errors = [(".".join(map(str, each["loc"])), describe_error(target.Config, each)) for each in errors_of(error)]
        raise ConfigError([f"{kind} {name_or_preset!r}: {field}: {text}" for field, text in errors]) from error
    return target(**arguments, **values)
