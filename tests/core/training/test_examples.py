"""Training examples: rejected texts, twins, and one forward for all needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from spa3d.contracts.dataset import Fact, Record, Twin
from spa3d.contracts.objective import Need, Objective, Scores, Term, asks_for_pairs, asks_for_twins
from spa3d.data.preference_pairs import Pair
from spa3d.errors import DataError
from spa3d.inference.samples import Sample
from spa3d.inference.scoring import score
from spa3d.inference.views import ViewEncoder, built_in_views
from spa3d.model.tokens import IGNORED
from spa3d.registry.create import create
from spa3d.training.dataset import TrainingDataset, instructions
from spa3d.training.examples import (
    minimal_pair_example,
    preference_example,
    required_texts,
    sft_example,
    tokenize_example,
)
from spa3d.training.loss import count_units, total

FOUR = [Need(text, view) for view in ("clean", "twin") for text in ("chosen", "rejected")]


@pytest.fixture(scope="session")
def toy_dataset(toy_dataset: Any) -> Any:
    """The toy world, in which every other record has a twin on the other side."""

    class Twins(type(toy_dataset)):
        def record(self, record_id: str) -> Record:
            name, _, number = record_id.partition("~")
            if not number:
                return super().record(name)
            split, index = name.split("-")
            return super().record(f"{split}-{int(index) + 1}")

        def twin(self, record: Record, number: int = 0) -> Twin | None:
            if record.facts[0].answer == "left":
                return None
            before = record.facts[0]
            after = Fact(before.kind, before.subject, before.question, "left", before.options)
            name = f"{record.id}~{number}"
            made = replace(self.record(name), id=name, object_id=record.id, group=record.id)
            return Twin(made, before, after)

    return Twins()


@pytest.fixture
def world(toy: Any, toy_dataset: Any) -> Any:
    model, processor, clouds = toy()
    model.set_trained("projector", "llm")
    noise = create("noise", "mask", level=0.5, patches=4, patch_size=8)
    return model, processor, built_in_views(ViewEncoder(model, clouds), noise=noise)


def samples(views: Any, dataset: Any) -> list[Sample]:
    """Minimal pairs of all records that have a twin."""
    example = minimal_pair_example(dataset, instructions(dataset, 0), share=1.0, seed=0)
    make = tokenize_example(views.encoder.processor, example, required_texts(FOUR, views))
    return [make(record, 0) for record in dataset.records("train")]


def answer(processor: Any, tokens: Any) -> str:
    return str(processor.decode_answer([label for label in tokens.labels if label != IGNORED]))


def test_minimal_pair_example_asks_only_for_the_changed_fact(world: Any, toy_dataset: Any) -> None:
    _, processor, views = world
    made = samples(views, toy_dataset)
    assert [bool(sample.twin_id) for sample in made] == [True, False] * 4
    pair, plain = made[0], made[1]
    assert pair.twin_id == "train-0~0"
    assert answer(processor, pair.texts["chosen", "cloud"]) == "right"
    assert answer(processor, pair.texts["rejected", "cloud"]) == "left"
    assert "Which side?" in processor.tokenizer.decode(pair.texts["chosen", "cloud"].ids)
    assert [plain.tokens(need.text, views[need.view]) is None for need in FOUR] == [False, True, True, True]


def test_minimal_pair_example_share(toy_dataset: Any) -> None:
    example = minimal_pair_example(toy_dataset, instructions(toy_dataset, 0), share=0.25, seed=0)
    records = [record for record in toy_dataset.records("train") if record.facts[0].answer == "right"]
    result = [bool(example(record, epoch).twin_id) for record in records for epoch in range(100)]
    assert 0.18 < sum(result) / len(result) < 0.32
    again = minimal_pair_example(toy_dataset, instructions(toy_dataset, 0), share=0.25, seed=0)
    assert result == [bool(again(record, epoch).twin_id) for record in records for epoch in range(100)]


def test_preference_example_is_one_question_with_two_answers(world: Any) -> None:
    _, processor, _ = world
    pair = Pair("train-3", "Which number?", "It is 3.", "It is 4.")
    sample = tokenize_example(processor, preference_example, [("chosen", "cloud"), ("rejected", "cloud")])(pair, 5)
    assert (sample.record_id, sample.epoch, sample.twin_id) == ("train-3", 5, "")
    assert answer(processor, sample.texts["rejected", "cloud"]) == "It is 4."


def test_required_texts_of_needs(world: Any) -> None:
    _, _, views = world
    pairs = [Need("chosen"), Need("rejected"), Need("rejected", model="reference")]
    assert asks_for_pairs(pairs)
    assert not asks_for_twins(pairs)
    assert asks_for_twins(FOUR)
    assert not asks_for_pairs(FOUR), "the twin brings the rejected answer"
    assert required_texts([Need("chosen"), Need("chosen", "noised"), Need("chosen", "blind")], views) == [
        ("chosen", "blind"),
        ("chosen", "cloud"),
    ]


def test_tokenize_example_refuses_answers_cut_under_one_prefix(world: Any, toy_dataset: Any) -> None:
    _, processor, _ = world
    make = tokenize_example(
        processor, sft_example(instructions(toy_dataset, 0)), [("chosen", "blind"), ("chosen", "cloud")], truncate=True
    )
    record = toy_dataset.record("train-2")
    processor.max_length = len(make(record, 0).texts["chosen", "cloud"].ids) - 2
    with pytest.raises(DataError, match=r"train-2: less of an answer.*max_length"):
        make(record, 0)


def test_training_dataset_lists_answers_that_are_cut(world: Any, toy_dataset: Any) -> None:
    _, processor, _ = world
    sampler = sft_example(instructions(toy_dataset, 0))
    make = tokenize_example(processor, sampler, [("chosen", "cloud")], truncate=True)
    records = toy_dataset.records("train")
    whole = {record.id: make(record, 0).texts["chosen", "cloud"] for record in records}
    processor.max_length = max(len(tokens.ids) for tokens in whole.values()) - 2
    samples = TrainingDataset(records, 3 * len(records), 0, make)
    for index in range(len(samples)):
        assert len(samples[index].texts["chosen", "cloud"].ids) <= processor.max_length
    long = {name for name, tokens in whole.items() if len(tokens.ids) > processor.max_length}
    assert {name for name, _ in samples.cut} >= long
    lost = len(whole[min(long)].ids) - processor.max_length
    line = samples.cut[min(long), "chosen"]
    assert line.startswith(f"record {min(long)}: {lost} of {whole[min(long)].answer_count} tokens of the chosen answer")


def test_tokenize_example_cuts_on_request_only(world: Any, toy_dataset: Any) -> None:
    _, processor, _ = world
    make = tokenize_example(processor, sft_example(instructions(toy_dataset, 0)), [("chosen", "cloud")])
    record = toy_dataset.record("train-2")
    processor.max_length = len(make(record, 0).texts["chosen", "cloud"].ids) - 2
    with pytest.raises(DataError, match=r"train-2: 2 tokens of the chosen conversation lie .*--train\.truncate"):
        make(record, 0)


def test_tokenize_example_refuses_an_empty_answer(world: Any) -> None:
    _, processor, _ = world
    make = tokenize_example(processor, preference_example, [("chosen", "cloud"), ("rejected", "cloud")])
    with pytest.raises(DataError, match=r"train-3: the answer to 'Which number\?' is empty"):
        make(Pair("train-3", "Which number?", "3.", ""), 0)


def test_tokenize_example_refuses_answers_that_differ_only_behind_the_cut(world: Any) -> None:
    _, processor, _ = world
    texts = [("chosen", "cloud"), ("rejected", "cloud")]
    make = tokenize_example(processor, preference_example, texts, truncate=True)
    pair = Pair("train-3", "Which number?", "It is a long word " * 9 + "3.", "It is a long word " * 9 + "4.")
    processor.max_length = 40
    with pytest.raises(DataError, match=r"train-3: the chosen and the rejected answer are the same up to .*40 tokens"):
        make(pair, 0)


def test_samples_without_twins_have_empty_rows(world: Any, toy_dataset: Any) -> None:
    model, _processor, views = world
    batch = samples(views, toy_dataset)
    scores = score(model, FOUR, batch, views).scores
    for need in FOUR:
        here = [sample.tokens(need.text, views[need.view]) is not None for sample in batch]
        assert scores[need.key].present.tolist() == here
        assert (scores[need.key].logp != 0).tolist() == here
        for i, sample in enumerate(batch):
            if here[i]:
                alone = score(model, [need], [sample], views).scores[need.key]
                torch.testing.assert_close(alone.logp[0], scores[need.key].logp[i], atol=1e-4, rtol=0)
    lonely = score(model, FOUR, [batch[1]], views).scores["rejected", "twin"]
    assert lonely.logp.tolist() == [0.0]
    assert lonely.mean_logp.tolist() == [0.0]


def test_every_view_is_encoded_once_and_one_forward_scores_all(world: Any, toy_dataset: Any) -> None:
    model, _processor, views = world
    batch, encoded, forwards = samples(views, toy_dataset), [], []
    encode = model.encode
    model.encode = lambda points: encoded.append(len(points)) or encode(points)
    whole = model.get_decoder().register_forward_hook(lambda *_: forwards.append(1))
    score(model, FOUR, batch, views)
    assert encoded == [8, 4]  # eight clean clouds, four twins, though eight and four texts want each
    assert len(forwards) == 1
    whole.remove()


def test_score_returns_the_vocabulary_if_requested(world: Any, toy_dataset: Any) -> None:
    model, processor, views = world
    needs = [Need("chosen", "clean", vocabulary=True), Need("chosen", "blind", grad=False, vocabulary=True)]
    make = tokenize_example(processor, sft_example(instructions(toy_dataset, 0)), required_texts(needs, views))
    batch = [make(record, 0) for record in toy_dataset.records("train")]
    scores = score(model, needs, batch, views).scores
    for need in needs:
        result = scores[need.key]
        assert result.vocabulary is not None
        assert result.vocabulary.shape[0] == int(result.answer_mask.sum())
        torch.testing.assert_close(result.vocabulary.exp().sum(dim=1), torch.ones(result.vocabulary.shape[0]))
        text = ("chosen", "blind" if need.view == "blind" else "cloud")
        labels = [label for sample in batch for label in sample.texts[text].labels if label != IGNORED]
        picked = result.vocabulary[torch.arange(len(labels)), torch.tensor(labels)]
        torch.testing.assert_close(picked, result.token_logp[result.answer_mask])
        assert result.vocabulary.requires_grad == need.grad
    assert score(model, [Need("chosen", "clean")], batch, views).scores["chosen", "clean"].vocabulary is None


class Contrast(Objective):
    """Token NLL for all, a contrast for those that have a twin."""

    needs = FOUR

    def terms(self, scores: Scores) -> list[Term]:
        clean, twin = scores["chosen", "clean"], scores["chosen", "twin"]
        contrast = torch.nn.functional.softplus(twin.logp - clean.logp) * twin.present
        return [Term("nll", -clean.token_logp, "token"), Term("contrast", contrast, "sequence")]


def test_a_step_with_twins_equals_its_pieces(world: Any, toy_dataset: Any) -> None:
    model, _processor, views = world
    batch, result = samples(views, toy_dataset), []
    for pieces in ([batch], [batch[i : i + 1] for i in range(8)]):  # some pieces have no twin at all
        counts = count_units(pieces, FOUR, views)
        model.zero_grad()
        losses = [total(Contrast().terms(score(model, FOUR, part, views).scores), counts) for part in pieces]
        torch.stack(losses).sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        result.append((float(torch.stack(losses).sum().detach()), gradient))
    assert result[0][0] == pytest.approx(result[1][0], abs=1e-6)
    torch.testing.assert_close(result[0][1], result[1][1], atol=1e-6, rtol=1e-4)
