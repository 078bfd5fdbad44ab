"""What a plugin may say to spa3d. One hook; a second comes with the first plugin that needs it."""

from __future__ import annotations

from collections.abc import Iterable

from spa3d.component import Component
from spa3d.markers import hookspec


@hookspec
def spa3d_components() -> Iterable[Component]:
    """Yield the rows of the components this plugin brings.

    Called once while the registry is built. Rows are data: do not import torch, nor the components, to make
    them; then listing stays quick and works where an optional dependency is missing.
    """
    raise AssertionError("a specification is never called")
