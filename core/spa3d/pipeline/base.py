"""The base: the 3D LLM that post-training starts from.

It is built once per key and shared by runs. A killed build resumes after its last finished stage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spa3d.artifacts.diff import differences
from spa3d.artifacts.hashing import digest, hash_weights
from spa3d.artifacts.workspace import Workspace
from spa3d.checkpoints.absent_encoder import AbsentEncoder
from spa3d.checkpoints.load import describe, read, read_special_tokens
from spa3d.config.settings import RunConfig
from spa3d.errors import CheckpointError
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.llm import embedding_width, special_tokens
from spa3d.model.modeling import Spa3dModel
from spa3d.model.precision import move_model
from spa3d.model.processing import Spa3dProcessor
from spa3d.pipeline.parts import Execution, Fingerprints, Parts


@dataclass(frozen=True)
class Base:
    """A base on disk.

    Attributes:
        folder: its folder: ``model/``, ``metrics.jsonl``, ``base.json``.
        key: hash of `decisive`; for the base of ``--base``, hash of its files.
        decisive: everything that determines the base, by name; empty for the base of ``--base``.

    """

    folder: Path
    key: str
    decisive: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model_folder(self) -> Path:
        """Folder of the finished 3D LLM."""
        inner = self.folder / "model"
        return self.folder if (self.folder / "config.json").exists() else inner

    @property
    def is_finished(self) -> bool:
        """Whether the base is finished."""
        return (self.model_folder / "done.json").exists()

    def done(self, stage: str) -> bool:
        """Whether `stage` is finished."""
        return self.is_finished or (self.folder / stage / "done.json").exists()


def find_base(path: str, parts: Parts, execution: Execution, fingerprints: Fingerprints) -> Base:
    """The base of a run, finished or not.

    Args:
        path: the folder of ``--base``; empty: the base that the fingerprints name.
        parts: components of the run.
        execution: its workspace holds the bases.
        fingerprints: of the run; they identify the base.

    Raises:
        CheckpointError: the folder `path` holds no 3D LLM, or one with other parts.

    """
    workspace = execution.workspace
    if not path:
        key = digest(fingerprints.base)
        return Base(workspace.base(key), key, fingerprints.base)
    folder = _find_given_model(path)
    with of_given_base(path):
        _read_config(folder, parts)
    return Base(Path(path), workspace.hash_folder(folder))


def find_special_tokens(config: RunConfig) -> set[str]:
    """Find the special tokens of the base of a run, which no text of the data may contain.

    Raises:
        CheckpointError: the folder of ``--base`` or ``--llm`` holds no such model.

    """
    path = config.base.path
    if not path:
        return special_tokens(config.llm)
    folder = _find_given_model(path)
    with of_given_base(path):
        return read_special_tokens(folder)


def _find_given_model(path: str) -> Path:
    """Find the folder of the 3D LLM of ``--base``; `CheckpointError` if there is none."""
    folder = Base(Path(path), "").model_folder
    if not (folder / "config.json").exists():
        raise CheckpointError(
            f"--base {path}: no 3D LLM there (config.json is missing); give the model/ folder of a run or a PointLLM "
            f"folder, or leave --base out to build one"
        )
    return folder


@contextmanager
def of_given_base(path: str) -> Iterator[None]:
    """Let a `CheckpointError` raised inside name ``--base``; without `path` it stays as it is."""
    try:
        yield
    except CheckpointError as error:
        if not path:
            raise
        raise CheckpointError(f"--base {path}: {error}") from error


def explain_cache_miss(base: Base, workspace: Workspace) -> list[str]:
    """Differences to the most similar finished base, as ``key: its value → value of this run``."""
    current, candidates = json.loads(json.dumps(base.decisive, default=str)), []
    for folder in workspace.bases():
        saved = _read_decisive(folder) if Base(folder, folder.name).is_finished else None
        if saved:
            candidates.append(differences(saved, current))
    return min(candidates, key=len, default=[])


def _read_decisive(folder: Path) -> Mapping[str, Any] | None:
    """What determined the base in `folder`; None if its base.json is broken."""
    try:
        saved = json.loads((folder / "base.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return saved if isinstance(saved, Mapping) else None


def load_base(folder: Path, parts: Parts, execution: Execution) -> tuple[Spa3dModel, Spa3dProcessor]:
    """Load a finished 3D LLM with the components and device of a run.

    Raises:
        CheckpointError: it does not fit them, or lacks the weights of its encoder.

    """
    config = _read_config(folder, parts)
    encoder = parts.make_encoder()
    projector = parts.make_projector(encoder.dim, embedding_width(config.text_config))
    model, processor = read(folder, config, encoder, projector)
    if isinstance(model.encoder, AbsentEncoder):
        raise CheckpointError(model.encoder.problem)
    _refuse_differences(folder, differences({"points": processor.points}, {"points": dict(parts.preparation)}))
    return move_model(model, execution.device, bf16=execution.bf16), processor


def part_hashes(model: Spa3dModel) -> dict[str, str]:
    """Hash of the weights of each part."""
    return {
        name: hash_weights(getattr(model, name).state_dict()) for name in ("encoder", "projector", "language_model")
    }


def _read_config(folder: Path, parts: Parts) -> Spa3dConfig:
    """Read the configuration of the 3D LLM in `folder`; its parts must be those of the run."""
    config = describe(folder)
    saved = {"encoder": config.encoder, "projector": config.projector}
    actual = {**_compared_entries(saved), "points.count": config.num_points}
    expected = {**_compared_entries(parts.described), "points.count": parts.num_points}
    if "height" in parts.inputs:
        actual["dataset.up_axis"], expected["dataset.up_axis"] = config.up_axis, parts.dataset.up_axis
    _refuse_differences(folder, differences(actual, expected))
    return config


def _compared_entries(described: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Entries of encoder and projector that must be equal in two models."""
    return {
        kind: {key: entry.get(key) for key in ("name", "distribution", "config")} for kind, entry in described.items()
    }


def _refuse_differences(folder: Path, lines: list[str]) -> None:
    if lines:
        raise CheckpointError(
            f"the 3D LLM in {folder} was made with other settings ({'; '.join(lines)}); leave these settings out, "
            f"or leave --base out to build a base for them"
        )
