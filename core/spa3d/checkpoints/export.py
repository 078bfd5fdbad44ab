"""Writes the model of a run to a folder of its own, in spa3d's or PointLLM's layout."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from spa3d.checkpoints.load import load
from spa3d.checkpoints.pointllm_export import write_pointllm
from spa3d.checkpoints.publish import write_documents
from spa3d.errors import CheckpointError, OutputError
from spa3d.model.saving import save_model

Format = Literal["hf", "pointllm"]
FORMATS: tuple[Format, ...] = ("hf", "pointllm")


def export(
    folder: str | Path,
    output: str | Path,
    *,
    format: Format = "hf",  # noqa: A002 - the name of the flag
    merge: bool = False,
    plugins: Sequence[str] = (),
    registry: str | Path | None = None,
) -> Path:
    """Write a model to a new folder, with card and passport.

    Args:
        folder: the folder of a run, a saved model, or a PointLLM.
        output: where to write; missing or empty.
        format: ``hf`` for `spa3d.load` and transformers' Auto classes, ``pointllm`` for PointLLM's code.
        merge: of a run with adapters, write the whole model with the adapters merged into it. Without, only the
            adapters are written (peft's layout).
        plugins: as in `spa3d.load`.
        registry: as in `spa3d.load`.

    Raises:
        CheckpointError: there is no model, or the format cannot hold it.
        OutputError: `output` exists and is not empty.

    """
    source, target = Path(folder), Path(output)
    adapter = source / "adapter"
    if format not in FORMATS:
        raise CheckpointError(f"--format {format}: possible are {' and '.join(FORMATS)}")
    if merge and not adapter.is_dir():
        raise CheckpointError(f"--merge: {source} has no adapters; leave it out")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"--output {target}: is there and not empty; choose another folder")
    if adapter.is_dir() and not merge:
        if format == "pointllm":
            raise CheckpointError(f"{source}: holds adapters, which PointLLM's layout cannot hold; add --merge")
        shutil.copytree(adapter, target, dirs_exist_ok=True)
        return target
    model, processor = load(source, plugins=plugins, registry=registry)
    if format == "pointllm":
        write_pointllm(model, processor, target)
    else:
        save_model(model, processor, target)
    write_documents(model, processor, source, target)
    return target
