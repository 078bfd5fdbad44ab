"""Finds the saved model in a folder that a user names."""

from __future__ import annotations

from pathlib import Path

from spa3d.errors import CheckpointError
from spa3d.runtime.paths import folder_problem

DOCUMENTS = ("README.md", "passport.json")
"""Files beside a model that describe it: its card, and what made it. They change no answer."""


def find_model_folder(folder: str | Path) -> Path:
    """Find the folder with the config.json: ``model/`` of a run, or the folder itself.

    Raises:
        CheckpointError: there is no such folder, or no model in it.

    """
    requested = Path(folder)
    problem = folder_problem(requested)
    if problem:
        raise CheckpointError(f"{requested}: no 3D LLM there ({problem}); give the folder of a finished run")
    model_folder = next((path for path in (requested / "model", requested) if (path / "config.json").exists()), None)
    if model_folder is None:
        raise CheckpointError(
            f"{requested}: no 3D LLM there (neither {requested / 'model' / 'config.json'} nor "
            f"{requested / 'config.json'} exists); give the folder of a finished run"
        )
    return model_folder
