"""Writing a 3D LLM to a folder."""

from __future__ import annotations

from pathlib import Path

from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor


def save_model(model: Spa3dModel, processor: Spa3dProcessor, folder: Path) -> None:
    """Write a 3D LLM for ``from_pretrained`` and ``spa3d.load``: weights, config, processor."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
