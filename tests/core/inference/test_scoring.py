"""Scoring: equal to a plain forward; the loss of a step is independent of its batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from spa3d.contracts.objective import Need, Objective, Scores, Term
from spa3d.inference.samples import Sample
from spa3d.inference.scoring import score
from spa3d.inference.views import CleanView, ViewEncoder, Views, built_in_views
from spa3d.model.tokens import IGNORED, Tokens, collate
from spa3d.registry.create import create
from spa3d.runtime.row_store import RowStore
from spa3d.training.dataset import instructions
from spa3d.training.examples import sft_example, tokenize_example
from spa3d.training.loss import count_units, total

CLEAN, NOISED = Need("chosen", "clean"), Need("chosen", "noised")


def make_mask() -> Any:
    return create("noise", "mask", level=0.5, patches=4, patch_size=8)


def store_views(views: Views, folder: Any) -> Views:
    """The same views, whose tokens are kept in `folder`."""
    encoder = ViewEncoder(views.model, views.encoder.clouds, RowStore(folder, (4, 8)))
    return built_in_views(encoder, noise=make_mask(), seed=3)


@pytest.fixture
def world(toy: Any, toy_dataset: Any) -> Any:
    model, processor, clouds = toy()
    model.set_trained("projector", "llm")
    views = built_in_views(ViewEncoder(model, clouds), noise=make_mask(), seed=3)
    text = tokenize_example(
        processor, sft_example(instructions(toy_dataset, 0)), [("chosen", "cloud"), ("chosen", "blind")]
    )
    batch = [text(record, 0) for record in toy_dataset.records("train")]
    return model, views, batch


def test_log_probabilities_are_those_of_a_full_forward(world: Any) -> None:
    model, views, batch = world
    sample = batch[0]
    tokens = sample.texts["chosen", "cloud"]
    result = score(model, [CLEAN], [sample], views).scores["chosen", "clean"]
    points = views["clean"].tokens([(sample.record_id, 0)]).tokens
    logits = model(input_ids=torch.tensor([tokens.ids]), point_tokens=points).logits[0].log_softmax(-1).detach()
    by_hand = sum(float(logits[index - 1, label]) for index, label in enumerate(tokens.labels) if label != IGNORED)
    assert float(result.logp.detach()) == pytest.approx(by_hand, abs=1e-4)
    assert int(result.length) == tokens.answer_count


def test_padding_and_neighbors_do_not_change_a_score(world: Any) -> None:
    model, views, batch = world
    together = score(model, [CLEAN, NOISED], batch, views).scores
    for i, sample in enumerate(batch):
        alone = score(model, [CLEAN, NOISED], [sample], views).scores
        for need in (CLEAN, NOISED):
            assert float(alone[need.key].logp) == pytest.approx(float(together[need.key].logp[i]), abs=1e-4)


def test_the_blind_score_never_sees_a_cloud(world: Any) -> None:
    model, views, batch = world
    views.encoder.clouds.get = None  # any use of it fails
    result = score(model, [Need("chosen", "blind")], batch, views).scores
    assert result["chosen", "blind"].logp.shape == (8,)


class Both(Objective):
    """A token term and a sequence term, so that both units are split."""

    needs = (CLEAN, NOISED)

    def terms(self, scores: Scores) -> Sequence[Term]:
        clean, noised = scores["chosen", "clean"], scores["chosen", "noised"]
        return [
            Term("nll", -clean.token_logp, "token", 0.7),
            Term("gap", torch.nn.functional.softplus(noised.logp - clean.logp), "sequence", 0.3),
        ]


def gradients(model: Any) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def text_only(sample: Sample) -> Sample:
    """The sample as a text-only conversation, without a point block behind any prefix."""
    return replace(sample, has_cloud=False, texts=dict.fromkeys(sample.texts, sample.texts["chosen", "blind"]))


class Turned(CleanView):
    """A view of one's own that shows a cloud."""

    name = "turned"


@pytest.mark.parametrize("view", ["noised", "other", "twin", "turned"])
def test_text_only_conversations_are_absent_under_views_of_a_cloud(world: Any, toy_dataset: Any, view: str) -> None:
    model, views, batch = world
    built_in = built_in_views(views.encoder, noise=make_mask(), seed=3, others=toy_dataset.records("train"))
    views = Views(views.encoder, [*built_in.values(), Turned(views.encoder)])
    need = Need("chosen", view)
    for alone in (text_only(batch[0]), replace(text_only(batch[0]), twin_id=batch[1].record_id)):
        scores = score(model, [CLEAN, need], [alone], views).scores
        assert scores["chosen", "clean"].present.tolist() == [True]
        assert scores[need.key].present.tolist() == [False]
        assert scores[need.key].logp.tolist() == [0.0]


