"""Loads published weights into an encoder; if they do not fit, names the presets that do.

The files are those of ULIP and PointLLM (README, *Your own weights*), models that spa3d saved, and bare state dicts.
The names of the tensors show which of them are the encoder's. Nothing is loaded unless everything fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from spa3d.checkpoints.tensor_files import files_of, read_tensors, shorten_name
from spa3d.errors import CheckpointError
from spa3d.registry.registry import Registry, load_registry

Shapes = Mapping[str, tuple[int, ...]]

PREFIXES = {
    "ULIP": ("module.point_encoder.", "point_encoder."),
    "PointLLM": ("model.point_backbone.", "module.model.point_backbone.", "point_backbone."),
}
"""Prefixes of an encoder's tensor names, by layout. PointLLM's point_bert files are in ULIP's."""
SAVED = "encoder."
"""The same in a model that spa3d saved, which also holds a language model."""
BESIDE = "language_model."
COUNTS = "num_batches_tracked"
"""Number of training batches of a normalization layer. It is not used here; files from before 2018 lack it."""
NUMBERS = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)
"""Types that a tensor may have. Floats of fewer bits need scales, which are not read here."""
LAYOUTS = "a ULIP or PointLLM file, a model saved by spa3d, or the bare state dict of an encoder"


@dataclass(frozen=True)
class LoadedWeights:
    """Weights that were loaded into an encoder: their source and layout.

    Attributes:
        source: the requested file or folder.
        layout: ``ULIP``, ``PointLLM``, ``spa3d`` or ``bare``.
        files: the files that the weights came from.
        tensors: number of tensors.

    """

    source: Path
    layout: str
    files: tuple[Path, ...]
    tensors: int

    def __str__(self) -> str:
        return f"{self.source} ({self.layout} layout, {self.tensors} tensors)"


def load_weights(
    encoder: nn.Module,
    path: str | Path,
    *,
    name: str = "",
    registry: Registry | None = None,
    run_preset: str = "",
) -> LoadedWeights:
    """Load published weights into `encoder`: all of them, or none; cast to the encoder's dtype.

    Args:
        encoder: its ``state_dict`` gives the expected names and shapes.
        path: a file, or the folder of a model (saved by spa3d, or PointLLM's); see the module.
        name: name of the encoder in messages; empty: its class.
        registry: searched for a preset that fits; None: shipped and installed components.
        run_preset: the run preset that these encoder presets are resolved under.

    Raises:
        CheckpointError: the file cannot be read, holds no encoder or another one, or holds NaN or infinities.

    """
    source = Path(path)
    tensors, expected = read_tensors(source), encoder.state_dict()
    layout, names = _locate_tensors(tensors, expected)
    weights = {key: _check_plain(tensors[stored], source, stored) for key, stored in names.items()}
    mismatches = _find_mismatches(weights, expected)
    if mismatches:
        shapes = {key: tuple(tensor.shape) for key, tensor in weights.items()}
        fits = find_fitting(shapes, registry or load_registry(), run_preset=run_preset)
        if not weights or (layout == "bare" and not fits and not expected.keys() & weights.keys()):
            raise CheckpointError(f"{source}: holds no encoder, only {_summarize_names(tensors)}; possible: {LAYOUTS}")
        what = name or type(encoder).__name__
        raise CheckpointError(
            f"{source}: its weights ({layout} layout) are not those of encoder {what}: {'; '.join(mismatches)}. "
            f"{_suggest_fits(fits)}"
        )
    converted = {key: tensor.to(expected[key].dtype) for key, tensor in weights.items()}
    _check_finite(source, converted)
    encoder.load_state_dict({**expected, **converted})
    return LoadedWeights(source, layout, files_of(source, tensors, names.values()), len(converted))


def find_fitting(shapes: Shapes, registry: Registry, *, run_preset: str = "") -> list[str]:
    """Names of the encoder presets with exactly these weights, or else of the components.

    Names and shapes of the weights are compared, batch counts of normalizations left out.
    """
    expected = _drop_counts(shapes)
    preset = run_preset if run_preset in registry.manifest.presets.run else None
    fits = [name for name in registry.names("encoder") if _encoder_shapes(registry, name, preset) == expected]
    return [name for name in fits if name in registry.manifest.presets.of_kind("encoder")] or fits


