"""The model: saving and loading, generation equal to scoring, in any arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from spa3d.model.tokens import IGNORED


def test_the_loss_is_the_mean_nll_of_the_labels(toy: Any) -> None:
    model, _, _ = toy()
    ids = torch.tensor([[1, 40, 41, 42, 43]])
    labels = torch.tensor([[IGNORED, IGNORED, IGNORED, 42, 43]])
    output = model(input_ids=ids, labels=labels)
    logp = model(input_ids=ids).logits.log_softmax(-1)
    expected = -(logp[0, 2, 42] + logp[0, 3, 43]).detach() / 2
    assert float(output.loss.detach()) == pytest.approx(float(expected), abs=1e-5)


def test_patch_tokens_and_clouds_must_agree(toy: Any) -> None:
    model, processor, clouds = toy()
    ids = torch.tensor([processor.question_ids("What?", "blind")])
    with pytest.raises(ValueError, match="0 patch tokens in the text for 1 clouds of 4"):
        model(input_ids=ids, points=torch.from_numpy(clouds.get(["train-0"])))


def test_embed_does_not_count_patch_tokens_again(toy: Any) -> None:
    model, processor, clouds = toy()
    ids = torch.tensor([processor.question_ids("What?", "cloud")])
    tokens = model.encode(torch.from_numpy(clouds.get(["train-0"])))
    assert torch.equal(model.embed(ids, tokens, patch_count=4), model.embed(ids, tokens))
    with pytest.raises(ValueError, match="3 patch tokens in the text for 1 clouds of 4"):
        model.embed(ids, tokens, patch_count=3)


def test_a_text_only_batch_runs_the_projector_while_it_trains(toy: Any) -> None:
    model, processor, _ = toy()
    model.set_trained("projector", "llm")
    model.train()
    ids = torch.tensor([processor.question_ids("What?", "blind")])
    model(input_ids=ids, labels=ids).loss.backward()
    gradients = [parameter.grad for parameter in model.projector.parameters()]
    assert all(gradient is not None and float(gradient.abs().sum()) == 0 for gradient in gradients)


def test_greedy_decoding_follows_the_most_likely_tokens(toy: Any) -> None:
    model, processor, clouds = toy()
    inputs = processor("Which side?", clouds.dataset.record("train-1").cloud())
    written = model.generate(**inputs, max_new_tokens=3, do_sample=False, eos_token_id=None, pad_token_id=0)
    ids = inputs["input_ids"]
    for _ in range(3):
        step = model(input_ids=ids, points=inputs["points"]).logits[:, -1].argmax(-1, keepdim=True)
        ids = torch.cat([ids, step], dim=1)
    assert written.tolist() == ids.tolist()


def test_encode_gives_the_same_tokens_under_autocast(toy: Any) -> None:
    model, _, clouds = toy()
    points = torch.from_numpy(clouds.get(["train-0", "train-1"]))
    with torch.autocast("cpu", torch.bfloat16):
        tokens = model.encode(points)
    assert torch.equal(tokens, model.encode(points))
    assert tokens.dtype == torch.float32


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
def test_project_is_float32_for_any_weights(toy: Any, stored: torch.dtype) -> None:
    model, _, _ = toy()
    model.language_model.to(stored)
    ids = torch.tensor([[1, 40, 41, 42, 43]])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        hidden = model.get_decoder()(input_ids=ids).last_hidden_state
        output, logits = model(input_ids=ids, labels=ids), model(input_ids=ids).logits
    expected = hidden.float() @ model.get_output_embeddings().weight.float().T
    torch.testing.assert_close(logits, expected)
    scored = expected.log_softmax(-1)[:, :-1].gather(2, ids[:, 1:, None]).squeeze(2)
    torch.testing.assert_close(output.answer_logp[:, 1:], scored, atol=1e-6, rtol=1e-6)
    assert not torch.equal(logits, logits.bfloat16().float())


def test_a_saved_model_comes_back_through_the_registry(tmp_path: Path) -> None:
    """With registered parts, nothing but the folder is needed."""
    from spa3d.checkpoints.load import load
    from spa3d.config.settings import LLMSettings
    from spa3d.model.configuration import Spa3dConfig
    from spa3d.model.llm import make_llm
    from spa3d.model.modeling import Spa3dModel
    from spa3d.model.processing import Spa3dProcessor
    from spa3d.model.special_tokens import point_tokens
    from spa3d.registry.create import create

    torch.manual_seed(0)
    settings = LLMSettings(hidden_size=16, layers=1, heads=2, intermediate_size=32, vocab_size=320)
    llm, tokenizer, ids = make_llm(settings, lambda: iter(["a red chair", "a red table"]))
    encoder = create("encoder", "pointnext-tiny")
    values = encoder.config.model_dump(mode="json")
    config = Spa3dConfig(
        text_config=llm.config,
        encoder={"name": "pointnext", "distribution": "spa3d", "version": "", "config": values},
        projector={"name": "linear", "distribution": "spa3d", "version": "", "config": {}},
        num_points=128,
        point_ids=ids,
    )
    model = Spa3dModel(config, encoder, None, llm).eval()
    processor = Spa3dProcessor(
        tokenizer,
        num_point_tokens=model.num_point_tokens(),
        points={"count": 128, "method": "random", "normalize": True, "missing_color": 0.0},
        point_tokens=point_tokens(settings),
    )
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    loaded, reader = load(tmp_path)
    cloud = torch.rand(200, 6).numpy()
    first, second = processor("What is this?", cloud), reader("What is this?", cloud)
    torch.testing.assert_close(first["points"], second["points"])
    torch.testing.assert_close(model(**first).logits, loaded(**second).logits)

    from transformers import AutoModelForCausalLM, AutoProcessor

    again = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    torch.testing.assert_close(again(**first).logits, loaded(**first).logits)
    assert AutoProcessor.from_pretrained(tmp_path / "model").num_point_tokens == processor.num_point_tokens


def test_load_from_an_empty_folder_names_both_paths(tmp_path: Path) -> None:
    from spa3d.checkpoints.load import load
    from spa3d.errors import CheckpointError

    with pytest.raises(CheckpointError, match="finished run"):
        load(tmp_path)
