import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from spa3d.contracts.objective import Score, Scores
from spa3d_plugins.objectives.spa import SPA


def scores(clean: Tensor, noised: Tensor) -> Scores:
    """Scores of answers of two tokens behind a prompt token."""

    def score(logp: Tensor) -> Score:
        mask = torch.tensor([[False, True, True]]).expand(len(logp), -1)
        return Score(torch.nn.functional.pad(logp, (1, 0)), mask, torch.where(mask, 0, -1))

    return Scores({("chosen", "clean", "policy"): score(clean), ("chosen", "noised", "policy"): score(noised)})


def test_equation_5_by_hand() -> None:
    # log p(y|x) = -1 - 2, log p(y|x') = -1.5 - 2.5: margin 1; and the other way round: margin -1.
    clean, noised = torch.tensor([[-1.0, -2.0], [-1.5, -2.5]]), torch.tensor([[-1.5, -2.5], [-1.0, -2.0]])

    (term,) = SPA().terms(scores(clean, noised))

    assert term.unit == "sequence"
    assert term.coefficient == 1
    expected = [math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))]
    assert term.values.tolist() == pytest.approx(expected, rel=1e-6)


def test_equal_views_give_a_loss_of_log_2() -> None:
    same = torch.tensor([[-3.0, -1.0]])
    (term,) = SPA().terms(scores(same, same))
    assert term.values.item() == pytest.approx(math.log(2), rel=1e-6)


def test_loss_falls_with_log_p_given_the_clean_cloud() -> None:
    margins = torch.linspace(-5, 5, 21)
    clean = torch.stack([margins, torch.zeros(21)], dim=1)
    (term,) = SPA().terms(scores(clean, torch.zeros(21, 2)))
    assert (term.values.diff() < 0).all()


def test_huge_margins_stay_finite_and_exact() -> None:
    margins = torch.tensor([[1e4, 0.0], [-1e4, 0.0]], requires_grad=True)
    (term,) = SPA().terms(scores(margins, torch.zeros(2, 2)))
    assert term.values.tolist() == [0, 1e4]
    term.values.sum().backward()
    assert margins.grad.tolist() == [[0, 0], [-1, -1]]


def test_the_gradient_agrees_with_finite_differences_and_reaches_both_views() -> None:
    stream = torch.Generator().manual_seed(0)
    clean = torch.randn(4, 2, dtype=torch.float64, generator=stream).requires_grad_()
    noised = torch.randn(4, 2, dtype=torch.float64, generator=stream).requires_grad_()

    def loss(clean: Tensor, noised: Tensor) -> Tensor:
        return sum(
            term.coefficient * term.values.sum()
            for term in SPA(coefficient=0.3, anchor=0.7).terms(scores(clean, noised))
        )

    assert torch.autograd.gradcheck(loss, (clean, noised))


def test_anchor_equals_token_nll_of_the_clean_view() -> None:
    clean, noised = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-4.0, -5.0]])
    contrast, anchor = SPA(coefficient=0.05, anchor=1.0).terms(scores(clean, noised))
    assert (contrast.name, contrast.unit, contrast.coefficient) == ("spa", "sequence", 0.05)
    assert (anchor.name, anchor.unit, anchor.coefficient) == ("nll", "token", 1.0)
    assert anchor.values.tolist() == [[0, 1, 2]]


def test_both_views_are_scored_with_gradient() -> None:
    assert [need.key for need in SPA().needs] == [("chosen", "clean", "policy"), ("chosen", "noised", "policy")]
    assert all(need.grad for need in SPA().needs)


VALUES = [
    {"coefficient": 0},
    {"anchor": -1},
    {"coefficient": float("nan")},
    {"beta": 0},
    {"clip": 0},
    {"normalize": "rows"},
]


