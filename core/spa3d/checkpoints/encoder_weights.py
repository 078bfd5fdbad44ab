"""Published weights into an encoder: which tensors of a file are the encoder's, whether they fit, and what would.

The files are those of ULIP and PointLLM (README, *Your own weights*), models that spa3d saved, and bare state dicts.
Where the encoder stands in a file shows in the names of its tensors. Nothing is loaded unless everything fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from spa3d.checkpoints.tensor_files import files_of, read_tensors, shown
from spa3d.errors import CheckpointError
from spa3d.registry.registry import Registry, load_registry

Shapes = Mapping[str, tuple[int, ...]]

PREFIXES = {
    "ULIP": ("module.point_encoder.", "point_encoder."),
    "PointLLM": ("model.point_backbone.", "module.model.point_backbone.", "point_backbone."),
}
"""What the names of an encoder's tensors begin with, by layout. PointLLM's point_bert files are in ULIP's."""
SAVED = "encoder."
"""The same in a model that spa3d saved, where a language model stands beside the encoder."""
BESIDE = "language_model."
COUNTS = "num_batches_tracked"
"""How often a normalization was trained: nothing here reads it, and files of before 2018 do not have it."""
NUMBERS = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)
"""What a tensor may hold; floats of fewer bits mean nothing without the scales that go with them."""
LAYOUTS = "a ULIP or PointLLM file, a model saved by spa3d, or the bare state dict of an encoder"


