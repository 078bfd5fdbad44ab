"""What post-training saves, in the data type that was asked for, and what it says about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from spa3d.data.preference_pairs import Pair
from spa3d.errors import DataError
from spa3d.model.saving import save_model
from spa3d.pipeline.run import Run

OpenSmoke = Callable[..., Run]


@pytest.mark.parametrize("trained", ["projector,llm", "projector"])
@pytest.mark.parametrize("save_dtype", ["float32", "bfloat16"])
def test_run_saves_the_requested_data_type(
    tmp_path: Path, open_smoke: OpenSmoke, trained: str, save_dtype: str
) -> None:
    model, processor = open_smoke().builder.model_and_processor()
    model.language_model.bfloat16()
    save_model(model, processor, tmp_path / "base")
    settings = {"base": str(tmp_path / "base"), "objective": "sft", "train.steps": 2, "train.train": trained}
    run = open_smoke({**settings, "train.save_dtype": save_dtype}, output=tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "passport.json").write_text("{}")
    run.training.run(*run.model_and_processor)
    result, _ = run.training.load()
    saved = load_file(tmp_path / "run" / "model" / "model.safetensors")
    for name, weight in result.named_parameters():
        assert saved[name].dtype == getattr(torch, save_dtype)
        assert torch.equal(weight, saved[name].float())
    assert json.loads((tmp_path / "run" / "model" / "config.json").read_text())["dtype"] == save_dtype
    passport = json.loads((tmp_path / "run" / "passport.json").read_text())
    precision = passport["precision"]
    assert precision["arithmetic"] == precision["trained weights"] == "float32"
    assert ("frozen llm" in precision) == (trained == "projector")
    assert passport["saved_dtype"] == save_dtype


def test_run_refuses_pairs_that_are_equal_up_to_the_cut_before_the_first_step(
    tmp_path: Path, open_smoke: OpenSmoke
) -> None:
    settings = {"objective": "dpo", "pairs.path": "unused.jsonl", "train.steps": 1, "train.truncate": True}
    run = open_smoke(settings, output=tmp_path / "run")
    first, *_, last = (record.id for record in run.data.split("train"))
    long = "a word and " * 1000
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "passport.json").write_text("{}")
    model, processor = run.builder.model_and_processor()
    pairs = [Pair(first, "What?", "A chair.", "A lamp."), Pair(last, "What?", long + "chair.", long + "lamp.")]
    expected = f"record {last}: the chosen and the rejected answer are the same up to --llm.max_length"
    with pytest.raises(DataError, match=expected):
        run.training.run(model, processor, pairs=pairs)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
