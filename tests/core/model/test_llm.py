"""Loading of LLMs in the precision of their files; errors name the setting."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spa3d.config.settings import LLMSettings
from spa3d.errors import CheckpointError
from spa3d.model.llm import llm_config, load_causal_lm, make_llm

TINY = LLMSettings(hidden_size=16, layers=1, heads=2, intermediate_size=16, vocab_size=300)


def test_load_causal_lm_keeps_the_dtype_of_the_files(tmp_path: Path) -> None:
    llm, tokenizer, _ = make_llm(TINY, lambda: iter(["a red chair"] * 3))
    llm.to(torch.bfloat16).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, words = load_causal_lm(str(tmp_path), flag="--llm", alternative="nothing")
    assert loaded.dtype == torch.bfloat16
    assert words.get_vocab() == tokenizer.get_vocab()


def test_load_causal_lm_names_the_setting_and_the_alternative(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    message = "transformers cannot load a causal LM from there"
    end = "give a folder with config.json, weights and tokenizer, or something else"
    for path, reason in ((gone, "there is no such folder"), (str(tmp_path), ".*")):
        with pytest.raises(CheckpointError, match=rf"^--judge\.llm {path}: {message} \({reason}\); {end}$"):
            load_causal_lm(path, flag="--judge.llm", alternative="something else", brief=True)


def test_make_llm_names_the_flag_of_a_missing_llm(tmp_path: Path) -> None:
    settings = LLMSettings(path=str(tmp_path / "gone"))
    with pytest.raises(CheckpointError, match=r"(?s)^--llm .*gone: transformers cannot .* or the preset tiny$"):
        make_llm(settings, lambda: iter(()))
    with pytest.raises(CheckpointError, match=r"(?s)^--llm .*gone: transformers cannot .* or the preset tiny$"):
        llm_config(settings)
