"""run.yaml: settings of a file, each with its line number."""

from __future__ import annotations

from pathlib import Path

from spa3d.config.sources import Source, read_source
from spa3d.errors import ConfigError
from spa3d.registry.located_yaml import read_located


def read_run_file(path: Path) -> Source:
    """Read a run.yaml, or the ``config.yaml`` that a run saved.

    Raises:
        ConfigError: the file cannot be read or is not YAML. Errors of single values are listed in the source.

    """
    located = read_located(path, ConfigError)
    return read_source(located.values, located.location)
