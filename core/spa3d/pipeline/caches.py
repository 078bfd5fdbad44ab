"""What is computed once and kept beside the bases: prepared clouds, and the tokens of a frozen encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spa3d.artifacts.hashing import digest, hash_sources, hash_weights
from spa3d.artifacts.sources import source_files
from spa3d.artifacts.workspace import bases_folder
from spa3d.contracts.dataset import Record
from spa3d.inference.prepared_clouds import Clouds
from spa3d.inference.views import Views
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.pipeline.parts import Assembly
from spa3d.runtime.row_store import RowStore


def make_clouds(assembly: Assembly, processor: Spa3dProcessor) -> Clouds:
    """Prepared clouds, kept on disk beside the bases and shared by everything that prepares them alike."""
    config = assembly.config
    folder = bases_folder() / ".clouds" / _clouds_key(assembly) if config.cache else None
    store = RowStore(folder, (assembly.num_points, 6), limit_bytes=config.cache_limit_gb * 1e9)
    needs = f"encoder {config.encoder.asked}"
    return Clouds(assembly.dataset, processor, store, min_points=assembly.min_points, asked_by=needs)


def make_token_store(assembly: Assembly, model: Spa3dModel) -> RowStore | None:
    """The tokens of a frozen encoder by all that decides them, or None where it trains or the cache is off."""
    config, encoder = assembly.config, model.encoder
    if not config.cache or "encoder" in model.trained:
        return None
    decides = [
        hash_weights(encoder.state_dict()),
        config.encoder.model_dump(include={"component", "config"}),
        hash_sources(source_files(type(encoder).__module__)),
        model.config.up_axis,
        assembly.bf16,
        assembly.device.type,
        _clouds_key(assembly),
    ]
    shape = (encoder.num_tokens(assembly.num_points), encoder.dim)
    return RowStore(bases_folder() / ".tokens" / digest(decides), shape, limit_bytes=config.cache_limit_gb * 1e9)


def reference_folder(assembly: Assembly, model: Spa3dModel) -> Path:
    """Where the scores lie, beside the bases, that `model`, as it is now, gives as a reference.

    It is no cache, so ``--no-cache`` and the limit leave it alone: once training has begun the rows cannot be made
    again.
    """
    chosen = {"encoder": assembly.config.encoder, "projector": assembly.config.projector}
    parts = [assembly.registry.target(assembly.registry.get(kind, one.component)) for kind, one in chosen.items()]
    decides = [
        hash_weights(model.state_dict()),
        model.config.to_diff_dict(),
        hash_sources(source_files(type(model).__module__, *(part.__module__ for part in parts))),
        assembly.bf16,
        assembly.device.type,
        _clouds_key(assembly),
    ]
    return bases_folder() / ".reference" / digest(decides)


def noise_mark(assembly: Assembly) -> str:
    """Hash of the code of the noise: an edited plugin must not meet what it made before."""
    return hash_sources(source_files(type(assembly.noise).__module__))


def _clouds_key(assembly: Assembly) -> str:
    """Hash of what decides a prepared cloud, and of the fewest points that were asked of its record."""
    sources = hash_sources(source_files("spa3d.data.preparation", type(assembly.dataset).__module__))
    return digest([assembly.dataset.fingerprint(), assembly.preparation(), assembly.min_points, sources])


def make_views(
    assembly: Assembly, model: Spa3dModel, processor: Spa3dProcessor, others: Sequence[Record] = ()
) -> Views:
    """What the model is shown in this run: its clouds, noise, seed and caches."""
    return Views(
        model,
        make_clouds(assembly, processor),
        make_token_store(assembly, model),
        noise=assembly.noise,
        seed=assembly.config.seed,
        others=others,
        mark=noise_mark(assembly),
    )
