"""A finished run, ready to be asked."""

from __future__ import annotations

from pathlib import Path

from spa3d import auto as auto
from spa3d.errors import CheckpointError
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor


def load(folder: str | Path) -> tuple[Spa3dModel, Spa3dProcessor]:
    """The post-trained 3D LLM of a run (or of its ``model/`` folder) and its processor, in eval mode on the CPU.

    Raises:
        CheckpointError: no finished model is there.

    """
    asked = Path(folder)
    found = next((path for path in (asked / "model", asked) if (path / "config.json").exists()), None)
    if found is None:
        raise CheckpointError(
            f"{asked}: no 3D LLM there (neither {asked / 'model' / 'config.json'} nor {asked / 'config.json'} exists); "
            f"give the folder of a finished run"
        )
    return Spa3dModel.from_pretrained(found).eval(), Spa3dProcessor.from_pretrained(found)