def _encoder_shapes(registry: Registry, name: str, run_preset: str | None) -> Shapes | None:
    """Names and shapes of the weights of encoder `name`; None if it cannot be built."""
    try:
        resolved = registry.resolve("encoder", name, run_preset=run_preset)
        with torch.device("meta"):
            encoder = registry.target(resolved.component)(**resolved.config)
    except Exception:  # an encoder that cannot be built is no candidate
        return None
    return _drop_counts({key: tuple(tensor.shape) for key, tensor in encoder.state_dict().items()})


def _drop_counts(shapes: Shapes) -> Shapes:
    return {key: shape for key, shape in shapes.items() if not key.endswith(COUNTS)}


def _locate_tensors(names: Collection[str], own: Collection[str]) -> tuple[str, dict[str, str]]:
    """Find the layout, and for each tensor of the encoder its name in the file."""
    for layout, prefixes in PREFIXES.items():
        for prefix in prefixes:
            if any(name.startswith(prefix) for name in names):
                return layout, _strip_prefix(prefix, names)
    if any(name.startswith(BESIDE) for name in names):
        return "spa3d", _strip_prefix(SAVED, names)
    whole = [prefix for prefix in ("", "module.", SAVED) if all(name.startswith(prefix) for name in names)]
    return "bare", max(
        (_strip_prefix(prefix, names) for prefix in whole), key=lambda stored: len(set(own) & stored.keys())
    )


def _strip_prefix(prefix: str, names: Iterable[str]) -> dict[str, str]:
    return {name.removeprefix(prefix): name for name in names if name.startswith(prefix)}


def _check_plain(tensor: Tensor, source: Path, name: str) -> Tensor:
    """Return `tensor` if a parameter can be made of it; else raise `CheckpointError`."""
    odd = tensor.is_nested or tensor.layout is not torch.strided or tensor.is_meta
    if odd or tensor.dtype not in NUMBERS:
        what = "sparse, nested or without content" if odd else str(tensor.dtype).removeprefix("torch.")
        raise CheckpointError(
            f"{source}: {shorten_name(name)} is no plain tensor of numbers ({what}); save the weights as plain floats"
        )
    return tensor


def _find_mismatches(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """Describe missing and unexpected weights, and weights of another shape or kind, in short."""
    missing = [shorten_name(key) for key in expected if key not in weights and not key.endswith(COUNTS)]
    unexpected = [shorten_name(key) for key in weights if key not in expected]
    common = [(shorten_name(key), weights[key], expected[key]) for key in expected if key in weights]
    shapes = [f"{key}: {tuple(a.shape)} there, {tuple(b.shape)} here" for key, a, b in common if a.shape != b.shape]
    kinds = [
        f"{key}: {a.dtype} there, {b.dtype} here"
        for key, a, b in common
        if a.dtype == torch.bool or a.is_floating_point() != b.is_floating_point()
    ]
    groups = {"missing": missing, "unexpected": unexpected, "of another shape": shapes, "of another kind": kinds}
    return [f"{len(keys)} {what} ({_shorten(keys)})" for what, keys in groups.items() if keys]


def _check_finite(source: Path, weights: Mapping[str, Tensor]) -> None:
    broken = [key for key, tensor in weights.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(
            f"{source}: NaN or infinite values in {len(broken)} of its {len(weights)} tensors ({_shorten(broken)}); "
            f"the file is damaged, or its training diverged; download it again, or use another file"
        )


def _suggest_fits(fits: list[str]) -> str:
    if not fits:
        return "No installed encoder or preset has these weights; tools/list encoder shows all of them"
    return f"They fit {' or '.join(f'--encoder {name}' for name in fits)}, with the settings it comes with"


def _summarize_names(names: Iterable[str]) -> str:
    """Summarize a file by the first two parts of its names: ``model.layers (290), lm_head (1)``."""
    counted = Counter(".".join(name.split(".")[:-1][:2]) or name for name in names)
    parts = [f"{shorten_name(start)} ({count})" for start, count in counted.most_common(5)]
    return ", ".join(parts) + (", …" if len(counted) > len(parts) else "") or "nothing"


def _shorten(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
