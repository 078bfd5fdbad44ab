"""Families of LLMs: their scores with padding and cache, or the reason of the refusal.

The table in docs/llms.md is written from `FAMILIES`; each row is measured here. ``SPA3D_UPDATE_DOCS=1`` writes it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import processors
from transformers import AutoConfig, AutoModelForCausalLM

from spa3d.config.settings import LLMSettings
from spa3d.contracts.benchmark import Question
from spa3d.contracts.dataset import Conversation, Round
from spa3d.errors import CheckpointError
from spa3d.inference.predictor import Predictor
from spa3d.inference.views import ViewEncoder, built_in_views
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.llm import keeps_keys_and_values, make_llm
from spa3d.model.modeling import Spa3dModel
from spa3d.model.saving import save_model
from spa3d.model.tokens import IGNORED, collate
from spa3d.pipeline.llm_trial import try_llm

PAGE = Path(__file__).parents[1] / "docs" / "llms.md"
BEGIN, END = "<!-- families: begin -->\n", "<!-- families: end -->\n"
UPDATE = "SPA3D_UPDATE_DOCS"

TINY: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 400}
USUAL: dict[str, Any] = {**TINY, "intermediate_size": 32, "num_attention_heads": 2, "max_position_embeddings": 512}
GROUPED: dict[str, Any] = {**USUAL, "num_key_value_heads": 1}
HEADS: dict[str, Any] = {**GROUPED, "head_dim": 8}
OPT: dict[str, Any] = {**TINY, "ffn_dim": 32, "num_attention_heads": 2, "max_position_embeddings": 512}
GPT2: dict[str, Any] = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 512, "vocab_size": 400}
SSM: dict[str, Any] = {"mamba_n_heads": 2, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1}
EXPERTS: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LINEAR: dict[str, Any] = {f"linear_num_{what}_heads": 2 for what in ("key", "value")} | {
    f"linear_{what}_head_dim": 8 for what in ("key", "value")
}
WINDOW = 16
"""Sliding windows are shorter than the prompts."""


@dataclass(frozen=True)
class Family:
    """A family of LLMs, as a row of the table.

    Attributes:
        name: its usual name.
        kind: ``model_type`` of its config.json.
        sizes: of a tiny one.
        remark: what is special about it.
        state: whether it carries a recurrent state beside or instead of keys and values.
        refused: the reason for which the trial refuses it, as a pattern; empty: it works.
        slow: tested with the slow tests only, because another family is like it.

    """

    name: str
    kind: str
    sizes: dict[str, Any]
    remark: str = ""
    state: bool = False
    refused: str = ""
    slow: bool = False


FAMILIES = [
    Family("LLaMA, Vicuna", "llama", GROUPED, "also with tied embeddings"),
    Family("Mistral", "mistral", {**GROUPED, "sliding_window": WINDOW}, "sliding window"),
    Family("Qwen2", "qwen2", {**GROUPED, "tie_word_embeddings": True}, "tied embeddings", slow=True),
    Family("Qwen3", "qwen3", HEADS, slow=True),
    Family("Phi-3", "phi3", {**GROUPED, "pad_token_id": 0}, slow=True),
    Family(
        "Gemma 2",
        "gemma2",
        {**HEADS, "sliding_window": WINDOW, "query_pre_attn_scalar": 8, "final_logit_softcapping": 2.0},
        "caps its logits; sliding window; tied embeddings",
    ),
    Family(
        "Gemma 3 (text)",
        "gemma3_text",
        {**HEADS, "sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]},
        "sliding window; tied embeddings",
    ),
    Family("GPT-2", "gpt2", GPT2, "learned positions; tied embeddings"),
    Family("GPT-NeoX, Pythia", "gpt_neox", USUAL, slow=True),
    Family("OPT", "opt", OPT, "learned positions; tied embeddings", slow=True),
    Family(
        "OPT-350m",
        "opt",
        {**OPT, "word_embed_proj_dim": 8, "do_layer_norm_before": False},
        "embeddings narrower than its hidden states",
    ),
    Family(
        "Granite",
        "granite",
        {**GROUPED, "logits_scaling": 8.0, "embedding_multiplier": 3.0},
        "scales its logits",
        slow=True,
    ),
    Family(
        "Cohere", "cohere", {**GROUPED, "logit_scale": 0.1, "pad_token_id": 0}, "scales its logits; tied embeddings"
    ),
    Family("SmolLM3", "smollm3", {**GROUPED, "pad_token_id": 0}, "layers without positions", slow=True),
    Family("Mixtral", "mixtral", {**GROUPED, "num_local_experts": 4}, "mixture of experts"),
    Family("Qwen3-MoE", "qwen3_moe", {**HEADS, **EXPERTS}, "mixture of experts", slow=True),
    Family("Mamba", "mamba", {**TINY, "state_size": 4}, "no attention", state=True),
    Family(
        "RecurrentGemma",
        "recurrent_gemma",
        {**USUAL, "num_hidden_layers": 3, "lru_width": 16, "attention_window_size": WINDOW, "logits_soft_cap": 5.0},
        "caps its logits; sliding window",
        state=True,
    ),
    Family(
        "Falcon-H1",
        "falcon_h1",
        {**HEADS, **SSM, "mamba_d_ssm": 32, "lm_head_multiplier": 0.05},
        "scales its logits; attention and Mamba in each layer",
        state=True,
    ),
    Family("Bloom", "bloom", {"hidden_size": 16, "n_layer": 2, "n_head": 2, "vocab_size": 400}, "ALiBi", slow=True),
    Family("Falcon", "falcon", {**TINY, "num_attention_heads": 2, "alibi": True}, "ALiBi", slow=True),
    Family("Phi-2", "phi", USUAL, "the vocabulary projection has a bias", slow=True),
    Family("OLMo 2", "olmo2", GROUPED, slow=True),
    Family("StarCoder2", "starcoder2", {**GROUPED, "sliding_window": WINDOW}, slow=True),
    Family("gpt-oss", "gpt_oss", {**HEADS, "num_local_experts": 4, "num_experts_per_tok": 2}, "experts", slow=True),
    Family(
        "Mamba 2",
        "mamba2",
        {**TINY, "state_size": 4, "num_heads": 4, "head_dim": 8, "n_groups": 1},
        state=True,
        slow=True,
    ),
    Family(
        "Jamba",
        "jamba",
        {**GROUPED, "num_experts": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
        state=True,
        slow=True,
    ),
    Family("Bamba", "bamba", {**GROUPED, **SSM, "attn_layer_indices": [1]}, state=True, slow=True),
    Family("LFM2", "lfm2", {**GROUPED, "layer_types": ["conv", "full_attention"]}, state=True, slow=True),
    Family(
        "Qwen3-Next",
        "qwen3_next",
        {
            **HEADS,
            **EXPERTS,
            **LINEAR,
            "shared_expert_intermediate_size": 16,
            "layer_types": ["linear_attention", "full_attention"],
        },
        "linear attention, experts",
        state=True,
        slow=True,
    ),
    Family(
        "Qwen3.5 (text)",
        "qwen3_5_text",
        {**HEADS, **LINEAR, "layer_types": ["linear_attention", "full_attention"]},
        "linear attention",
        state=True,
        slow=True,
    ),
    Family("MiniMax", "minimax", {**HEADS, "num_local_experts": 4}, "linear attention, experts", state=True, slow=True),
    Family(
        "RWKV-4",
        "rwkv",
        {**TINY, "attention_hidden_size": 16, "intermediate_size": 32, "context_length": 512},
        "takes no attention mask, so padding would change its answers",
        state=True,
        refused=r"the LLM \(rwkv\) scores answers as -[\d.]+ nats in a padded batch and as -[\d.]+ alone",
    ),
    Family(
        "BERT",
        "bert",
        USUAL,
        "an encoder: reads the text behind an answer, and keeps no cache",
        refused="the LLM keeps no cache of keys and values, with which options are scored; choose one that does",
    ),
]
WORKING = [family for family in FAMILIES if not family.refused]
QUESTIONS = ("Which side?", "Which side is it on, and which number does it have?")
OPTIONS = ("left", "on the right side")


def families(chosen: list[Family]) -> Any:
    """Parameters of a test, by name."""
    marks = [pytest.mark.slow if family.slow else () for family in chosen]
    return pytest.mark.parametrize(
        "family", [pytest.param(f, marks=mark, id=f.name) for f, mark in zip(chosen, marks, strict=True)]
    )


def make_world(toy: Any, family: Family, **changes: Any) -> Any:
    """The toy model with a tiny LLM of a family; its vocabulary is larger than the tokenizer's."""
    model, processor, clouds = toy()
    torch.manual_seed(0)
    config = AutoConfig.for_model(family.kind, **{**family.sizes, **changes})
    llm: Any = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in llm.parameters():
            if parameter.dim() == 2:
                parameter.mul_(3)  # so that a wrong cache or padding would show
    model.language_model, model.config.text_config = llm, config
    model.projector.layer = torch.nn.Linear(8, llm.get_input_embeddings().embedding_dim)
    return model.eval(), processor, clouds


