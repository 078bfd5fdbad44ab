"""What messages tell about published weights: which file they are and where to get it. Nothing is downloaded."""

from __future__ import annotations

from spa3d.config.settings import RunConfig
from spa3d.registry.manifest import Manifest


def published_weights(manifest: Manifest, preset: str) -> str:
    """Which file holds the weights of an encoder's preset, and where it is had; empty where none are published."""
    found = manifest.presets.encoder.get(preset)
    if found is None or found.weights is None:
        return ""
    source = f", from {found.weights.url}" if found.weights.url else ""
    return f"the published weights of {preset} are {found.weights.file}{source}"


def not_given(config: RunConfig, manifest: Manifest) -> str:
    """That a run does without the published weights of its encoder; empty where it has them or there are none."""
    told = published_weights(manifest, config.encoder.preset)
    if not told or config.encoder.checkpoint or config.base.path:
        return ""
    return f"encoder {config.encoder.asked} starts from fresh weights: {told}; --encoder.checkpoint FILE reads them"
