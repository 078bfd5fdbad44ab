"""Command line of a run: argv and run.yaml to one configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spa3d.config.choices import Choices, choose
from spa3d.config.overrides import Arguments, scan_run, source_of_flags
from spa3d.config.resolve import load_registry_of, resolve_choices
from spa3d.config.run_file import read_run_file
from spa3d.config.settings import RunConfig
from spa3d.config.sources import Source
from spa3d.errors import ConfigError
from spa3d.registry.registry import Registry


@dataclass(frozen=True)
class Invocation:
    """A parsed command line."""

    config: RunConfig
    registry: Registry
    output: Path | None
    resume: bool
    dry_run: bool


def parse(argv: Sequence[str]) -> Invocation:
    """Parse the arguments of ``spa3d run``.

    Raises:
        ConfigError: every error of flags and YAML, one line each.
        RegistryError: the registry itself cannot be used.
        PluginError: a ``--plugin`` cannot be loaded.

    """
    return parse_arguments(scan_run(argv))


def parse_arguments(arguments: Arguments) -> Invocation:
    """Parse arguments that are already split into flags; raises the same errors as `parse`."""
    choices = read(arguments)
    config = resolve_choices(choices)
    output = arguments.value("output")
    return Invocation(
        config,
        choices.registry,
        output=Path(output) if output else None,
        resume=arguments.has("resume"),
        dry_run=arguments.has("dry-run"),
    )


def read(arguments: Arguments) -> Choices:
    """Read the chosen names: flags override the run.yaml of ``--config``.

    Raises:
        ConfigError: the run.yaml cannot be read. Errors in its values and in flags are listed in the choices.
        RegistryError: the registry itself cannot be used.
        PluginError: a ``--plugin`` cannot be loaded.

    """
    sources = (_read_file(arguments), _read_flags(arguments))
    return choose(sources, load_registry_of(*sources))


def _read_file(arguments: Arguments) -> Source:
    path = arguments.value("config")
    if not path:
        return Source({})
    if not Path(path).is_file():
        raise ConfigError(f"--config {path}: no such file; to start, copy the config.yaml of a run")
    return read_run_file(Path(path))


def _read_flags(arguments: Arguments) -> Source:
    source = source_of_flags(arguments.flags)
    words = [
        f"{word!r} is not expected here; a flag begins with -- and its value follows it" for word in arguments.words
    ]
    return replace(source, errors=(*arguments.errors, *words, *source.errors))