def own_logp(model: Any, ids: list[int], cloud: torch.Tensor) -> torch.Tensor:
    """Log p ``(T - 1, V)`` after each token of one row, from the full logits of the LLM itself."""
    embeddings = model.embed(torch.tensor([ids]), cloud[None])
    logits: torch.Tensor = model.language_model(inputs_embeds=embeddings, use_cache=False).logits
    return logits[0, :-1].float().log_softmax(dim=-1)


def pick(logp: torch.Tensor, ids: list[int], labels: list[int]) -> torch.Tensor:
    """Log p of the labeled tokens of a row."""
    labeled = torch.tensor([label != IGNORED for label in labels[1:]])
    return logp[labeled].gather(1, torch.tensor(ids[1:])[labeled][:, None])[:, 0]


def exactly(expected: torch.Tensor) -> Any:
    return pytest.approx(expected.tolist(), abs=1e-5)


@families(WORKING)
def test_scores_are_those_of_the_llm_itself(toy: Any, family: Family, tmp_path: Path) -> None:
    model, processor, clouds = make_world(toy, family)
    view = built_in_views(ViewEncoder(model, clouds))["clean"]
    seen = [("train-0", 0), ("train-1", 0)]
    with torch.no_grad():
        points = view.tokens(seen).tokens
        assert points is not None
        _check_training(model, processor, points)
        _check_options(model, processor, {"clean": view}, points)
        _check_generation(model, processor, points)
    _check_saved(model, processor, tmp_path)
    assert keeps_keys_and_values(model.language_model) is not family.state
    try_llm(model, processor, "--llm x")
    assert gradient_of_projector(model, processor, points) > 0


