"""PointLLM folders give the original's prompts, logits and gradients, or are refused."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

import spa3d
from spa3d.checkpoints.load import describe
from spa3d.checkpoints.pointllm import pointllm_name
from spa3d.errors import CheckpointError, DataError
from spa3d.model.parts import create_part
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.saving import save_model
from spa3d.registry.registry import load_registry

GOLDEN = Path(__file__).parents[2] / "golden" / "pointllm"
PROMPTS = json.loads((GOLDEN / "prompts.json").read_text())
FORWARD = json.loads((GOLDEN / "forward.json").read_text())
ARRAYS = np.load(GOLDEN / "forward.npz")
REFUSED = {
    "answer_has_eos": "holds '</s>', a mark of the model's own",
    "unk_text": "holds '<unk>', a mark of the model's own",
    "answer_has_placeholder": "<point> may occur once, in the first question",
    "two_points": "<point> may occur once, in the first question",
}
"""Conversations that the original leaves untrained without a word, or of which it loses a cloud."""
Folders = Callable[[str], Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, make_pointllm: Any) -> Folders:
    """PointLLM folders by kind, made once."""
    root = tmp_path_factory.mktemp("pointllm")

    def find(kind: str) -> Path:
        if not (root / kind).exists():
            make_pointllm(root / kind, kind)
        return root / kind

    return find


@pytest.fixture(scope="module")
def flat(folders: Folders) -> Any:
    """Model and processor with the real projector and 513 tokens."""
    return spa3d.load(folders("flat"))


@pytest.fixture(scope="module")
def tiny(folders: Folders) -> Any:
    """Model and processor of nine tokens."""
    return spa3d.load(folders("tiny"))


def features(name: str, *shape: int) -> Tensor:
    """Tokens of the golden clouds."""
    stream = np.random.Generator(np.random.PCG64(zlib.crc32(f"input:{name}".encode())))
    return torch.from_numpy(stream.standard_normal(shape).astype(np.float32))


def expand(runs: Sequence[Any]) -> list[int]:
    """Ids written as numbers and ``[number, repeats]``."""
    return [number for run in runs for number in ([run[0]] * run[1] if isinstance(run, list) else [run])]


def inputs(case: str) -> dict[str, Tensor]:
    """Ids, mask and labels of a golden batch."""
    names = ("input_ids", "attention_mask", "labels")
    return {name: torch.from_numpy(ARRAYS[f"{case}/{name}"].astype(np.int64)) for name in names}


def set_case(processor: Spa3dProcessor, case: dict[str, Any]) -> None:
    start, end = ("<point_start>", "<point_end>") if case["mm_use_point_start_end"] else ("", "")
    processor.point_tokens = [start, "<point_patch>", end]
    processor.num_point_tokens, processor.max_length = case["point_token_len"], case["model_max_length"]


@pytest.mark.parametrize("saved", [False, True])
def test_prompts_and_labels_are_the_originals(tiny: Any, tmp_path: Path, saved: bool) -> None:
    processor = tiny[1]
    if saved:
        processor.save_pretrained(tmp_path)
        processor = Spa3dProcessor.from_pretrained(tmp_path)
    before = {name: getattr(processor, name) for name in ("point_tokens", "num_point_tokens", "max_length")}
    refused = set()
    for case in PROMPTS["training_cases"]:
        set_case(processor, case)
        if case["name"] in REFUSED:
            with pytest.raises(DataError, match=REFUSED[case["name"]]):
                processor.tokenize(case["conversation"], cloud=True)
            refused.add(case["name"])
            continue
        tokens, ids = processor.tokenize(case["conversation"], cloud=True), expand(case["input_ids_rle"])
        assert tokens.ids == ids, case["name"]
        if not case["all_ignored"]:
            labeled = {i for span in case["supervised_token_spans"] for i in range(*span)}
            assert tokens.labels == [ids[i] if i in labeled else -100 for i in range(len(ids))], case["name"]
    assert refused == {*REFUSED}
    for name, value in before.items():
        setattr(processor, name, value)


def test_questions_are_the_originals(flat: Any) -> None:
    for prompt in PROMPTS["inference_prompts"]:
        assert flat[1].question_ids(prompt["question"], cloud=True) == expand(prompt["ids_rle"])


@pytest.mark.parametrize(
    ("kind", "case", "shape"),
    [
        ("flat", "A1_single", (1, 513, 384)),
        ("flat", "A2_batch_mixed", (3, 513, 384)),
        ("tiny", "B1_scaled_featin", (2, 9, 24)),
        ("tiny", "B3_no_start_end", (1, 9, 24)),
        ("tiny", "C1_scaled_encoder", (2, 9, 24)),
    ],
)
def test_logits_and_losses_are_the_originals(
    request: pytest.FixtureRequest, kind: str, case: str, shape: tuple[int, ...]
) -> None:
    model, _ = request.getfixturevalue(kind)
    batch = inputs(case)
    with torch.no_grad():
        if case.startswith("C1"):
            tokens = model.encode(torch.from_numpy(ARRAYS["C1/points"]))
            torch.testing.assert_close(tokens, torch.from_numpy(ARRAYS["C1/backbone_features"]), atol=1e-5, rtol=0)
        else:
            tokens = features(case[:2], *shape)[: 2 if case.startswith("A2") else None]
        labels = batch.pop("labels")
        logits = model(**batch, point_tokens=tokens).logits
        scored = model(**batch, labels=labels, point_tokens=tokens)
    real = batch["attention_mask"].bool()
    stored = torch.from_numpy(ARRAYS[f"{case}/logits_first32"])
    last = real[:, -stored.shape[1] :]
    torch.testing.assert_close(logits[:, -stored.shape[1] :, :32][last], stored[last], atol=1e-4, rtol=0)
    sums = torch.from_numpy(ARRAYS[f"{case}/logsumexp"])
    torch.testing.assert_close(logits.logsumexp(dim=-1)[real], sums[real], atol=1e-4, rtol=0)
    assert float(scored.loss) == pytest.approx(FORWARD["cases"][case]["sft_loss"], abs=1e-5)
    assert scored.answer_logp.sum(dim=1).tolist() == pytest.approx(FORWARD["cases"][case]["seq_logp"], abs=1e-4)


def test_a_cloud_too_many_is_refused_and_not_lost(flat: Any, tiny: Any) -> None:
    with pytest.raises(ValueError, match=r"\[513, 513, 0\] in the prompts for 3 clouds"):
        flat[0](**inputs("A2_batch_mixed"), point_tokens=features("A2", 3, 513, 384))
    ids = torch.tensor([[1, 1501, *[1500] * 9, 1502, 1501, *[1500] * 9, 1502, 2]])
    with pytest.raises(ValueError, match="18 patch tokens in the text for 2 clouds of 9"):
        tiny[0](input_ids=ids, point_tokens=features("B2", 2, 9, 24))


def gradients(model: Any, loss: Tensor) -> dict[str, float]:
    """Norms of the gradients under PointLLM's names."""
    model.zero_grad()
    loss.backward()
    named = ((name, weight.grad) for name, weight in model.named_parameters())
    return {pointllm_name(name, "mlp"): float(grad.norm()) for name, grad in named if grad is not None}


