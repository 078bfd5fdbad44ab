"""What is computed once and kept beside the bases: prepared clouds, and the tokens of a frozen encoder."""

from __future__ import annotations

import os
from pathlib import Path

from spa3d.assemble import Assembly
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.passport import digest, hash_weights
from spa3d.store import RowStore
from spa3d.training.views import Clouds


def bases_folder() -> Path:
    """Where bases are shared: ``$SPA3D_BASES``, or ``runs/.bases``."""
    return Path(os.environ.get("SPA3D_BASES", "runs/.bases"))


def make_clouds(assembly: Assembly, processor: Spa3dProcessor) -> Clouds:
    """Prepared clouds, kept on disk beside the bases and shared by everything that prepares them alike."""
    config = assembly.config
    name = digest([assembly.dataset.fingerprint(), config.points.model_dump(), assembly.num_points])
    folder = bases_folder() / ".clouds" / name if config.cache else None
    limit = config.cache_limit_gb * 1e9
    return Clouds(assembly.dataset, processor, RowStore(folder, (assembly.num_points, 6), limit_bytes=limit))


def make_token_store(assembly: Assembly, model: Spa3dModel) -> RowStore | None:
    """The tokens of a frozen encoder by the hash of its weights, or None where it trains or the cache is off."""
    config = assembly.config
    if not config.cache or "encoder" in model.trained:
        return None
    clouds = digest([assembly.dataset.fingerprint(), config.points.model_dump(), assembly.num_points])
    name = digest([hash_weights(model.encoder.state_dict()), clouds, assembly.bf16])
    shape = (model.encoder.num_tokens(assembly.num_points), model.encoder.dim)
    return RowStore(bases_folder() / ".tokens" / name, shape, limit_bytes=config.cache_limit_gb * 1e9)
