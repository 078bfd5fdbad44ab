"""The passport of a run: a record of everything that determines its numbers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from spa3d.artifacts.environment import machine, revision, versions
from spa3d.artifacts.workspace import Workspace
from spa3d.checkpoints.load import describe
from spa3d.config.settings import RunConfig
from spa3d.contracts.dataset import Record
from spa3d.model.llm import llm_config
from spa3d.model.precision import read_dtype
from spa3d.pipeline.assemble import owners
from spa3d.pipeline.base import Base
from spa3d.pipeline.caches import Caches
from spa3d.pipeline.licenses import find_licenses
from spa3d.pipeline.parts import Parts
from spa3d.pipeline.training_clouds import describe_training_clouds
from spa3d.registry.registry import Registry


def make_passport(
    config: RunConfig, registry: Registry, caches: Caches, base: Base, records: Sequence[Record] = ()
) -> dict[str, object]:
    """Make the passport of a run before its work; hashes of the final weights are added later.

    Args:
        config: of the run.
        registry: source of its components.
        caches: hold its components, execution and fingerprints.
        base: the base of post-training.
        records: the training records; some of their clouds are measured. None are without any.

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
        "components": owners(config, registry),
        "licenses": find_licenses(config, registry),
        "clouds": {
            **parts.preparation,
            "inputs": list(parts.inputs),
            "up_axis": parts.dataset.up_axis,
            "ops": [type(backend).__name__ for backend in execution.ops],
            "training": None if config.blind else describe_training_clouds(parts.dataset, records),
        },
        "llm_dtype": _read_llm_dtype(config, base),
        "encoder_weights": _describe_encoder_weights(parts, execution.workspace),
        "plugins": list(config.plugins),
        "registry": _describe_registry(config, execution.workspace),
        "seeds": {"run": config.seed, "base": config.base.seed, "questions": config.evaluate.seed},
    }


def _read_llm_dtype(config: RunConfig, base: Base) -> str:
    """Read the data type in which the LLM of this run was stored."""
    if config.base.path:
        return read_dtype(describe(base.model_folder))
    return read_dtype(llm_config(config.llm)) if config.llm.path else "float32"


def _describe_registry(config: RunConfig, workspace: Workspace) -> dict[str, str] | None:
    """Name and hash of the file of ``--registry``; None without it."""
    if not config.registry:
        return None
    return {"file": config.registry, "hash": workspace.hash_files([Path(config.registry)])}


def _describe_encoder_weights(parts: Parts, workspace: Workspace) -> dict[str, str] | None:
    """Name, layout and hash of the file of ``--encoder.checkpoint``; None without it."""
    weights = parts.encoder_weights
    if weights is None:
        return None
    return {"file": weights.source.name, "layout": weights.layout, "hash": workspace.hash_files(weights.files)}
