"""Built-in components as one plugin package; their rows are in registry.yaml."""

from __future__ import annotations

from collections.abc import Iterable

from spa3d.registry.component import Component
from spa3d.registry.manifest import Manifest
from spa3d.registry.markers import hookimpl


@hookimpl
def spa3d_components(manifest: Manifest) -> Iterable[Component]:
    """Component rows of registry.yaml."""
    return manifest.rows()