def tokenize(processor: Any, question: str, answer: str) -> Any:
    return processor.tokenize(Conversation("x", (Round(question, answer),)), cloud=True)


def _check_training(model: Any, processor: Any, points: torch.Tensor) -> None:
    """Right-padded training text."""
    rows = [tokenize(processor, *pair) for pair in zip(QUESTIONS, OPTIONS, strict=True)]
    inputs = collate(rows, processor.pad_id, model.device)
    del inputs["rounds"]
    scored = model(**inputs, point_tokens=points).answer_logp
    for index, row in enumerate(rows):
        own = pick(own_logp(model, row.ids, points[index]), row.ids, row.labels)
        assert len(row.ids) > WINDOW
        assert scored[index][scored[index] != 0].tolist() == exactly(own)


def _check_options(model: Any, processor: Any, views: Any, points: torch.Tensor) -> None:
    """Options of a batch of questions of different lengths, and of one question alone."""
    predictor = Predictor(model, processor, views)
    questions = [
        Question(f"q{number}", f"train-{number}", text, OPTIONS, OPTIONS[0], "kind")
        for number, text in enumerate(QUESTIONS)
    ]
    together = predictor.answer(questions, "clean", lambda units: None)
    for index, (question, prediction) in enumerate(zip(questions, together, strict=True)):
        rows = [tokenize(processor, question.prompt, option) for option in OPTIONS]
        own = [pick(own_logp(model, row.ids, points[index]), row.ids, row.labels).sum() for row in rows]
        assert prediction.option_logp == pytest.approx([float(value) for value in own], abs=2e-5)
        [alone] = predictor.answer([question], "clean", lambda units: None)
        assert alone.option_logp == pytest.approx(prediction.option_logp, abs=2e-5)


