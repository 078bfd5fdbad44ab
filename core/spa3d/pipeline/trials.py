"""Trials of noise and objective on made-up inputs, before any work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from spa3d.contracts.checks import NOT_FINITE, not_finite
from spa3d.contracts.noise import Noise, apply_noise
from spa3d.contracts.objective import Need, Objective, Score, Scores, needs_misfit, terms_misfit
from spa3d.errors import PluginError, SpaError, contain_exit
from spa3d.runtime.rng import Draws

CLOUDS = 2
SAMPLES, COLUMNS, VOCABULARY = 3, 5, 7
"""Size of the made-up scores; all differ, so that exchanged axes are noticed."""


def try_noise(what: str, noise: Noise, num_points: int) -> None:
    """Apply `noise` to two clouds of `num_points`.

    Raises:
        PluginError: it fails or breaks its contract; the message begins with `what`.

    """
    draws = Draws([(0, 0, f"trial {number}", "noised") for number in range(CLOUDS)])
    directions = torch.nn.functional.normalize(draws.normal(num_points, 3), dim=-1)
    points = torch.cat([directions, draws.uniform(num_points, 3)], dim=-1)
    with trial(what, f"on clouds of shape {tuple(points.shape)}"):
        apply_noise(noise, points, draws)


def try_objective(what: str, objective: Objective) -> None:
    """Let `objective` make the terms of made-up scores.

    Raises:
        PluginError: it fails or breaks its contract; the message begins with `what`.

    """
    wrong = needs_misfit(objective)
    if not wrong:
        scores = made_up_scores(objective.needs)
        with trial(what, "on made-up scores of its needs"):
            terms = objective.terms(scores)
        wrong = terms_misfit(terms, scores)
        if not wrong:
            bad = [term.name for term in terms if not_finite(term.values)]
            wrong = f"term {bad[0]!r}: {NOT_FINITE}, on finite scores" if bad else ""
        if not wrong and not any(term.values.requires_grad for term in terms):
            wrong = "no term has a gradient, so nothing would be trained"
    if wrong:
        raise PluginError(f"{what}: {PluginError.by(objective, wrong)}")


def made_up_scores(needs: Sequence[Need]) -> Scores:
    """Scores of each need for samples with answers of different lengths; the same in every call."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.arange(SAMPLES, device="cpu")[:, None] + 2
    mask = (torch.arange(COLUMNS, device="cpu")[None, :] > 0) & (torch.arange(COLUMNS, device="cpu") < lengths)
    rounds = torch.where(mask, 0, -1)
    result = {}
    for need in needs:
        drawn = torch.rand(SAMPLES, COLUMNS, VOCABULARY, generator=generator, device="cpu").log_softmax(dim=-1)
        logp, whole = (drawn[..., 0] * mask).requires_grad_(need.grad), _learnable(drawn[mask], need)
        result[need.key] = Score(logp, mask, rounds, whole)
    return Scores(result)


def _learnable(values: Tensor, need: Need) -> Tensor | None:
    return values.detach().clone().requires_grad_(need.grad) if need.vocabulary else None


@contextmanager
def trial(what: str, inputs: str) -> Iterator[None]:
    """Turn an exception of a component into a `PluginError` about `what` and its `inputs`."""
    try:
        with contain_exit():
            yield
    except SpaError as error:
        raise PluginError(f"{what}: {error}") from error
    except Exception as error:
        raise PluginError(f"{what}: it fails {inputs}: {type(error).__name__}: {error}") from error