@dataclass(frozen=True)
class Loaded:
    """What was loaded into an encoder.

    Attributes:
        source: the file or folder that was asked for.
        layout: ``ULIP``, ``PointLLM``, ``spa3d`` or ``bare``.
        files: the files that the weights came from.
        tensors: how many tensors.

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
) -> Loaded:
    """Load published weights into `encoder`, all or none of them; half precision becomes the encoder's own.

    Args:
        encoder: whose ``state_dict`` says which names and shapes there must be.
        path: a file, or the folder of a model (saved by spa3d, or PointLLM's); see the module.
        name: what the encoder is called in messages; empty: its class.
        registry: where a preset that would fit is looked for; None: what ships and what is installed.
        run_preset: under which these presets would be chosen.

    Raises:
        CheckpointError: the file cannot be read, holds no encoder, holds another one, or holds NaN or infinities.

    """
    source = Path(path)
    tensors, own = read_tensors(source), encoder.state_dict()
    layout, places = _places(tensors, own)
    given = {key: _plain(tensors[place], source, place) for key, place in places.items()}
    told = _misfits(given, own)
    if told:
        shapes = {key: tuple(tensor.shape) for key, tensor in given.items()}
        fits = fitting(shapes, registry or load_registry(), run_preset=run_preset)
        if not given or (layout == "bare" and not fits and not own.keys() & given.keys()):
            raise CheckpointError(f"{source}: holds no encoder, only {_summary(tensors)}; possible: {LAYOUTS}")
        what = name or type(encoder).__name__
        raise CheckpointError(
            f"{source}: its weights ({layout} layout) are not those of encoder {what}: {'; '.join(told)}. {_cure(fits)}"
        )
    ready = {key: tensor.to(own[key].dtype) for key, tensor in given.items()}
    _refuse_broken(source, ready)
    encoder.load_state_dict({**own, **ready})
    return Loaded(source, layout, files_of(source, tensors, places.values()), len(ready))


def fitting(shapes: Shapes, registry: Registry, *, run_preset: str = "") -> list[str]:
    """The presets of encoders whose weights have exactly these names and shapes, or else the components that do."""
    wanted = _counted_out(shapes)
    known = run_preset if run_preset in registry.manifest.presets.run else None
    fits = [name for name in registry.names("encoder") if _shapes_of(registry, name, known) == wanted]
    return [name for name in fits if name in registry.manifest.presets.of("encoder")] or fits


def _shapes_of(registry: Registry, name: str, run_preset: str | None) -> Shapes | None:
    """Names and shapes of the weights of an encoder as `name` makes it, without making them; None where it cannot."""
    try:
        resolved = registry.resolve("encoder", name, run_preset=run_preset)
        with torch.device("meta"):
            encoder = registry.target(resolved.component)(**resolved.config)
    except Exception:  # somebody's encoder that does not build is not what this is about
        return None
    return _counted_out({key: tuple(tensor.shape) for key, tensor in encoder.state_dict().items()})


def _counted_out(shapes: Shapes) -> Shapes:
    return {key: shape for key, shape in shapes.items() if not key.endswith(COUNTS)}


def _places(names: Collection[str], own: Collection[str]) -> tuple[str, dict[str, str]]:
    """The layout, and for each tensor of the encoder its name in the file."""
    for layout, prefixes in PREFIXES.items():
        for prefix in prefixes:
            if any(name.startswith(prefix) for name in names):
                return layout, _below(prefix, names)
    if any(name.startswith(BESIDE) for name in names):
        return "spa3d", _below(SAVED, names)
    whole = [prefix for prefix in ("", "module.", SAVED) if all(name.startswith(prefix) for name in names)]
    return "bare", max((_below(prefix, names) for prefix in whole), key=lambda places: len(set(own) & places.keys()))


def _below(prefix: str, names: Iterable[str]) -> dict[str, str]:
    return {name.removeprefix(prefix): name for name in names if name.startswith(prefix)}


def _plain(tensor: Tensor, source: Path, name: str) -> Tensor:
    """`tensor`, if it is one that a parameter can be made of."""
    odd = tensor.is_nested or tensor.layout is not torch.strided or tensor.is_meta
    if odd or tensor.dtype not in NUMBERS:
        what = "sparse, nested or without content" if odd else str(tensor.dtype).removeprefix("torch.")
        raise CheckpointError(
            f"{source}: {shown(name)} is no plain tensor of numbers ({what}); save the weights as plain floats"
        )
    return tensor


def _misfits(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """In words, each list cut short: what is missing, what is too much, what has another shape or kind."""
    missing = [shown(key) for key in own if key not in given and not key.endswith(COUNTS)]
    unexpected = [shown(key) for key in given if key not in own]
    both = [(shown(key), given[key], own[key]) for key in own if key in given]
    shapes = [f"{key}: {tuple(a.shape)} there, {tuple(b.shape)} here" for key, a, b in both if a.shape != b.shape]
    kinds = [
        f"{key}: {a.dtype} there, {b.dtype} here"
        for key, a, b in both
        if a.dtype == torch.bool or a.is_floating_point() != b.is_floating_point()
    ]
    told = {"missing": missing, "unexpected": unexpected, "of another shape": shapes, "of another kind": kinds}
    return [f"{len(keys)} {what} ({_few(keys)})" for what, keys in told.items() if keys]


def _refuse_broken(source: Path, ready: Mapping[str, Tensor]) -> None:
    broken = [key for key, tensor in ready.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(
            f"{source}: NaN or infinite values in {len(broken)} of its {len(ready)} tensors ({_few(broken)}); the file "
            f"is damaged, or its training broke: get it again, or another one"
        )


def _cure(fits: list[str]) -> str:
    if not fits:
        return "No encoder or preset that is here has these weights; tools/list encoder shows what there is"
    return f"They fit {' or '.join(f'--encoder {name}' for name in fits)}, with the settings it comes with"


def _summary(names: Iterable[str]) -> str:
    """What is in a file, by the first two parts of its names: ``model.layers (290), lm_head (1)``."""
    counted = Counter(".".join(name.split(".")[:-1][:2]) or name for name in names)
    told = [f"{shown(start)} ({count})" for start, count in counted.most_common(5)]
    return ", ".join(told) + (", …" if len(counted) > len(told) else "") or "nothing"


def _few(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
