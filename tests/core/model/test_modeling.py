"""The model: saving and loading, generation equal to scoring, in any arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from spa3d.model.tokens import IGNORED
from spa3d.version import __version__


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
    ids = torch.tensor([processor.question_ids("What?", cloud=False)])
    with pytest.raises(ValueError, match="0 patch tokens in the text for 1 clouds of 4"):
        model(input_ids=ids, points=torch.from_numpy(clouds.get(["train-0"])))


def test_embed_does_not_count_patch_tokens_again(toy: Any) -> None:
    model, processor, clouds = toy()
    ids = torch.tensor([processor.question_ids("What?", cloud=True)])
    tokens = model.encode(torch.from_numpy(clouds.get(["train-0"])))
    assert torch.equal(model.embed(ids, tokens, patch_count=4), model.embed(ids, tokens))
    with pytest.raises(ValueError, match="3 patch tokens in the text for 1 clouds of 4"):
        model.embed(ids, tokens, patch_count=3)


def test_a_text_only_batch_runs_the_projector_while_it_trains(toy: Any) -> None:
    model, processor, _ = toy()
    model.set_trained("projector", "llm")
    model.train()
    ids = torch.tensor([processor.question_ids("What?", cloud=False)])
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
        encoder={"name": "pointnext", "distribution": "spa3d", "version": __version__, "config": values},
        projector={"name": "linear", "distribution": "spa3d", "version": __version__, "config": {}},
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


def test_generate_without_a_cache_keeps_the_clouds(toy: Any) -> None:
    model, processor, clouds = toy()
    with torch.no_grad():
        for parameter in model.language_model.parameters():
            parameter.mul_(3)
    for number in range(4):
        inputs = processor("Which side?", clouds.dataset.record(f"train-{number}").cloud())
        written = [
            model.generate(**inputs, max_new_tokens=6, do_sample=False, eos_token_id=None, use_cache=use)
            for use in (True, False)
        ]
        assert written[0].tolist() == written[1].tolist()


def test_unknown_arguments_are_refused(toy: Any) -> None:
    model, processor, clouds = toy()
    inputs = processor("Which side?")
    cloud = torch.from_numpy(clouds.get(["train-0"]))
    with pytest.raises(ValueError, match="cloud"):
        model.generate(**inputs, cloud=cloud, max_new_tokens=2)
    with pytest.raises(TypeError, match="takes no argument cloud; clouds are given as points"):
        model(**inputs, cloud=cloud)
    with pytest.raises(ValueError, match="inputs_embeds have them already"):
        model(inputs_embeds=model.embed(inputs["input_ids"], None), points=cloud)


def test_patch_tokens_without_a_cloud_are_refused(toy: Any) -> None:
    model, processor, _ = toy()
    inputs = processor("Which side?", torch.rand(40, 6).numpy())
    del inputs["points"]
    with pytest.raises(ValueError, match="4 patch tokens in the text for 0 clouds"):
        model.generate(**inputs, max_new_tokens=2)
    with pytest.raises(ValueError, match="4 patch tokens in the text for 0 clouds"):
        model.embed(inputs["input_ids"], None, patch_count=4)


def test_each_prompt_has_the_patch_tokens_of_its_own_cloud(toy: Any) -> None:
    model, _, _ = toy()
    patch = model.config.point_ids[1]
    tokens = torch.rand(2, 4, 8)
    for counts in ((8, 0), (6, 2), (5, 3)):
        ids = torch.full((2, 9), 5)
        for row, count in enumerate(counts):
            ids[row, :count] = patch
        with pytest.raises(ValueError, match=rf"8 patch tokens in the text, \[{counts[0]}, {counts[1]}\] in the prom"):
            model.embed(ids, tokens)


def test_a_projector_of_another_width_is_refused(toy: Any) -> None:
    model, processor, clouds = toy()
    inputs = processor("Which side?", clouds.dataset.record("train-1").cloud())
    model.projector.layer = torch.nn.Linear(8, 12)
    with pytest.raises(ValueError, match="embeddings of width 12, and those of the LLM have 16"):
        model(**inputs)


def test_the_projector_is_as_wide_as_the_embeddings_of_the_llm() -> None:
    """OPT-350m has embeddings narrower than its hidden states."""
    from transformers import OPTConfig

    from spa3d.model.configuration import Spa3dConfig
    from spa3d.model.modeling import Spa3dModel

    narrow = OPTConfig(
        hidden_size=32, ffn_dim=32, num_hidden_layers=1, num_attention_heads=2, word_embed_proj_dim=16, vocab_size=50,
        max_position_embeddings=64, do_layer_norm_before=False,
    )  # fmt: skip
    parts = {"encoder": {"name": "pointnext", "config": {}}, "projector": {"name": "linear", "config": {}}}
    model = Spa3dModel(Spa3dConfig(text_config=narrow, point_ids=(1, 2, 3), **parts)).eval()
    count = model.num_point_tokens()
    tokens = torch.rand(2, count, model.encoder.dim)
    ids = torch.full((2, count + 1), 5)
    ids[:, :count] = 2
    before = model.embed(ids, tokens)
    for changed in (0, 1):
        other = tokens.clone()
        other[changed] += 1
        after = model.embed(ids, other)
        assert [not torch.equal(after[row], before[row]) for row in (0, 1)] == [changed == 0, changed == 1]


def gemma2() -> Any:
    from transformers import Gemma2Config

    return Gemma2Config(final_logit_softcapping=2.0, head_dim=8, **SIZES)


def granite() -> Any:
    from transformers import GraniteConfig

    return GraniteConfig(logits_scaling=8.0, **SIZES)


def cohere() -> Any:
    from transformers import CohereConfig

    return CohereConfig(logit_scale=0.1, **SIZES)


def falcon_h1() -> Any:
    from transformers import FalconH1Config

    return FalconH1Config(
        lm_head_multiplier=0.05, head_dim=8, mamba_d_ssm=16, mamba_n_heads=2, mamba_d_head=8, mamba_d_state=8,
        mamba_n_groups=1, **SIZES,
    )  # fmt: skip


SIZES: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "vocab_size": 90, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


@pytest.mark.parametrize("config", [gemma2, granite, cohere, falcon_h1])
def test_scores_are_those_of_an_llm_that_changes_its_logits(toy: Any, config: Any) -> None:
    from spa3d.model.configuration import Spa3dConfig
    from spa3d.model.modeling import Spa3dModel

    parts, _, _ = toy()
    torch.manual_seed(0)
    model = Spa3dModel(Spa3dConfig(text_config=config(), point_ids=(3, 4, 5)), parts.encoder, parts.projector).eval()
    with torch.no_grad():
        for parameter in model.language_model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(8)
    ids = torch.randint(6, 90, (2, 12))
    labels = torch.where(torch.arange(12) > 6, ids, IGNORED)
    with torch.no_grad():
        own = model.language_model(input_ids=ids).logits.log_softmax(-1)
        scored = model(input_ids=ids, labels=labels, vocabulary=True)
        torch.testing.assert_close(scored.answer_vocabulary, own[:, 6:11].flatten(0, 1), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            scored.answer_logp[:, 7:], own[:, 6:11].gather(2, ids[:, 7:, None])[..., 0], atol=1e-4, rtol=1e-4
        )
        shown = model(input_ids=ids, logits_to_keep=3).logits
        torch.testing.assert_close(shown.log_softmax(-1), own[:, -3:], atol=1e-4, rtol=1e-4)
        head = model.language_model.get_output_embeddings()(
            model.get_decoder()(input_ids=ids).last_hidden_state
        ).log_softmax(-1)
    assert float((head - own).abs().max()) > 0.3, "otherwise this LLM shows nothing"
