"""The passport of a run: everything that decides its numbers."""

from __future__ import annotations

import time
from pathlib import Path

from spa3d.artifacts.environment import machine, revision, versions
from spa3d.artifacts.workspace import Workspace
from spa3d.config.settings import RunConfig
from spa3d.pipeline.base import Base
from spa3d.pipeline.caches import Caches
from spa3d.pipeline.parts import Parts


def make_passport(config: RunConfig, caches: Caches, base: Base, components: dict[str, str]) -> dict[str, object]:
    """The passport of a run before its work begins; the weights it ends with are added to it later.

    Args:
        config: of the run.
        caches: its components, where they compute, and their fingerprints.
        base: that post-training starts from.
        components: who brings each component.

    """
    parts, execution, fingerprints = caches.parts, caches.execution, caches.fingerprints
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "base": base.key,
        "data": fingerprints.data,
        "sources": fingerprints.sources,
        "revision": revision(),
        "versions": versions(),
        "machine": machine(execution.device),
        "components": components,
        "clouds": {
            **parts.preparation,
            "inputs": list(parts.inputs),
            "up_axis": parts.dataset.up_axis,
            "ops": [type(backend).__name__ for backend in execution.ops],
        },
        "encoder_weights": _given_weights(parts, execution.workspace),
        "plugins": list(config.plugins),
        "registry": _added_registry(config, execution.workspace),
        "seeds": {"run": config.seed, "base": config.base.seed, "questions": config.evaluate.seed},
    }


def _added_registry(config: RunConfig, workspace: Workspace) -> dict[str, str] | None:
    """The file of ``--registry``, if there is one."""
    if not config.registry:
        return None
    return {"file": config.registry, "hash": workspace.hash_files([Path(config.registry)])}


def _given_weights(parts: Parts, workspace: Workspace) -> dict[str, str] | None:
    """The published weights that the encoder was given, if it was."""
    weights = parts.encoder_weights
    if weights is None:
        return None
    return {"file": weights.source.name, "layout": weights.layout, "hash": workspace.hash_files(weights.files)}
