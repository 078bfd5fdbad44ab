"""Trial of an LLM: what a run would find out at its end is found before its beginning."""

from __future__ import annotations

from functools import wraps
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from spa3d.errors import CheckpointError
from spa3d.pipeline.llm_trial import try_llm

SIZES: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 400, "pad_token_id": 0}


def with_llm(world: Any, kind: str, **sizes: Any) -> Any:
    """The toy model with another LLM."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **SIZES, **sizes)
    world[0].language_model = AutoModelForCausalLM.from_config(config)
    world[0].config.text_config = config
    return world[0], world[1]


@pytest.fixture
def world(toy: Any) -> Any:
    return toy()


def test_try_llm_takes_a_usual_llm_and_restores_its_mode(world: Any) -> None:
    model, processor, _ = world
    for training in (True, False):
        model.set_trained("llm")
        model.train(training)
        before, drawn = model.language_model.training, torch.random.get_rng_state()
        try_llm(model, processor, "--llm x")
        assert model.language_model.training == before
        assert torch.equal(torch.random.get_rng_state(), drawn)


def test_try_llm_takes_a_tokenizer_without_a_padding_token(world: Any) -> None:
    world[1].tokenizer.pad_token = None
    try_llm(world[0], world[1], "--llm x")


def test_try_llm_takes_an_llm_that_changes_its_logits(world: Any) -> None:
    sizes = {"intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2}
    try_llm(*with_llm(world, "cohere", logit_scale=0.1, **sizes), "--llm x")


def test_try_llm_refuses_scores_that_depend_on_padding(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor, _ = world
    forward = model.language_model.forward

    @wraps(forward)
    def leaking(inputs_embeds: Any = None, attention_mask: Any = None, use_cache: bool = False, **rest: Any) -> Any:
        return forward(inputs_embeds=inputs_embeds, use_cache=use_cache, **rest)  # reads the padding

    monkeypatch.setattr(model.language_model, "forward", leaking)
    with torch.no_grad():
        for parameter in model.language_model.parameters():
            parameter.mul_(3)
    with pytest.raises(CheckpointError, match=r"^--llm x: .*scores options as .* in a padded batch"):
        try_llm(model, processor, "--llm x")


def test_try_llm_names_what_fails(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> Any:
        raise RuntimeError("no kernel for this")

    monkeypatch.setattr(world[0].language_model, "forward", broken)
    with pytest.raises(CheckpointError, match=r"^--llm x: a trial of the LLM \(llama\) fails: RuntimeError: no kernel"):
        try_llm(world[0], world[1], "--llm x")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"conversation": "chat"}, "--llm x: --llm.template chat: the tokenizer has no chat template"),
        ({"system": "Be </s> brief."}, "--llm x: --llm.system: the text 'Be </s> brief.' holds '</s>'"),
        ({"system": "<point_patch>"}, "--llm x: --llm.system: .* holds '<point_patch>'"),
        ({"eos_token": None}, "--llm x: its tokenizer has no end token, which --llm.template vicuna puts behind"),
    ],
)
def test_try_llm_refuses_a_template_that_does_not_work(world: Any, changed: dict[str, Any], message: str) -> None:
    for name, value in changed.items():
        setattr(world[1].tokenizer if name == "eos_token" else world[1], name, value)
    with pytest.raises(CheckpointError, match=f"^{message}"):
        try_llm(world[0], world[1], "--llm x")