@pytest.mark.parametrize("name", ["spa", "scene-dpo", "mdpo"])
def test_text_only_conversations_add_nothing_to_contrasts_of_views(world: Any, name: str) -> None:
    model, views, batch = world
    objective = create("objective", name)
    mixed = [batch[0], text_only(batch[1])]
    policy = score(model, [need for need in objective.needs if need.model == "policy"], mixed, views).scores
    scores = Scores({**policy, **{(text, view, "reference"): policy[text, view] for text, view, _ in policy}})
    contrast = next(term for term in objective.terms(scores) if term.name in ("spa", "view"))
    assert contrast.values[0] > 0
    assert contrast.values[1] == 0


def test_count_units_counts_the_tokens_of_text_only_conversations(world: Any) -> None:
    _, views, batch = world
    mixed = [batch[0], text_only(batch[1])]
    counts = count_units([mixed], [NOISED], views)
    tokens = sum(sample.texts["chosen", "blind"].answer_count for sample in mixed)
    assert counts == {"token": float(tokens), "sequence": 2.0}


@pytest.mark.parametrize("pieces", [2, 4, 8])
def test_one_step_of_eight_equals_its_pieces(world: Any, pieces: int) -> None:
    model, views, batch = world
    objective = Both()
    micro = [batch[i : i + 8 // pieces] for i in range(0, 8, 8 // pieces)]
    counts = count_units(micro, objective.needs, views)
    results = []
    for parts in ([batch], micro):
        model.zero_grad()
        losses = [total(objective.terms(score(model, objective.needs, part, views).scores), counts) for part in parts]
        torch.stack(losses).sum().backward()
        results.append((float(sum(loss.item() for loss in losses)), gradients(model)))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-6)
    torch.testing.assert_close(results[0][1], results[1][1], atol=1e-6, rtol=1e-4)


def test_cached_tokens_give_the_same_loss(world: Any, tmp_path: Any) -> None:
    model, views, batch = world
    plain = score(model, [CLEAN, NOISED], batch, views).scores
    views = store_views(views, tmp_path)
    for _ in range(2):
        cached = score(model, [CLEAN, NOISED], batch, views).scores
        for need in (CLEAN, NOISED):
            torch.testing.assert_close(cached[need.key].logp, plain[need.key].logp, atol=1e-5, rtol=0)
    assert views.encoder.store is not None
    assert len(views.encoder.store) == 16


def test_noise_level_is_known_for_cached_tokens(world: Any, tmp_path: Any) -> None:
    model, views, batch = world
    levels = [score(model, [NOISED], batch, store_views(views, tmp_path)).levels["noised"] for _ in range(2)]
    assert levels[0] == levels[1]
    assert 0 < levels[0][0] < 1
    assert levels[0][1] == len(batch)


def test_score_passes_the_number_of_patch_tokens(world: Any) -> None:
    model, views, batch = world
    patch_counts = []

    def forward(**inputs: Any) -> Any:
        patch_counts.append((inputs["patch_count"], int((inputs["input_ids"] == model.config.point_ids[1]).sum())))
        return model(**inputs)

    score(forward, [CLEAN, Need("chosen", "blind"), replace(NOISED, grad=False)], batch, views)
    assert patch_counts == [(32, 32), (32, 32)]


def test_collate_pads_each_tensor_with_its_neutral_value() -> None:
    rows = [Tokens([5, 6, 7], [IGNORED, 6, 7], [-1, 0, 0]), Tokens([8], [8], [0])]
    batch = collate(rows, 1, torch.device("cpu"))
    assert {name: table.tolist() for name, table in batch.items()} == {
        "input_ids": [[5, 6, 7], [8, 1, 1]],
        "attention_mask": [[1, 1, 1], [1, 0, 0]],
        "labels": [[IGNORED, 6, 7], [8, IGNORED, IGNORED]],
        "rounds": [[-1, 0, 0], [0, -1, -1]],
    }
    assert all(table.is_contiguous() and table.dtype == torch.int64 for table in batch.values())
