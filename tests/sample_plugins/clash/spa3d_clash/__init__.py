"""A plugin whose noise has the name of a built-in one."""

from collections.abc import Iterable

from spa3d import Component, hookimpl


@hookimpl
def spa3d_components() -> Iterable[Component]:
    yield Component("noise", "mask", "spa3d_clash:Mask", "Another mask")
