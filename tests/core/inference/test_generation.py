"""Generation: answers do not depend on the batch; their log p is that of a plain forward."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spa3d.errors import DataError
from spa3d.inference import generation
from spa3d.inference.generation import AnswerIds, Decoding, Generator, Prompt
from spa3d.runtime.rng import Draws


@pytest.fixture
def generator(toy: Any) -> Generator:
    model, processor, _ = toy()
    with torch.no_grad():
        for parameter in model.language_model.parameters():
            parameter.mul_(3)
    return Generator(model, processor)


def prompts(generator: Generator) -> list[Prompt]:
    """Two prompts with clouds, of different lengths, and one without."""
    clouds = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1))
    ids = generator.processor.prompt_ids
    return [
        Prompt(ids((), "Which side?", cloud=True), clouds[0], "a"),
        Prompt(ids((), "Which side, and which number does it have?", cloud=False), None, "b"),
        Prompt(ids((), "What is this thing?", cloud=True), clouds[1], "c"),
    ]


DECODINGS = [Decoding(max_tokens=9), Decoding(max_tokens=9, temperature=1.0, top_p=0.9, seed=3)]


@pytest.mark.parametrize("decoding", DECODINGS)
def test_generate_neighbors_in_the_batch_change_nothing(generator: Generator, decoding: Decoding) -> None:
    items = prompts(generator)
    together = generator.generate(items, decoding)
    assert together == [generator.generate([item], decoding)[0] for item in items]
    assert all(0 < len(answer.ids) <= 9 for answer in together)


def test_generate_draws_depend_on_seed_and_key(generator: Generator) -> None:
    item = prompts(generator)[0]
    drawn = [generator.generate([item], Decoding(9, 1.5, seed=seed))[0] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    other = Prompt(item.ids, item.cloud, "another key")
    assert generator.generate([other], Decoding(9, 1.5))[0] != drawn[0]


def test_generate_several_samples_with_different_draws(generator: Generator) -> None:
    item = prompts(generator)[0]
    drawn = [generator.generate([item], Decoding(9, 1.5, sample=number))[0] for number in (0, 1, 2)]
    assert len({tuple(answer.ids) for answer in drawn}) == 3
    assert drawn[0] == generator.generate([item], Decoding(9, 1.5))[0]


def test_generate_among_one_token_is_greedy(generator: Generator) -> None:
    items = prompts(generator)
    assert generator.generate(items, Decoding(9, 2.0, top_k=1)) == generator.generate(items, Decoding(9))


@pytest.mark.parametrize("decoding", DECODINGS)
def test_generate_never_writes_the_mark_of_a_cloud(
    generator: Generator, decoding: Decoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch, project = generator.model.config.point_ids[1], type(generator.model).project

    def prefer_patch(self: Any, hidden: Any) -> Any:
        logits = project(self, hidden)
        logits[..., patch] += 100
        return logits

    monkeypatch.setattr(type(generator.model), "project", prefer_patch)
    answers = generator.generate(prompts(generator), decoding)
    assert all(answer.ids and patch not in answer.ids for answer in answers)


def test_score_is_the_log_p_of_a_plain_forward(generator: Generator) -> None:
    items = prompts(generator)
    answers = generator.generate(items, Decoding(max_tokens=5))
    for item, answer, logp in zip(items, answers, generator.score(items, answers), strict=True):
        row = torch.tensor([item.ids + answer.ids])
        clouds = None if item.cloud is None else item.cloud[None]
        whole = generator.model(input_ids=row, point_tokens=clouds).logits[0].log_softmax(dim=-1)
        steps = range(len(item.ids) - 1, row.shape[1] - 1)
        assert logp == pytest.approx(float(sum(whole[i, row[0, i + 1]].detach() for i in steps)), abs=1e-3)


def test_generate_passes_the_text_on_in_pieces(generator: Generator) -> None:
    for item in prompts(generator):
        pieces: list[str] = []
        (answer,) = generator.generate([item], Decoding(max_tokens=12), on_text=pieces.append)
        assert "".join(pieces) == generator.decode(answer)


def test_text_streamer_holds_incomplete_characters_back(generator: Generator) -> None:
    text = "naïve 🙂."
    ids = generator.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    stop, pieces = generator.processor.tokenizer.eos_token_id, list[str]()
    streamer = generation._TextStreamer(generator.processor, [stop], pieces.append)
    streamer.put(torch.tensor([[1, 2, 3]]))  # the prompt
    for token in [*ids, stop]:
        streamer.put(torch.tensor([token]))
    streamer.end()
    assert "".join(pieces) == text
    assert len(pieces) > 2
    assert not any("\ufffd" in piece for piece in pieces)


def test_cut_keeps_the_token_that_ends_the_answer() -> None:
    stopped = generation._cut([5, 6, 2, 0, 0], [2])
    assert stopped == AnswerIds([5, 6, 2], True)
    assert stopped.text_ids == [5, 6]
    assert generation._cut([5, 6], [2]) == AnswerIds([5, 6], False)


def test_keyed_sampling_draws_in_proportion() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.6, 0.0, 0.3]])).repeat(4000, 1)
    draws = Draws([("answer", 0, str(row)) for row in range(4000)])
    counts = {}
    for decoding in (Decoding(temperature=1.0), Decoding(temperature=0.5), Decoding(temperature=1.0, top_p=0.7)):
        chosen = generation._KeyedSampling(decoding, draws)(None, logits).argmax(dim=1)
        counts[decoding] = [float(share) for share in torch.bincount(chosen, minlength=4) / 4000]
    expected = [[0.1, 0.6, 0, 0.3], [0.01 / 0.46, 0.36 / 0.46, 0, 0.09 / 0.46], [0, 2 / 3, 0, 1 / 3]]
    for shares, right in zip(counts.values(), expected, strict=True):
        assert shares == pytest.approx(right, abs=0.03)
        assert [share == 0 for share in shares] == [share == 0 for share in right]


def test_room_ends_with_the_positions_of_the_llm(generator: Generator) -> None:
    positions = generator.model.config.text_config.max_position_embeddings
    assert generator.room([0] * 10, 7) == 7
    assert generator.room([0] * (positions - 3), 7) == 3
    with pytest.raises(DataError, match=f"{positions} tokens leaves no room for an answer in the {positions}"):
        generator.room([0] * positions, 7)
