"""What decides the numbers of a run, gathered for its passport."""

from __future__ import annotations

import time

from spa3d.artifacts.environment import machine, revision, versions
from spa3d.artifacts.hashing import hash_files, hash_sources
from spa3d.artifacts.sources import source_files
from spa3d.pipeline.base import Base
from spa3d.pipeline.parts import Assembly


def passport_of(assembly: Assembly, base: Base) -> dict[str, object]:
    """What goes into a run's passport before its work begins; the weights it ends with are added to it later."""
    config = assembly.config
    parts = (assembly.noise, assembly.objective, *assembly.benchmarks.values())
    modules = ("spa3d.pipeline.post_train", "spa3d.evaluation.evaluate", *(type(part).__module__ for part in parts))
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "base": base.key,
        "data": assembly.dataset.fingerprint(),
        "sources": hash_sources([*assembly.sources(), *source_files(*modules)]),
        "revision": revision(),
        "versions": versions(),
        "machine": machine(assembly.device),
        "components": assembly.owners(),
        "clouds": {
            **assembly.preparation(),
            "inputs": list(assembly.inputs),
            "up_axis": assembly.dataset.up_axis,
            "ops": [type(backend).__name__ for backend in assembly.ops],
        },
        "encoder_weights": _weights_given(assembly),
        "plugins": list(config.plugins),
        "seeds": {"run": config.seed, "base": config.base.seed, "questions": config.evaluate.seed},
    }


def _weights_given(assembly: Assembly) -> dict[str, str] | None:
    """The published weights that the encoder was given, if it was."""
    weights = assembly.weights
    if weights is None:
        return None
    return {"file": weights.source.name, "layout": weights.layout, "hash": hash_files(weights.files)}
