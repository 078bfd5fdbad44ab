"""Contrastive decoding: the formula, its cutoff, and whole answers against a plain loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from spa3d.contracts.benchmark import Question
from spa3d.inference.contrast import Contrast, ContrastLogits
from spa3d.inference.generation import Decoding
from spa3d.inference.predictor import Predictor
from spa3d.inference.views import ViewEncoder, built_in_views
from spa3d.registry.create import create

OPTIONS = ("left", "right", "top")


def test_reports_say_how_answers_are_decoded() -> None:
    assert Decoding(64).description == {"options": "by likelihood", "free_answers": "greedy", "most_tokens": 64}
    drawn = Decoding(64, temperature=1.0, top_k=5, contrast=Contrast(0.5, 0.2)).description
    assert drawn["free_answers"] == "drawn from contrasted logits"
    assert (drawn["temperature"], drawn["top_k"], drawn["contrast_alpha"], drawn["contrast_cutoff"]) == (1, 5, 0.5, 0.2)


def test_combine_subtracts_the_noised_logits() -> None:
    clean, noised = torch.tensor([2.0, 1.0, -1.0]), torch.tensor([2.0, -1.0, 3.0])
    assert Contrast(alpha=1).combine(clean, noised).tolist() == [2.0, 3.0, -5.0]
    assert Contrast(alpha=0.5).combine(clean, noised).tolist() == [2.0, 2.0, -3.0]
    assert Contrast(alpha=0).combine(clean, noised).tolist() == clean.tolist()


def test_mask_keeps_tokens_that_the_clean_cloud_makes_plausible() -> None:
    clean, logits = torch.tensor([0.0, math.log(0.11), math.log(0.09)]), torch.tensor([1.0, 2.0, 9.0])
    assert Contrast(cutoff=0.1).mask_implausible(logits, clean).tolist() == [1.0, 2.0, -math.inf]
    assert Contrast(cutoff=0).mask_implausible(logits, clean).tolist() == [1.0, 2.0, 9.0]
    assert Contrast(cutoff=1).mask_implausible(logits, clean).tolist() == [1.0, -math.inf, -math.inf]


def test_contrast_logits_are_equal_in_both_halves() -> None:
    scores = torch.tensor([[0.0, -1.0], [0.0, 3.0], [1.0, -4.0], [0.0, 3.0]])  # two clean rows, then two noised ones
    combined = ContrastLogits(Contrast(alpha=1, cutoff=0))(None, scores)
    assert combined.tolist() == [[-1.0, 2.0], [0.0, 3.0]] * 2


@pytest.fixture
def make_predictor(toy: Any) -> Any:
    model, processor, clouds = toy()
    noise = create("noise", "gaussian", level=1.0)
    views = built_in_views(ViewEncoder(model, clouds), noise=noise)

    def make(contrast: Contrast | None, **decoding: Any) -> Predictor:
        return Predictor(model, processor, views, 3, decoding=Decoding(8, contrast=contrast, **decoding))

    return make


def ask(predictor: Predictor, options: tuple[str, ...] | None, view: str = "clean") -> list[Any]:
    items = [Question(str(i), f"test-{i}", "Which side?"[: 8 + i], options, "left", "side") for i in range(4)]
    return predictor.answer(items, view, lambda units: None)


def test_options_get_log_p_of_the_contrasted_logits(make_predictor: Any) -> None:
    predictor, contrast = make_predictor(Contrast(alpha=1.5)), Contrast(alpha=1.5)
    [prediction, *_] = ask(predictor, OPTIONS)
    prefix, tails = predictor.processor.option_ids("Which si", OPTIONS, cloud=True)
    for option, tail in enumerate(tails):
        logits = []
        for view in ("clean", "noised"):
            tokens = predictor.views[view].tokens([("test-0", 0)]).tokens
            output = predictor.model(input_ids=torch.tensor([prefix + tail]), point_tokens=tokens)
            logits.append(output.logits[0, len(prefix) - 1 : -1].detach())
        logp = torch.log_softmax(contrast.combine(*logits), dim=-1)
        expected = float(logp[range(len(tail)), tail].sum())
        assert prediction.option_logp[option] == pytest.approx(expected, abs=1e-3)


def test_without_strength_contrast_changes_nothing(make_predictor: Any) -> None:
    plain, contrasted = make_predictor(None), make_predictor(Contrast(alpha=0))
    assert [each.text for each in ask(plain, None)] == [each.text for each in ask(contrasted, None)]
    for one, other in zip(ask(plain, OPTIONS), ask(contrasted, OPTIONS), strict=True):
        assert one.option_logp == pytest.approx(other.option_logp, abs=1e-3)


def test_free_answers_are_the_best_contrasted_tokens(make_predictor: Any) -> None:
    predictor, contrast = make_predictor(Contrast()), Contrast()
    [prediction, *_] = ask(predictor, None)
    ids = predictor.processor.question_ids("Which si", cloud=True)
    start, clouds = len(ids), [predictor.views[view].tokens([("test-0", 0)]).tokens for view in ("clean", "noised")]
    while len(ids) < start + 8 and ids[-1] != predictor.processor.tokenizer.eos_token_id:
        clean, noised = (
            predictor.model(input_ids=torch.tensor([ids]), point_tokens=tokens).logits[0, -1] for tokens in clouds
        )
        ids.append(int(contrast.mask_implausible(contrast.combine(clean, noised), clean).argmax()))
    assert prediction.text == predictor.processor.decode_answer(ids[start:])


def test_other_views_are_decoded_without_contrast(make_predictor: Any) -> None:
    plain, contrasted = make_predictor(None), make_predictor(Contrast(alpha=3))
    for view in ("blind", "noised"):
        assert ask(plain, OPTIONS, view) == ask(contrasted, OPTIONS, view)
        assert ask(plain, None, view) == ask(contrasted, None, view)
    assert ask(plain, OPTIONS) != ask(contrasted, OPTIONS)


def test_draws_of_contrasted_answers_do_not_depend_on_the_batch(make_predictor: Any) -> None:
    predictor = make_predictor(Contrast(), temperature=1.0)
    together = ask(predictor, None)
    items = [Question(str(i), f"test-{i}", "Which side?"[: 8 + i], None, "left", "side") for i in range(4)]
    alone = [predictor.answer([item], "clean", lambda units: None)[0] for item in items]
    assert [each.text for each in together] == [each.text for each in alone]
