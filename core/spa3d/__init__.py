"""spa3d: post-training and honest measurement of 3D multimodal LLMs.

``import spa3d`` imports neither torch nor transformers; what needs them is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spa3d.registry.component import Component, Preset, Weights
    from spa3d.registry.markers import hookimpl
    from spa3d.version import __version__

_LAZY = {
    "Benchmark": "spa3d.contracts.benchmark",
    "Cloud": "spa3d.data.formats.contract",
    "CloudEncoder": "spa3d.inference.cloud_encoder",
    "Component": "spa3d.registry.component",
    "ComponentConfig": "spa3d.contracts.config",
    "Conversation": "spa3d.contracts.dataset",
    "Dataset": "spa3d.contracts.dataset",
    "Detection": "spa3d.contracts.benchmark",
    "Draws": "spa3d.runtime.rng",
    "Encoder": "spa3d.contracts.encoder",
    "Examination": "spa3d.pipeline.doctor",
    "Fact": "spa3d.contracts.dataset",
    "Judge": "spa3d.contracts.judge",
    "Need": "spa3d.contracts.objective",
    "Noise": "spa3d.contracts.noise",
    "NoiseConfig": "spa3d.contracts.noise",
    "Objective": "spa3d.contracts.objective",
    "Ops": "spa3d.contracts.ops",
    "Prediction": "spa3d.contracts.benchmark",
    "Preset": "spa3d.registry.component",
    "Projector": "spa3d.contracts.projector",
    "Question": "spa3d.contracts.benchmark",
    "Record": "spa3d.contracts.dataset",
    "Repairs": "spa3d.data.doctor.repairs",
    "Round": "spa3d.contracts.dataset",
    "Score": "spa3d.contracts.objective",
    "Scores": "spa3d.contracts.objective",
    "Term": "spa3d.contracts.objective",
    "Twin": "spa3d.contracts.dataset",
    "Verdict": "spa3d.contracts.benchmark",
    "Weights": "spa3d.registry.component",
    "__version__": "spa3d.version",
    "available": "spa3d.registry.create",
    "build_questions": "spa3d.pipeline.build_questions",
    "compare": "spa3d.comparison.execute",
    "create": "spa3d.registry.create",
    "diff": "spa3d.comparison.paired.diff",
    "export": "spa3d.checkpoints.export",
    "evaluate": "spa3d.pipeline.evaluate_model",
    "examine": "spa3d.pipeline.doctor",
    "extract_features": "spa3d.pipeline.features",
    "hookimpl": "spa3d.registry.markers",
    "load": "spa3d.checkpoints.load",
    "load_encoder": "spa3d.inference.cloud_encoder",
    "load_weights": "spa3d.checkpoints.encoder_weights",
    "make_pairs": "spa3d.pipeline.execute",
    "predict": "spa3d.pipeline.predict",
    "read_cloud": "spa3d.data.formats.read",
    "repair": "spa3d.pipeline.repair",
    "run": "spa3d.pipeline.execute",
    "session": "spa3d.inference.session",
}

__all__ = ["Component", "Preset", "Weights", "__version__", "hookimpl", *_LAZY]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'spa3d' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__})