def test_gradients_of_all_objectives_are_the_originals(flat: Any) -> None:
    model, _ = flat
    model.set_trained("projector", "llm")
    batch = inputs("A2_batch_mixed")
    norms = gradients(model, model(**batch, point_tokens=features("A2", 3, 513, 384)[:2]).loss)
    assert {name: norms[name] for name in FORWARD["grad_norms"]} == pytest.approx(FORWARD["grad_norms"], rel=1e-4)
    clean, batch = features("A1", 1, 513, 384), inputs("A1_single")
    dropped = torch.from_numpy(np.random.Generator(np.random.PCG64(123)).random(513) < 0.5)
    for golden, noised in (
        (FORWARD["spa"], clean.masked_fill(dropped[:, None], 0)),
        (FORWARD["spa_small_noise"], clean + 0.02 * features("A1n", 1, 513, 384)),
    ):
        logp = [model(**batch, point_tokens=tokens).answer_logp.sum() for tokens in (clean, noised)]
        loss = -F.logsigmoid(logp[0] - logp[1])
        assert [each.item() for each in logp] == pytest.approx([golden["logp_clean"], golden["logp_noised"]], abs=1e-4)
        assert loss.item() == pytest.approx(golden["loss"], abs=1e-5)
        norms = gradients(model, loss)
        assert {name: norms[name] for name in golden["grad_norms"]} == pytest.approx(golden["grad_norms"], rel=1e-3)
    model.set_trained()
    model.eval()


