"""run.yaml: settings in a file, each with its line."""

from __future__ import annotations

from pathlib import Path

from spa3d.config.sources import Source, read_source
from spa3d.errors import ConfigError
from spa3d.registry.located_yaml import read_located


def read_run_file(path: Path) -> Source:
    """Read a run.yaml, or the ``config.yaml`` that a run saved.

    Raises:
        ConfigError: the file cannot be read or is no YAML; what is wrong with single values stands in the source.

    """
    located = read_located(path, ConfigError)
    return read_source(located.values, located.location)
