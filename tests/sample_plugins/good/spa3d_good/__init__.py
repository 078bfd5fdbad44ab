"""Rows only: nothing here imports torch, so listing stays quick."""

from collections.abc import Iterable

from spa3d import Component, Preset, Weights, hookimpl


@hookimpl
def spa3d_components() -> Iterable[Component | Preset]:
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
    yield Preset(
        kind="encoder",
        name="slabs-narrow",
        component="slabs",
        summary="Two slabs of 16, with published weights",
        config={"slabs": 2, "width": 16},
        points={"missing_color": 0.4},
        weights=Weights("slabs.safetensors", "safetensors", "https://example.org/slabs", "CC-BY-4.0"),
    )
    yield Preset("noise", "mask-half", "mask", "The built-in noise at another level", {"level": 0.5})
