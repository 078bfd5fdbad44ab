"""Predictor: answers are independent of the batch; likelihoods equal a plain forward's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spa3d.contracts.benchmark import Question
from spa3d.contracts.dataset import Conversation, Round
from spa3d.errors import DataError
from spa3d.inference.predictor import Predictor
from spa3d.inference.views import ViewEncoder, built_in_views
from spa3d.model.tokens import IGNORED

PROMPTS = ("Which side?", "Which side, left or right, and how many of them? Tell it in a few words.", "What?")


def questions(options: tuple[str, ...] | None) -> list[Question]:
    return [
        Question(f"q{i}", f"test-{i}", prompt, options, options[0] if options else "left", "side")
        for i, prompt in enumerate(PROMPTS)
    ]


@pytest.fixture
def answerer(toy: Any) -> Predictor:
    model, processor, clouds = toy()
    with torch.no_grad():  # sharper than fresh weights are, so that a misplaced token shows
        for parameter in model.language_model.parameters():
            parameter.mul_(3)
    return Predictor(model, processor, built_in_views(ViewEncoder(model, clouds)), batch_size=3)


@pytest.mark.parametrize("view", ["clean", "blind"])
def test_an_options_likelihood_is_that_of_a_plain_forward(answerer: Predictor, view: str) -> None:
    options = ("left", "on the right hand side", "It is 3.", "top")
    items = questions(options)
    result = answerer.answer(items, view, lambda units: None)
    cloud = answerer.views[view].prefix == "cloud"
    for question, prediction in zip(items, result, strict=True):
        by_hand, lengths = [], []
        for option in options:
            conversation = Conversation("x", (Round(question.prompt, option),))
            tokens = answerer.processor.tokenize(conversation, cloud=cloud)
            clouds = answerer.views[view].tokens([(question.record_id, 0)]).tokens
            output = answerer.model(
                input_ids=torch.tensor([tokens.ids]), labels=torch.tensor([tokens.labels]), point_tokens=clouds
            )
            by_hand.append(float(output.answer_logp.detach().sum()))
            lengths.append(sum(label != IGNORED for label in tokens.labels))
        assert prediction.option_logp == pytest.approx(by_hand, abs=1e-3)
        assert prediction.option_lengths == tuple(lengths)
        assert prediction.text == options[by_hand.index(max(by_hand))]


@pytest.mark.parametrize("view", ["clean", "blind"])
@pytest.mark.parametrize("options", [None, ("left", "right", "top")])
def test_neighbors_in_the_batch_change_nothing(answerer: Predictor, view: str, options: tuple[str, ...] | None) -> None:
    items = questions(options)
    together = answerer.answer(items, view, lambda units: None)
    for question, prediction in zip(items, together, strict=True):
        [alone] = answerer.answer([question], view, lambda units: None)
        assert alone.text == prediction.text
        assert alone.option_logp == pytest.approx(prediction.option_logp, abs=1e-3)


def test_many_options_make_smaller_batches(answerer: Predictor) -> None:
    def sizes(count: int) -> list[int]:
        units: list[int] = []
        answerer.answer(questions(tuple(f"option {i}" for i in range(count))), "blind", units.append)
        return units

    assert (sizes(4), sizes(6), sizes(40)) == ([3], [2, 1], [1, 1, 1])  # at most 12 options, but one question


def test_a_free_answer_is_the_likeliest_token_by_token(answerer: Predictor) -> None:
    [prediction] = answerer.answer(questions(None)[:1], "clean", lambda units: None)
    processor = answerer.processor
    ids, clouds = processor.question_ids(PROMPTS[0], cloud=True), answerer.views["clean"].tokens([("test-0", 0)]).tokens
    start = len(ids)
    while len(ids) < start + 64 and ids[-1] != processor.tokenizer.eos_token_id:
        ids.append(int(answerer.model(input_ids=torch.tensor([ids]), point_tokens=clouds).logits[0, -1].argmax()))
    assert prediction.text == processor.decode_answer(ids[start:])


def test_questions_of_different_shapes_come_back_in_their_order(answerer: Predictor) -> None:
    items = [*questions(("left", "right")), *questions(None), *questions(("top", "bottom", "left"))]
    mixed = [items[i] for i in (4, 0, 7, 1, 5, 8, 2, 3, 6)]
    advanced: list[int] = []
    result = answerer.answer(mixed, "clean", advanced.append)
    assert [len(prediction.option_logp) for prediction in result] == [len(q.options or ()) for q in mixed]
    assert sum(advanced) == len(mixed)


def test_answer_takes_the_first_of_equal_options(answerer: Predictor) -> None:
    [prediction] = answerer.answer(questions(("left", "left"))[:1], "clean", lambda units: None)
    assert prediction.option_logp[0] == prediction.option_logp[1]
    assert prediction.text == "left"


def greedy(answerer: Predictor, number: int, count: int) -> list[int]:
    """The likeliest `count` tokens behind a prompt, one forward each."""
    ids = answerer.processor.question_ids(PROMPTS[number], cloud=True)
    clouds, start = answerer.views["clean"].tokens([(f"test-{number}", 0)]).tokens, len(ids)
    for _ in range(count):
        ids.append(int(answerer.model(input_ids=torch.tensor([ids]), point_tokens=clouds).logits[0, -1].argmax()))
    return ids[start:]


def test_an_answer_stops_at_every_end_token(answerer: Predictor) -> None:
    """Chat LLMs end a turn with a token of their own, which their generation config names."""
    ids, processor = greedy(answerer, 0, 5), answerer.processor
    assert processor.tokenizer.eos_token_id not in ids
    answerer.model.generation_config.eos_token_id = [processor.tokenizer.eos_token_id, ids[3]]
    [short] = answerer.answer(questions(None)[:1], "clean", lambda units: None)
    assert short.text == processor.decode_answer(ids[: ids.index(ids[3])])


def test_an_answer_ends_with_the_positions_of_the_llm(answerer: Predictor) -> None:
    wording, processor = questions(None), answerer.processor
    longest = max(len(processor.question_ids(question.prompt, cloud=True)) for question in wording)
    answerer.model.config.text_config.max_position_embeddings = longest + 5
    together = answerer.answer(wording, "clean", lambda units: None)
    for question, prediction in zip(wording, together, strict=True):
        assert answerer.answer([question], "clean", lambda units: None) == [prediction]
    assert together[1].text == processor.decode_answer(greedy(answerer, 1, 5))
    answerer.model.config.text_config.max_position_embeddings = longest
    with pytest.raises(DataError, match=r"test-1: a question of \d+ tokens leaves no room .*; shorten it"):
        answerer.answer(wording, "clean", lambda units: None)
