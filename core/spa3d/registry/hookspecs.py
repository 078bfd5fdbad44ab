"""What a plugin may say to spa3d. One hook; a second comes with the first plugin that needs it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from spa3d.registry.component import Component, Preset
from spa3d.registry.markers import hookspec

if TYPE_CHECKING:
    from spa3d.registry.manifest import Manifest


@hookspec
def spa3d_components(manifest: Manifest) -> Iterable[Component | Preset]:
    """Yield the rows of the components and presets this plugin brings.

    Called once while the registry is built. Rows are data: do not import torch, nor the components, to make
    them; then listing stays quick and works where an optional dependency is missing.

    Args:
        manifest: the registry.yaml in use, from which the built-in plugin takes its rows. A hook takes only the
            arguments it names, so a third party's is ``def spa3d_components():``.

    """
    raise AssertionError("a specification is never called")