@pytest.mark.parametrize("values", VALUES)
def test_config_rejects_invalid_values(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        SPA(**values)


@pytest.mark.parametrize(
    ("setting", "beta"), [("spa", 1.0), ("spa_scaled/beta=0.1", 0.1), ("spa_scaled/beta=0.5", 0.5)]
)
def test_losses_and_gradients_equal_formula(losses, setting, beta) -> None:
    named = {"logp_chosen": "dloss_dclean", "logp_chosen_noised_cloud": "dloss_dnoised"} if setting == "spa" else {}
    losses.check(SPA(beta=beta), setting, **named)


class TestOptions:
    """Losses by hand for a conversation of two rounds with margins of 1 and 3 nats."""

    @pytest.fixture
    def conversation(self) -> Callable[..., Scores]:
        rounds = torch.tensor([[-1, 0, -1, 1, 1]])

        def score(*logp: float) -> Score:
            tokens = (
                torch.zeros(1, 5).masked_scatter(rounds >= 0, torch.tensor(logp, dtype=torch.float32)).requires_grad_()
            )
            return Score(tokens, rounds >= 0, rounds)

        def scores(**worse: Score) -> Scores:
            by_key = {
                ("chosen", "clean", "policy"): score(-1, -2, -3),
                ("chosen", "noised", "policy"): score(-2, -4, -4),
            }
            return Scores(by_key | {tuple(name.split("_")): result for name, result in worse.items()})

        scores.score = score
        return scores

    def value(self, scores: Scores, **options: Any) -> float:
        (term,) = SPA(**options).terms(scores)
        return term.values.item()

    def logistic(self, margin: float) -> Any:
        return pytest.approx(math.log(1 + math.exp(-margin)), rel=1e-6)

    def test_beta_scales_the_margin(self, conversation) -> None:
        assert self.value(conversation()) == self.logistic(4)
        assert self.value(conversation(), beta=0.25) == self.logistic(1)

    def test_length_normalization_divides_the_margin(self, conversation) -> None:
        assert self.value(conversation(), normalize="length") == self.logistic(4 / 3)

    def test_a_margin_per_round(self, conversation) -> None:
        each = [math.log(1 + math.exp(-margin)) for margin in (1, 3)]
        assert self.value(conversation(), per_round=True) == pytest.approx(sum(each) / 2, rel=1e-6)
        each = [math.log(1 + math.exp(-margin)) for margin in (1, 1.5)]
        assert self.value(conversation(), per_round=True, normalize="length") == pytest.approx(sum(each) / 2, rel=1e-6)

    def test_rounds_missing_in_a_sample_do_not_count(self) -> None:
        rounds = torch.tensor([[0, 1], [0, -1]])
        clean = Score(torch.tensor([[-1.0, -1.0], [-1.0, 0.0]]), rounds >= 0, rounds)
        worse = Score(torch.tensor([[-2.0, -2.0], [-2.0, 0.0]]), rounds >= 0, rounds)
        by_key = {("chosen", "clean", "policy"): clean, ("chosen", "noised", "policy"): worse}
        (term,) = SPA(per_round=True).terms(Scores(by_key))
        assert term.values.tolist() == [self.logistic(1)] * 2

    def test_gradient_is_0_above_the_clip(self, conversation) -> None:
        scores = conversation()
        (term,) = SPA(clip=2.0, beta=0.5).terms(scores)
        assert term.values.item() == self.logistic(1)
        term.values.sum().backward()
        assert not scores["chosen", "clean"].token_logp.grad.any()
        assert self.value(conversation(), clip=4.5) == self.logistic(4)

    def test_rounds_are_clipped_one_by_one(self, conversation) -> None:
        scores = conversation()
        (term,) = SPA(clip=2.0, per_round=True).terms(scores)
        term.values.sum().backward()
        assert scores["chosen", "clean"].token_logp.grad.bool().tolist() == [[False, True, False, False, False]]

    def test_the_margin_of_the_reference_is_subtracted(self, conversation) -> None:
        known = {
            "chosen_clean_reference": conversation.score(-1, -2, -2.5),
            "chosen_noised_reference": conversation.score(-2, -2, -3),
        }
        assert self.value(conversation(**known), reference=True) == self.logistic(2.5)

    def test_negative_other_uses_another_object(self, conversation) -> None:
        scores = conversation(chosen_other_policy=conversation.score(-3, -3, -3))
        assert self.value(scores, negative="other") == self.logistic(3)

    @pytest.mark.parametrize(
        "options",
        [
            {"normalize": "length", "beta": 2.0},
            {"per_round": True},
            {"per_round": True, "normalize": "length", "clip": 0.2},
        ],
        ids=str,
    )
    def test_gradients_agree_with_finite_differences(self, options) -> None:
        rounds = torch.tensor([[-1, 0, 0, 1], [-1, 0, 0, -1]])
        stream = torch.Generator().manual_seed(0)
        leaves = [torch.randn(2, 4, dtype=torch.float64, generator=stream).requires_grad_() for _ in range(2)]

        def loss(clean: Tensor, worse: Tensor) -> Tensor:
            both = (Score(logp, rounds >= 0, rounds) for logp in (clean, worse))
            keys = [("chosen", view, "policy") for view in ("clean", "noised")]
            (term,) = SPA(**options).terms(Scores(dict(zip(keys, both, strict=True))))
            return term.values.sum()

        assert torch.autograd.gradcheck(loss, leaves)

    @pytest.mark.parametrize(
        ("options", "requested"),
        [
            ({}, "clean policy learns, noised policy learns"),
            ({"detach": True}, "clean policy learns, noised policy rests"),
            ({"negative": "other"}, "clean policy learns, other policy learns"),
            (
                {"reference": True},
                "clean policy learns, noised policy learns, clean reference rests, noised reference rests",
            ),
        ],
    )
    def test_needs_follow_the_options(self, options, requested) -> None:
        needs = SPA(**options).needs
        assert {need.text for need in needs} == {"chosen"}
        described = (f"{need.view} {need.model} {'learns' if need.grad else 'rests'}" for need in needs)
        assert ", ".join(described) == requested

    def test_sample_without_the_worse_view_has_loss_0(self, conversation) -> None:
        rounds = torch.full((1, 1), -1)
        scores = conversation(chosen_noised_policy=Score(torch.zeros(1, 1), rounds >= 0, rounds))
        for options in ({}, {"per_round": True}, {"normalize": "length"}):
            assert self.value(scores, **options) == 0
