"""Documents beside a published model: card and passport."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from spa3d.artifacts.environment import versions
from spa3d.artifacts.hashing import hash_weights
from spa3d.artifacts.model_folder import DOCUMENTS, find_model_folder
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.runtime.atomic_files import write_whole

TAGS = ("spa3d", "point-cloud", "3d", "multimodal")
LOADING = """\
```python
import spa3d

model = spa3d.session("FOLDER")  # this folder
print(model.ask("mug.ply", "What is this?").text)
```

A cloud is a file of any format that spa3d reads, such as PLY, GLB or `.npy`. After `import spa3d.auto`, transformers'
`AutoModelForCausalLM` and `AutoProcessor` load the folder, too, unless it has PointLLM's layout. No code of the folder
is run.
"""
"""How the model in a folder is used, in Markdown."""


def write_documents(model: Spa3dModel, processor: Spa3dProcessor, source: Path, target: Path) -> None:
    """Copy card and passport of the model in `source` to `target`; write what is not there.

    Args:
        model: the model in both folders.
        processor: its processor.
        source: the folder of a run, a saved model or a PointLLM.
        target: the folder that is published.

    """
    passport = _make_passport(model, processor, source)
    written = {
        "README.md": lambda: render_bare_card(source.resolve().name, passport),
        "passport.json": lambda: json.dumps(passport, indent=1),
    }
    for name in DOCUMENTS:
        files = (parent / name for parent in (find_model_folder(source), source))
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            write_whole(target / name, written[name]())
        else:
            shutil.copyfile(file, target / name)


def render_bare_card(name: str, passport: dict[str, Any]) -> str:
    """Render the card of a model that spa3d did not measure, with metadata for the hub."""
    data = ModelCardData(library_name="spa3d", tags=[*TAGS], model_name=name)
    clouds, parts = passport["clouds"], passport["parts"]
    scaling = ", moved and scaled into the unit sphere" if clouds["normalize"] else ""
    text = f"""\
# {name}

A 3D multimodal LLM: the encoder `{parts["encoder"]}`, the projector `{parts["projector"]}` and an LLM of the type
`{parts["llm"]}`, converted with spa3d.

**It was not measured.** `spa3d run --base FOLDER` measures it, beside its blind score, before it trains.

## Use

{LOADING}
A cloud is reduced to {clouds["count"] or "all its"} points{scaling}. Its `{clouds["up_axis"]}` axis points up.

## License

Not stated by the folder that it was converted from. That of each part holds.

`passport.json` has the hash of the weights and all versions."""
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n"))


def _make_passport(model: Spa3dModel, processor: Spa3dProcessor, source: Path) -> dict[str, Any]:
    """Make the passport of a model whose training is not known."""
    config = model.config
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "converted_from": source.resolve().name,
        "versions": versions(),
        "parts": {
            "encoder": config.encoder["name"],
            "projector": config.projector["name"],
            "llm": config.text_config.model_type,
        },
        "weights": {"model": hash_weights(model.state_dict())},
        "clouds": {**processor.points, "inputs": list(model.encoder.inputs), "up_axis": config.up_axis},
    }
