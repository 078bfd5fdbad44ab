"""Caches of clouds, tokens and reference scores in the workspace, and views on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spa3d.artifacts.hashing import digest, hash_weights
from spa3d.contracts.dataset import Record
from spa3d.inference.prepared_clouds import PreparedClouds
from spa3d.inference.views import ViewEncoder, Views, built_in_views
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.pipeline.parts import Execution, Fingerprints, Parts
from spa3d.runtime.row_store import RowStore


@dataclass(frozen=True)
class Caches:
    """Opens the caches of a run for its models.

    Attributes:
        parts: the components of the run.
        execution: device and workspace; says whether caches are on.
        fingerprints: of the run; they name the caches.

    """

    parts: Parts
    execution: Execution
    fingerprints: Fingerprints

    def clouds(self, processor: Spa3dProcessor) -> PreparedClouds:
        """Prepared clouds, shared by all runs with the same preparation."""
        parts, limit = self.parts, self.execution.cache_limit_bytes
        folder = None if limit is None else self.execution.workspace.clouds(self.fingerprints.clouds)
        store = RowStore(folder, (parts.num_points, 6), limit_bytes=limit or 0)
        needs = f"encoder {parts.names['encoder']}"
        return PreparedClouds(parts.dataset, processor, store, min_points=parts.min_points, requested_by=needs)

    def tokens(self, model: Spa3dModel) -> RowStore | None:
        """Tokens of a frozen encoder; None if the encoder trains or caches are off."""
        encoder, limit = model.encoder, self.execution.cache_limit_bytes
        if limit is None or "encoder" in model.trained:
            return None
        name = digest([hash_weights(encoder.state_dict()), self.fingerprints.tokens])
        shape = (encoder.num_tokens(self.parts.num_points), encoder.dim)
        return RowStore(self.execution.workspace.tokens(name), shape, limit_bytes=limit)

    def reference(self, model: Spa3dModel) -> Path:
        """Folder of the reference scores of `model` with its present weights.

        ``--no-cache`` and the size limit do not apply here: after the first training step the scores cannot be
        computed again.
        """
        decisive = [hash_weights(model.state_dict()), model.config.to_diff_dict(), self.fingerprints.reference]
        return self.execution.workspace.reference(digest(decisive))

    def encoder(self, model: Spa3dModel, processor: Spa3dProcessor) -> ViewEncoder:
        """The view encoder of `model`."""
        return ViewEncoder(model, self.clouds(processor), self.tokens(model))

    def views(self, model: Spa3dModel, processor: Spa3dProcessor, *, seed: int, others: Sequence[Record] = ()) -> Views:
        """The built-in views of `model` with the run's noise; ``other`` draws from `others`."""
        return built_in_views(
            self.encoder(model, processor),
            noise=self.parts.noise,
            seed=seed,
            others=others,
            noise_fingerprint=self.fingerprints.noise,
        )
