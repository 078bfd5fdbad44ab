"""Hook specifications of plugins; there is one hook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from spa3d.registry.component import Component, Preset
from spa3d.registry.markers import hookspec

if TYPE_CHECKING:
    from spa3d.registry.manifest import Manifest


@hookspec
def spa3d_components(manifest: Manifest) -> Iterable[Component | Preset]:
    """Yield the rows of the components and presets of this plugin.

    Called once while the registry is built. Rows are data: do not import torch or the components to make them. Then
    listing is fast and works without optional dependencies.

    Args:
        manifest: the registry.yaml in use; the built-in plugin reads its rows from it. A hook may leave out arguments,
            so a third party writes ``def spa3d_components():``.

    """
    raise AssertionError("a specification is never called")
