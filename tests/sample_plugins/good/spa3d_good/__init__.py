"""Rows only: nothing here imports torch, so listing stays quick."""

from collections.abc import Iterable

from spa3d import Component, hookimpl


@hookimpl
def spa3d_components() -> Iterable[Component]:
    yield Component(
        kind="encoder",
        name="slabs",
        target="spa3d_good.slabs:Slabs",
        summary="Cuts the cloud into slabs along the up axis; one token per slab",
        requires=("torch",),
        license="MIT",
    )
    yield Component(
        kind="noise",
        name="jitter",
        target="spa3d_good.jitter:Jitter",
        summary="Moves every point by Gaussian noise of `level` radii",
        requires=("torch",),
    )
    yield Component(
        kind="objective",
        name="margin",
        target="spa3d_good.margin:Margin",
        summary="Token NLL and a hinge: clean must beat noised by a margin",
        requires=("torch",),
    )
