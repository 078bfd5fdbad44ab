"""Noises and objectives that break their contracts are refused before any work, and named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from spa3d.contracts.noise import Noise
from spa3d.contracts.objective import Need, Objective, Scores, Term
from spa3d.errors import PluginError
from spa3d.pipeline.trials import made_up_scores, try_noise, try_objective


def noise_of(change: Callable[[Tensor], object], level: Callable[[Tensor], object] | None = None) -> Noise:
    class Wobble(Noise):
        def apply(self, points: Tensor, draws: Any) -> Any:
            return change(points)

        def measure_level(self, points: Tensor, noised: Tensor) -> Any:
            return level(points) if level else super().measure_level(points, noised)

    return Wobble()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda points: None, "expected a tensor, got NoneType"),
        (lambda points: [points], "expected a tensor, got list"),
        (lambda points: points[:1], r"expected an output of shape \(2, 16, 6\), got \(1, 16, 6\)"),
        (lambda points: points[:, :9], r"got \(2, 9, 6\)"),
        (lambda points: points.double(), "expected torch.float32 numbers, got torch.float64"),
        (lambda points: points.int(), "expected torch.float32 numbers, got torch.int32"),
        (lambda points: points.to("meta"), "expected an output on the device cpu, got one on meta"),
        (lambda points: points / 0, "expected finite numbers, got NaN or infinity, for record trial 0"),
        (lambda points: points.nope, "it fails on clouds of shape .*AttributeError"),
        (lambda points: exec("raise SystemExit(0)"), r"a component may not end the program \(SystemExit: 0\)"),
    ],
)
def test_try_noise_names_the_broken_contract(change: Callable[[Tensor], object], message: str) -> None:
    with pytest.raises(PluginError, match=rf"(?s)^--noise wobble: .*{message}"):
        try_noise("--noise wobble", noise_of(change), 16)


def test_try_noise_checks_the_measured_level() -> None:
    with pytest.raises(PluginError, match=r"Wobble \(.*test_trials.py\): measure_level: .*shape \(2,\), got \(1,\)"):
        try_noise("--noise wobble", noise_of(lambda points: points, lambda points: points.new_zeros(1)), 16)
    try_noise("--noise wobble", noise_of(lambda points: points), 16)


def objective_of(terms: Callable[[Scores], object], needs: object = (Need(),)) -> Objective:
    class Odd(Objective):
        def terms(self, scores: Scores) -> Any:
            return terms(scores)

    odd: Any = Odd()
    odd.needs = needs
    return odd


def term(values: Callable[[Tensor], object], unit: Any = "token", **more: Any) -> Callable[[Scores], object]:
    return lambda scores: [Term("nll", values(-scores["chosen", "clean"].token_logp), unit, **more)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (lambda scores: [], r"terms\(\) returns \[\]; it must return a sequence of at least one spa3d.Term"),
        (lambda scores: None, r"terms\(\) returns None"),
        (lambda scores: [scores["chosen", "clean"].logp], "spa3d.Term"),
        (term(lambda values: values, "word"), "has the unit 'word'; there are: token, sequence"),
        (term(lambda values: values, "sequence"), r"unit sequence: .*shape \(3,\), got \(3, 5\)"),
        (term(lambda values: values.sum(dim=1), "token"), r"unit token: .*shape \(3, 5\), got \(3,\)"),
        (term(lambda values: values[:2]), r"got \(2, 5\)"),
        (term(lambda values: values.sum()), r"got \(\)"),
        (term(lambda values: 3.0), "expected a tensor, got float"),
        (term(lambda values: values.long()), "expected floating-point numbers, got torch.int64"),
        (term(lambda values: values, coefficient=float("nan")), "coefficient nan; it must be finite"),
        (term(lambda values: values, coefficient="2"), "coefficient '2'; it must be a number"),
        (term(lambda values: values.detach()), "no term has a gradient"),
        (term(lambda values: values / 0), "term 'nll': expected finite numbers, got NaN or infinity, on finite scores"),
        (lambda scores: [*term(lambda v: v)(scores)] * 2, "several terms of one name: nll, nll"),  # type: ignore[misc]
        (lambda scores: scores["chosen", "noised"], "it fails on made-up scores of its needs: KeyError"),
    ],
)
def test_try_objective_names_the_broken_contract(terms: Callable[[Scores], object], message: str) -> None:
    with pytest.raises(PluginError, match=rf"^--objective odd: .*{message}"):
        try_objective("--objective odd", objective_of(terms))


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ((), r"needs is \(\)"),
        (None, "needs is None"),
        (("chosen",), "at least one spa3d.Need"),
        ((Need(text="best"),), "has 'best'; there are: chosen, rejected"),  # type: ignore[arg-type]
        ((Need(model="teacher"),), "has 'teacher'; there are: policy, reference"),  # type: ignore[arg-type]
        ((Need(text="rejected"), Need(view="twin")), "no chosen text of the policy"),
    ],
)
def test_try_objective_checks_the_needs(needs: Sequence[Need], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        try_objective("--objective odd", objective_of(term(lambda values: values), needs))


def test_made_up_scores_have_what_the_needs_ask_for() -> None:
    needs = (Need(vocabulary=True), Need("rejected", "twin", grad=False), Need(model="reference", grad=False))
    scores = made_up_scores(needs)
    for need in needs:
        made = scores[need.key]
        assert made.token_logp.requires_grad == need.grad
        assert (made.token_logp[~made.answer_mask] == 0).all()
        assert made.length.tolist() == [1, 2, 3]
    whole = scores["chosen", "clean"].vocabulary
    assert whole is not None
    torch.testing.assert_close(whole.exp().sum(dim=-1), torch.ones(6))