def test_the_first_stage_trains_start_and_end_only(flat: Any) -> None:
    model, _ = flat
    model.set_trained("projector", "embeddings")
    loss = model(**inputs("A1_single"), point_tokens=features("A1", 1, 513, 384)).loss
    gradients(model, loss)
    rows = model.get_input_embeddings().weight.grad.abs().sum(dim=1).nonzero().flatten().tolist()
    assert loss.item() == pytest.approx(FORWARD["stage1"]["loss"], abs=1e-5)
    assert rows == FORWARD["stage1"]["embed_rows_with_gradient"]
    model.set_trained()
    model.eval()


def test_greedy_answers_are_the_originals(flat: Any) -> None:
    model, processor = flat
    ids = torch.tensor([processor.question_ids("What is this?", cloud=True)])
    tokens = features("A1", 1, 513, 384)
    written = model.generate(input_ids=ids, point_tokens=tokens, max_new_tokens=16, do_sample=False)
    assert written[0, ids.shape[1] :].tolist() == FORWARD["greedy"]


def test_binary_shards_of_half_precision_are_read_unchanged(tmp_path: Path, make_pointllm: Any) -> None:
    state = make_pointllm(tmp_path, binary=True, dtype=torch.bfloat16, torch_dtype="float16")
    model, _ = spa3d.load(tmp_path)
    assert model.dtype == torch.bfloat16 == model.config.dtype
    assert len(model.state_dict()) == len(state) - 2
    for name, value in model.state_dict().items():
        stored = state[pointllm_name(name, "mlp")]
        assert torch.equal(value, stored.to(value.dtype)), name
        assert value.is_floating_point() == stored.is_floating_point(), name


@pytest.mark.parametrize("version", ["v1.2", "v1.1"])
def test_published_encoders_are_recognized(tmp_path: Path, make_pointllm: Any, version: str) -> None:
    make_pointllm(tmp_path, hidden_size=4096, num_attention_heads=32, vocab_size=32003, point_backbone_config_name=None)
    shapes = json.loads((GOLDEN / "shapes.json").read_text())[version]
    index = {"weight_map": dict.fromkeys(shapes, "model-00001-of-00002.safetensors")}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    config, registry = describe(tmp_path), load_registry()
    with torch.device("meta"):
        encoder = create_part(registry, "encoder", config.encoder)
        projector = create_part(registry, "projector", config.projector, dim=encoder.dim, hidden=4096)
    state = {f"encoder.{key}": value for key, value in encoder.state_dict().items()}
    state |= {f"projector.{key}": value for key, value in projector.state_dict().items()}
    assert config.num_points == 8192
    assert {pointllm_name(key, config.projector["name"]): [*value.shape] for key, value in state.items()} == shapes


