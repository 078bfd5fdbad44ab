import math

import pytest
import torch

from spa3d.contracts.objective import Score, Scores
from spa3d_plugins.objectives.blind_weighted import BlindWeighted


def score(columns: list[list[float | None]]) -> Score:
    """Log p of answer tokens; None is no answer."""
    mask = torch.tensor([[value is not None for value in row] for row in columns])
    logp = torch.tensor([[value or 0.0 for value in row] for row in columns], requires_grad=True)
    return Score(logp, mask, torch.where(mask, 0, -1))


def terms(clean: Score, blind: Score) -> torch.Tensor:
    scores = Scores({("chosen", "clean", "policy"): clean, ("chosen", "blind", "policy"): blind})
    (term,) = BlindWeighted().terms(scores)
    assert (term.unit, term.coefficient) == ("token", 1)
    return term.values


def test_loss_by_hand_with_answers_in_different_columns() -> None:
    # Text-only negative log p of 1 and 3 nats: weights 1/2 and 3/2.
    clean = score([[None, None, -2.0, None, -4.0], [None, -1.0, None, None, None]])
    blind = score([[None, -1.0, -3.0], [-5.0, None, None]])

    values = terms(clean, blind)

    assert values.tolist() == [[0, 0, 1, 0, 6], [0, 1, 0, 0, 0]]
    values.sum().backward()
    assert clean.token_logp.grad.tolist() == [[0, 0, -0.5, 0, -1.5], [0, -1, 0, 0, 0]]
    assert blind.token_logp.grad is None


def test_weights_stay_bounded_at_text_only_p_of_0_and_1() -> None:
    clean = score([[-1.0, -1.0], [-1.0, -1.0]])
    values = terms(clean, score([[0.0, 0.0], [-math.inf, -300.0]]))
    assert values.tolist() == [[pytest.approx(1)] * 2] * 2


def test_weights_are_1_without_a_text_only_score() -> None:
    values = terms(score([[-1.0, -3.0], [-2.0, -2.0]]), score([[None, None], [-1.0, -3.0]]))
    assert values.tolist() == [[pytest.approx(1), pytest.approx(3)], [1, 3]]


def test_the_text_only_view_is_scored_without_gradient() -> None:
    assert [(need.view, need.grad) for need in BlindWeighted().needs] == [("clean", True), ("blind", False)]
