"""Settings that the model of ``--base`` decides: encoder, projector, clouds, point tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spa3d.config.pointllm_parts import MODEL_TYPE, read_config, read_parts
from spa3d.config.sources import Source, read_source
from spa3d.errors import CheckpointError

PREPARATION = {"count": "count", "method": "resample", "normalize": "normalize", "missing_color": "missing_color"}
"""Preparation of clouds in a saved processor, and the settings of a run."""


def base_source(sources: Sequence[Source]) -> Source | None:
    """Read the settings that the base named in `sources` decides, as their weakest source.

    None without ``--base``, and for a folder that cannot be read; the error is raised where the base is found.
    """
    path = _base_path(sources)
    if not path:
        return None
    folder = next((each for each in (Path(path), Path(path) / "model") if (each / "config.json").is_file()), None)
    if folder is None:
        return None
    values = read_config(folder)
    read = _pointllm_settings if values.get("model_type") == MODEL_TYPE else _saved_settings
    try:
        settings = read(folder, values)
    except (CheckpointError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return read_source(settings, lambda *keys: f"--base {path}")


def _base_path(sources: Sequence[Source]) -> str:
    """The base of the strongest source that names one."""
    path = ""
    for source in sources:
        for assignment in source.assignments:
            keys = tuple(map(str, assignment.keys))
            if keys == ("base", "path"):
                path = str(assignment.value)
            elif keys in ((), ("base",)):
                block = assignment.value if keys else assignment.value.get("base", {})
                path = str(block.get("path", path)) if isinstance(block, Mapping) else path
    return path


def _saved_settings(folder: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a model that spa3d saved."""
    processor = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))
    start, patch, end = processor["point_tokens"]
    return {
        **{kind: {"name": values[kind]["name"], **values[kind]["config"]} for kind in ("encoder", "projector")},
        "points": {ours: processor["points"][theirs] for theirs, ours in PREPARATION.items()},
        "llm": _tokens(start, patch, end),
    }


def _pointllm_settings(folder: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a PointLLM folder; its clouds are prepared in the default way."""
    parts = read_parts(folder, values)
    return {
        "encoder": {"name": parts.encoder, **parts.encoder_config},
        "projector": {"name": parts.projector, **parts.projector_config},
        "points": {"count": parts.num_points, "resample": "fps", "normalize": True, "missing_color": 0.0},
        "llm": _tokens(*parts.point_tokens),
    }


def _tokens(start: str, patch: str, end: str) -> dict[str, str]:
    names = {"point_start": start, "point_patch": patch, "point_end": end}
    return {key: name for key, name in names.items() if name}