def _check_generation(model: Any, processor: Any, points: torch.Tensor) -> None:
    """Greedy answers in a padded batch with a cache, without a cache, and of each row alone."""
    rows = [tokenize(processor, question, "x") for question in QUESTIONS]
    prompts = [row.ids[: row.rounds.index(0)] for row in rows]

    def write(some: list[list[int]], seen: torch.Tensor, **more: Any) -> Any:
        inputs = processor.pad(some, side="left")
        return model.generate(
            **inputs, point_tokens=seen, max_new_tokens=3, do_sample=False, eos_token_id=None, pad_token_id=0,
            output_logits=True, return_dict_in_generate=True, **more,
        )  # fmt: skip

    written = write(prompts, points)
    width = max(map(len, prompts))
    answers = written.sequences[:, width:].tolist()
    assert written.sequences.tolist() == write(prompts, points, use_cache=False).sequences.tolist()
    logp = torch.stack(written.logits, dim=1).float().log_softmax(dim=-1)
    for index, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        assert write([prompt], points[index : index + 1]).sequences[0].tolist() == [*prompt, *answer]
        own = own_logp(model, [*prompt, *answer], points[index])[len(prompt) - 1 :]
        torch.testing.assert_close(logp[index], own, atol=1e-5, rtol=0)


def _check_saved(model: Any, processor: Any, folder: Path) -> None:
    """Saved and read back, it gives the same logits: also what no file holds is there."""
    save_model(model, processor, folder)
    parts: Any = {"encoder": model.encoder, "projector": model.projector, "config": Spa3dConfig.from_pretrained(folder)}
    loaded: Any = Spa3dModel.from_pretrained(folder, **parts)
    ids = processor.pad([[1, 40, 41, 42]], side="left")["input_ids"]
    assert torch.equal(loaded.eval()(input_ids=ids).logits, model(input_ids=ids).logits)


def gradient_of_projector(model: Any, processor: Any, points: torch.Tensor) -> float:
    """Sum of the gradients that one training step gives the projector."""
    model.set_trained("projector", "llm")
    model.train()
    inputs = collate([tokenize(processor, "Which side?", "left")], processor.pad_id, model.device)
    del inputs["rounds"]
    model(**inputs, point_tokens=points[:1]).loss.backward()
    gradient: torch.Tensor = model.projector.layer.weight.grad
    return float(gradient.abs().sum()) if bool(gradient.isfinite().all()) else -1


@families([family for family in FAMILIES if family.refused])
def test_the_trial_refuses_an_llm_and_says_why(toy: Any, family: Family) -> None:
    model, processor, _ = make_world(toy, family)
    with pytest.raises(CheckpointError, match=rf"^--llm x: {family.refused}"):
        try_llm(model, processor, "--llm x")


@pytest.mark.parametrize(("name", "tied"), [("LLaMA, Vicuna", True), ("GPT-2", False)])
def test_scores_do_not_depend_on_tied_embeddings(toy: Any, name: str, tied: bool) -> None:
    family = next(each for each in FAMILIES if each.name == name)
    model, processor, _ = make_world(toy, family, tie_word_embeddings=tied)
    shared = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert shared is tied
    try_llm(model, processor, "--llm x")


@pytest.mark.parametrize("missing", ["pad_token", "bos_token", "eos_token"])
def test_a_tokenizer_may_lack_a_token(toy: Any, tmp_path: Path, missing: str) -> None:
    model, processor, _ = toy()
    tokenizer = processor.tokenizer
    if missing == "bos_token":
        tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer._special_tokens_map[missing] = None
    tokenizer.save_pretrained(tmp_path)
    model.language_model.save_pretrained(tmp_path)
    llm, tokenizer, ids = make_llm(LLMSettings(path=str(tmp_path)), lambda: iter(()))
    assert getattr(tokenizer, missing) == ("</s>" if missing == "eos_token" else None)
    model.language_model, model.config.text_config, model.config.point_ids = llm, llm.config, ids
    processor.tokenizer = tokenizer
    try_llm(model, processor, "--llm x")


def test_the_table_of_families() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    expected = before + BEGIN + family_table() + END + after
    if os.environ.get(UPDATE):
        PAGE.write_text(expected, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == expected, f"docs/llms.md is not up to date; {UPDATE}=1 writes it"


def family_table() -> str:
    """The table of docs/llms.md."""
    rows = ["| family | `model_type` | | options are scored | remarks |", "| --- | --- | --- | --- | --- |"]
    for family in FAMILIES:
        works = "**refused**" if family.refused else "works"
        scored = "" if family.refused else "each in a whole row" if family.state else "behind a shared prompt"
        rows.append(f"| {family.name} | `{family.kind}` | {works} | {scored} | {family.remark} |")
    return "\n".join(rows) + "\n"
