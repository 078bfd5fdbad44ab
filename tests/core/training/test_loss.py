"""Terms that an objective makes of real scores: broken ones are named with their record."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from spa3d.contracts.objective import Need, Score, Scores, Term
from spa3d.errors import PluginError
from spa3d.pipeline.trials import made_up_scores
from spa3d.registry.create import create
from spa3d.training.loss import check_terms

RECORDS = ["a", "b", "c"]
SFT: Any = create("objective", "sft")


def check(values: Tensor, scores: Scores, unit: Any = "token") -> None:
    check_terms(SFT, [Term("nll", values, unit)], scores, RECORDS)


def test_check_terms_names_the_record_of_a_nan() -> None:
    scores = made_up_scores([Need()])
    values = -scores["chosen", "clean"].token_logp.detach()
    check(values, scores)
    values[1, 0] = float("inf")
    with pytest.raises(PluginError, match=r"SFT \(.*sft.py\): term 'nll': expected finite numbers.* for record b, on"):
        check(values, scores)


def test_check_terms_lets_nan_of_the_model_pass() -> None:
    score = made_up_scores([Need()])["chosen", "clean"]
    broken = Score(score.token_logp.detach() * float("nan"), score.answer_mask, score.round_index)
    check(-broken.token_logp, Scores({Need().key: broken}))


def test_check_terms_compares_shapes_in_every_step() -> None:
    scores = made_up_scores([Need()])
    with pytest.raises(PluginError, match=r"term 'nll' of the unit sequence: .*shape \(3,\), got \(2,\)"):
        check(torch.zeros(2), scores, "sequence")
