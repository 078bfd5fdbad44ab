"""Loading of saved models: complete, or refused in one message; no code of theirs runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from spa3d.checkpoints.load import load
from spa3d.config.settings import LLMSettings
from spa3d.errors import CheckpointError, Note
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.llm import make_llm
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.special_tokens import point_tokens
from spa3d.registry.create import create
from spa3d.version import __version__

PLUGIN = """
from pathlib import Path
from spa3d import Component, hookimpl
from spa3d_plugins.encoders.pointnext import PointNeXt

Path(__file__).with_name("it ran").touch()

@hookimpl
def spa3d_components():
    return [Component("encoder", "stranger", f"{__name__}:PointNeXt", "A stranger's")]
"""


def save(folder: Path, *, tied: bool = False, **encoder: str) -> Spa3dModel:
    """A 3D LLM as a run saves it, untrained; `encoder` overrides what it says of its encoder."""
    torch.manual_seed(0)
    settings = LLMSettings(hidden_size=16, layers=1, heads=2, intermediate_size=32, vocab_size=320)
    llm, tokenizer, ids = make_llm(settings, lambda: iter(["a red chair", "a red table"]))
    if tied:
        llm.config.tie_word_embeddings = True
        llm.tie_weights()
    part = create("encoder", "pointnext-tiny")
    values = part.config.model_dump(mode="json")
    config = Spa3dConfig(
        text_config=llm.config,
        encoder={"name": "pointnext", "distribution": "spa3d", "version": __version__, "config": values, **encoder},
        projector={"name": "linear", "distribution": "spa3d", "version": __version__, "config": {}},
        num_points=128,
        point_ids=ids,
    )
    model = Spa3dModel(config, part, None, llm).eval()
    tokens, points = model.num_point_tokens(), {"count": 128, "method": "random"}
    processor = Spa3dProcessor(tokenizer, num_point_tokens=tokens, points=points, point_tokens=point_tokens(settings))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model


def test_load_refuses_weights_that_are_not_finite(tmp_path: Path) -> None:
    save(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    name = next(name for name in state if name.startswith("projector."))
    state[name][0] = float("nan")
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=rf"1 of its weights hold NaN or infinity, such as {name}; give another"):
        load(tmp_path)


def test_load_refuses_an_unknown_axis(tmp_path: Path) -> None:
    save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "up_axis": "w"}))
    with pytest.raises(CheckpointError, match=r"up_axis of its config.json is 'w'; possible are x, y and z"):
        load(tmp_path)


@pytest.mark.parametrize("tied", [False, True])
def test_load_returns_the_saved_model(tmp_path: Path, tied: bool) -> None:
    model = save(tmp_path, tied=tied)
    loaded, processor = load(tmp_path)
    inputs = processor("What is this?", torch.rand(200, 6).numpy())
    torch.testing.assert_close(loaded(**inputs).logits, model(**inputs).logits)
    heads = loaded.get_output_embeddings().weight, loaded.get_input_embeddings().weight
    assert (heads[0] is heads[1]) == tied


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def lose_a_tensor(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["projector.stray"] = state.pop("projector.layer.weight")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no json": (lambda f: (f / "config.json").write_text("{"), "not that of a 3D LLM"),
    "another model": (
        lambda f: (f / "config.json").write_text('{"model_type": "llama"}'),
        "type 'llama' and no 3D LLM",
    ),
    "no model": (lambda f: (f / "config.json").write_text("{}"), "type None and no 3D LLM"),
    "no parts": (lambda f: edit(f, lambda v: v.pop("encoder")), "no 3D LLM"),
    "odd llm": (lambda f: edit(f, lambda v: v["text_config"].update(model_type="abacus")), "not that of a 3D LLM"),
    "torn": (lambda f: (f / "model.safetensors").write_bytes(b"\0" * 99), "cannot be read"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "cannot be read"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "cannot be read"),
    "astray": (
        lose_a_tensor,
        r"1 missing, such as projector\.layer\.weight; 1 left over, such as projector\.stray",
    ),
    "odd field": (lambda f: edit(f, lambda v: v["encoder"]["config"].update(wheels=4)), "does not take the settings"),
    "odd value": (lambda f: edit(f, lambda v: v["encoder"]["config"].update(width=0)), "does not take the settings"),
    "stranger": (
        lambda f: edit(f, lambda v: v["encoder"].update(name="x", distribution="y")),
        "not here; ask its authors",
    ),
}


@pytest.mark.parametrize("error", BROKEN)
def test_load_refuses_an_incomplete_model(tmp_path: Path, error: str) -> None:
    save(tmp_path)
    spoil, message = BROKEN[error]
    spoil(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    ("origin", "saved"), [({"version": "9.9"}, "spa3d 9.9"), ({"distribution": "theirs", "version": "2"}, "theirs 2")]
)
def test_load_notes_another_version_of_a_part(tmp_path: Path, origin: dict[str, str], saved: str) -> None:
    save(tmp_path, **origin)
    message = rf"encoder 'pointnext': the model was saved with {saved}, and here is spa3d {__version__}; its answers"
    with pytest.warns(Note, match=message):
        load(tmp_path)


def test_load_loads_plugins_of_the_user_only(tmp_path: Path) -> None:
    plugin = tmp_path / "spa3d_a_stranger.py"
    plugin.write_text(PLUGIN)
    save(tmp_path, name="stranger", distribution="", plugin=str(plugin))
    for attempt in (load, Spa3dModel.from_pretrained):
        with pytest.raises(CheckpointError, match="if you trust"):
            attempt(tmp_path)
    assert not (tmp_path / "it ran").exists()
    assert type(load(tmp_path, plugins=[str(plugin)])[0].encoder).__name__ == "PointNeXt"
    assert (tmp_path / "it ran").exists()


def test_load_reads_the_registry_file_of_the_user_only(tmp_path: Path) -> None:
    extra = tmp_path / "extra.yaml"
    row = "{target: 'spa3d_plugins.encoders.pointnext:PointNeXt', summary: The same}"
    extra.write_text(f"version: 1\ncomponents: {{encoder: {{stranger: {row}}}}}\n")
    save(tmp_path, name="stranger", distribution="", plugin=str(extra))
    with pytest.raises(
        CheckpointError, match=r"if you trust .*extra\.yaml, spa3d\.load\(folder, registry='.*'\) loads"
    ):
        load(tmp_path)
    assert type(load(tmp_path, registry=extra)[0].encoder).__name__ == "PointNeXt"