def edit(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def lose(folder: Path, part: str) -> None:
    """Drop the weights with `part` in their name, from files and index."""
    index = folder / "model.safetensors.index.json"
    entries = json.loads(index.read_text())["weight_map"]
    for file in {*entries.values()}:
        kept = {name: value for name, value in load_file(folder / file).items() if part not in name}
        save_file(kept, folder / file, metadata={"format": "pt"})
    kept_entries = {name: file for name, file in entries.items() if part not in name}
    index.write_text(json.dumps({"metadata": {}, "weight_map": kept_entries}))


SHARD = "model-00002-of-00002.safetensors"
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "another encoder": (
        lambda f: edit(f, point_backbone_config_name=None),
        r"not those of its config\.json .* of another shape, .*\(\(24,\) there, \(384,\) here\)",
    ),
    "unknown encoder": (
        lambda f: edit(f, point_backbone_config_name="other"),
        r"is 'other', and known are .*copy PointLLM's file other\.yaml",
    ),
    "no PointBERT": (lambda f: edit(f, point_backbone="pointnet2"), "is 'pointnet2'; only PointBERT"),
    "odd heads": (
        lambda f: (f / "tiny_gold.yaml").write_text(
            (f / "tiny_gold.yaml").read_text().replace('heads": 3', 'heads": 5')
        ),
        "encoder 'pointbert' does not take the settings of the model: heads must divide the width 24",
    ),
    "fewer layers": (lambda f: edit(f, num_hidden_layers=1), r"9 left over, such as model\.layers\.1\.input_layernorm"),
    "more layers": (lambda f: edit(f, num_hidden_layers=3), r"9 missing, such as model\.layers\.2\.input_layernorm"),
    "other width": (lambda f: edit(f, hidden_size=32), r"lm_head\.weight \(\(1503, 64\) there, \(1503, 32\) here\)"),
    "other heads": (lambda f: edit(f, num_attention_heads=8), "inv_freq is not that of 8 heads"),
    "no color": (lambda f: edit(f, use_color=False), r"\(\(128, 6, 1\) there, \(128, 3, 1\) here\)"),
    "scaled rotation": (lambda f: edit(f, rope_scaling={"type": "linear"}), "rope_scaling"),
    "other vocabulary": (lambda f: edit(f, vocab_size=32003), "tokenizer has 1503 tokens.* vocab_size of 32003"),
    "code": (lambda f: edit(f, auto_map={"AutoModel": "x.Y"}), r"names code of its own \(auto_map\)"),
    "no names": (lambda f: edit(f, DEFAULT_POINT_PATCH_TOKEN=None), "has no DEFAULT_POINT_PATCH_TOKEN"),
    "lost shard": (lambda f: (f / SHARD).unlink(), f"1 of its 2 files of weights are missing, such as {SHARD}"),
    "torn shard": (lambda f: (f / SHARD).write_bytes((f / SHARD).read_bytes()[:9000]), f"{SHARD}: .*again, complete"),
    "lost weight": (lambda f: lose(f, "layers.1.mlp.up_proj"), r"1 missing, such as model\.layers\.1\.mlp\.up_proj"),
    "init": (lambda f: lose(f, ".point_"), "no encoder and projector, only the LLM"),
    "no tokenizer": (lambda f: (f / "tokenizer.model").unlink(), r"has no tokenizer\.model"),
    "torn tokenizer": (lambda f: (f / "tokenizer.model").write_bytes(b"\x0a\xff"), "cannot be read as a SentencePiece"),
    "odd tokens": (
        lambda f: (f / "added_tokens.json").write_text('{"<a>": 1700}'),
        "ids do not follow the 1500 tokens",
    ),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_load_refuses_what_does_not_fit(tmp_path: Path, make_pointllm: Any, defect: str) -> None:
    make_pointllm(tmp_path)
    spoil, message = BROKEN[defect]
    spoil(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        spa3d.load(tmp_path)


def test_a_model_without_its_encoder_takes_encoder_tokens_alone(tmp_path: Path, make_pointllm: Any, tiny: Any) -> None:
    make_pointllm(tmp_path)
    lose(tmp_path, ".point_backbone.")
    model, processor = spa3d.load(tmp_path)
    case, tokens = inputs("B1_scaled_featin"), features("B1", 2, 9, 24)
    assert model(**case, point_tokens=tokens).loss.item() == tiny[0](**case, point_tokens=tokens).loss.item()
    assert model.num_point_tokens() == 9
    with pytest.raises(CheckpointError, match="its weights have no encoder, so it takes encoder tokens"):
        model(**case, points=torch.zeros(2, 64, 6))
    save_model(model, processor, tmp_path / "again")
    with pytest.raises(CheckpointError, match=r"missing, such as encoder\.blocks"):
        spa3d.load(tmp_path / "again")


def test_missing_batch_counts_are_zero(tmp_path: Path, make_pointllm: Any) -> None:
    make_pointllm(tmp_path)
    lose(tmp_path, "num_batches_tracked")
    counts = [value for name, value in spa3d.load(tmp_path)[0].state_dict().items() if "num_batches" in name]
    assert [value.tolist() for value in counts] == [0, 0]
