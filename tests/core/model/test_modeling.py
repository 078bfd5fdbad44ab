"""The model: frozen parts, saving and loading, generation equal to scoring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from spa3d.model.tokens import IGNORED


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_frozen_parts_stay_in_eval_mode_and_bit_identical(toy: Any) -> None:
    model, processor, clouds = toy()
    model.set_trained("projector")
    model.train()
    assert not model.encoder.training
    assert not model.language_model.training
    assert model.projector.training
    before = state(model)
    tokens = processor.tokenize(clouds.dataset.record("train-0").conversations[0], processor.prompt_prefix("cloud"))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        points = torch.from_numpy(clouds.get(["train-0"]))
        output = model(input_ids=torch.tensor([tokens.ids]), labels=torch.tensor([tokens.labels]), points=points)
        output.loss.backward()
        optimizer.step()
    changed = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"projector"}


def test_only_the_point_tokens_embeddings_move_when_embeddings_train(toy: Any) -> None:
    model, processor, clouds = toy()
    model.set_trained("projector", "embeddings")
    before = model.get_input_embeddings().weight.detach().clone()
    tokens = processor.tokenize(clouds.dataset.record("train-0").conversations[0], processor.prompt_prefix("cloud"))
    points = torch.from_numpy(clouds.get(["train-0"]))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.0)
    model(input_ids=torch.tensor([tokens.ids]), labels=torch.tensor([tokens.labels]), points=points).loss.backward()
    optimizer.step()
    moved = (model.get_input_embeddings().weight != before).any(dim=1).nonzero().flatten().tolist()
    assert set(moved) <= set(model.config.point_ids)
    assert moved


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
