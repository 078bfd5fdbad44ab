"""Sentence about the course of training."""

from __future__ import annotations

from typing import Any

import pytest

from spa3d.rendering.numbers import MINUS
from spa3d.report.document import Health
from spa3d.report.training_sentence import describe_health


def health(logp: tuple[float, float], margin: tuple[float, float] | None = None, **more: Any) -> Health:
    courses = {"logp_clean": logp, **({"margin": margin} if margin else {})}
    return Health.model_validate({key: {"first": a, "last": b} for key, (a, b) in courses.items()} | more)


@pytest.mark.parametrize(
    ("logp", "margin", "begins"),
    [
        ((-0.27, -0.51), (0.96, 4.67), "The margin rose, but only because the right answers became less likely"),
        ((-0.27, -0.271), (0.96, 1.21), "The model separates clean from noised clouds better"),
        ((-0.27, -0.25), (0.96, 1.21), "Held-out right answers became more likely"),
        ((-0.27, -0.28), (0.96, 0.97), "Held-out right answers became less likely"),
        ((-0.27, -0.27), None, "Held-out right answers are as likely as before"),
    ],
)
def test_describe_health_first_clause(
    logp: tuple[float, float], margin: tuple[float, float] | None, begins: str
) -> None:
    assert describe_health(health(logp, margin)).startswith(begins)


def test_describe_health_figures() -> None:
    sentence = describe_health(health((-0.27, -0.51), (0.96, 4.67)))
    assert "margin over the noised cloud 0.96 → 4.67 nats" in sentence
    assert f"log p {MINUS}0.27 → {MINUS}0.51 nats per token" in sentence


def test_describe_health_zero_margin_has_no_sign() -> None:
    assert "noised cloud 0.00 → 0.00 nats" in describe_health(health((-0.3, -0.3), (-0.001, 0.001)))


def test_describe_health_saturation_repetition_stop_and_best_step() -> None:
    sentence = describe_health(
        health(
            (-0.3, -0.3),
            saturation={"first": 0.5, "last": 0.95},
            repetition={"first": 0.01, "last": 0.2},
            stopped=10,
            kept=5,
        )
    )
    for clause in ("95.0 % of the contrasts", "1.0 → 20.0 %", "stopped at step 10", "weights of step 5"):
        assert clause in sentence
    assert describe_health(Health()) == ""
