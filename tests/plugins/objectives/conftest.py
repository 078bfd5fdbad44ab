"""Published losses, and scores made from their inputs: log p of whole answers, and lengths."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from spa3d.contracts.objective import Objective, Score, Scores

GOLDEN = Path(__file__).parents[2] / "golden" / "losses.json"


class Losses:
    """Losses and gradients of 34 cases, from TRL, SimPO's authors or a float64 formula."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.results = content["results"]
        columns = [self.numbers(column) for column in zip(*content["cases"], strict=True)]
        self.cases = dict(zip(content["columns"], columns, strict=True))

    @staticmethod
    def numbers(values: Any) -> Tensor:
        """Float64; infinities and nan are written as text."""
        return torch.tensor([float(value) for value in values], dtype=torch.float64)

    def scores(self) -> tuple[Scores, dict[str, Tensor]]:
        """All cases as one batch, and the policy's log p as leaves, by column name."""
        leaves = {name: self.cases[name].clone().requires_grad_() for name in self.cases if name.startswith("logp_")}
        return answers(
            {
                ("chosen", "clean", "policy"): (leaves["logp_chosen"], self.cases["len_chosen"]),
                ("rejected", "clean", "policy"): (leaves["logp_rejected"], self.cases["len_rejected"]),
                ("chosen", "noised", "policy"): (leaves["logp_chosen_noised_cloud"], self.cases["len_chosen"]),
                ("chosen", "clean", "reference"): (self.cases["ref_logp_chosen"], self.cases["len_chosen"]),
                ("rejected", "clean", "reference"): (self.cases["ref_logp_rejected"], self.cases["len_rejected"]),
                # Not published: a reference with equal log p for clean and noised clouds.
                ("chosen", "noised", "reference"): (self.cases["ref_logp_chosen"], self.cases["len_chosen"]),
            }
        ), leaves

    def check(self, objective: Objective, setting: str, *, loss: str = "loss", part: int = 0, **gradients: str) -> None:
        """Compare one term of `objective` with a setting: its loss, and gradients by column.

        Where the published figure is nan, the loss must be finite, without gradient.
        """
        expected = self.results[setting]
        scores, leaves = self.scores()
        term = objective.terms(scores)[part]
        known = ~self.numbers(expected[loss]).isnan()
        result = term.coefficient * term.values
        torch.testing.assert_close(result[known].detach(), self.numbers(expected[loss])[known], rtol=1e-6, atol=1e-9)
        assert result[~known].isfinite().all()
        result.sum().backward()
        for name, leaf in leaves.items():
            if leaf.grad is not None:
                assert not leaf.grad.isnan().any()
                assert not leaf.grad[~known].any()
                if name in gradients:
                    torch.testing.assert_close(
                        leaf.grad[known], self.numbers(expected[gradients[name]])[known], rtol=1e-6, atol=1e-9
                    )


def answers(entries: Mapping[tuple[str, str, str], tuple[Tensor, Tensor]]) -> Scores:
    """Scores of answers after a prompt token: log p ``(B,)`` on the first token, and lengths."""
    width = 1 + max(int(lengths.max()) for _, lengths in entries.values())
    result = {}
    for key, (logp, lengths) in entries.items():
        position = torch.arange(width)
        mask = (position >= 1) & (position <= lengths[:, None])
        first = torch.cat([logp.new_zeros(len(logp), 1), logp[:, None]], dim=1)
        tokens = torch.nn.functional.pad(first, (0, width - 2)) if width > 2 else first
        result[key] = Score(tokens, mask, torch.where(mask, 0, -1))
    return Scores(result)


@pytest.fixture(scope="session")
def losses() -> Losses:
    return Losses(json.loads(GOLDEN.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def make_scores() -> Callable[..., Scores]:
    return answers
