"""Training health from probes and free answers."""

from __future__ import annotations

import pytest

from spa3d.evaluation.training_health import measure_health, missing_steps, repetition


def answer(text: str, **more: object) -> dict[str, object]:
    return {"text": text, "options": None, "view": "clean", **more}


def test_repetition_of_trigrams() -> None:
    # a b a b a b: aba bab aba bab, two of four are repeats; the second answer has one trigram
    assert repetition([answer("a b a b a b"), answer("a red chair")]) == pytest.approx(0.25)
    assert repetition([answer("too short")]) == 0
    assert repetition([answer("a a a a", options=["a"]), answer("a a a a", view="blind")]) is None


def test_measure_health_leaves_out_numbers_that_are_not_finite() -> None:
    probe = {"stage": "post-train", "probe": True, "logp_clean": -0.3, "margin": 1.0}
    result = measure_health([probe, {**probe, "logp_clean": -0.4, "margin": float("nan")}], [], [])
    assert result == {"logp_clean": {"first": -0.3, "last": -0.4}}


def test_missing_steps_counts_lost_losses_and_probes() -> None:
    losses = [{"stage": "post-train", "step": step, "loss": 1.0} for step in (2, 4)]
    probes = [{"stage": "post-train", "step": step, "probe": True} for step in (0, 3, 5)]
    how = {"steps": 5, "log_every": 2, "probe_every": 3}
    assert missing_steps([*losses, *probes], **how) == 0
    assert missing_steps([*losses, *probes[:2]], **how) == 1
    assert missing_steps(losses[1:], **how) == 4  # 0, 2, 3, 5
    assert missing_steps([{"stage": "base.llm", "step": 2, "loss": 1.0}], **{**how, "probe_every": 0}) == 2


def test_measure_health_first_and_last_probe() -> None:
    metrics: list[dict[str, object]] = [
        {"stage": "post-train", "step": 0, "probe": True, "logp_clean": -0.3, "margin": 1.0},
        {"stage": "post-train", "step": 5, "logp_clean": -9.0},
        {"stage": "post-train", "step": 5, "probe": True, "logp_clean": -0.4, "margin": 3.0},
        {"stage": "post-train", "step": 5, "stopped": 5},
    ]
    assert measure_health(metrics, [answer("a b c")], [answer("a a a a")]) == {
        "logp_clean": {"first": -0.3, "last": -0.4},
        "margin": {"first": 1.0, "last": 3.0},
        "repetition": {"first": 0.0, "last": 0.5},
        "stopped": 5,
    }
    # With `keep best` the final weights are not those of the last probe.
    metrics += [{"stage": "post-train", "step": 5, "kept": 0}]
    with_best_step = measure_health(metrics, [], [])
    assert with_best_step["kept"] == 0
    assert with_best_step["margin"] == {"first": 1.0, "last": 1.0}
    assert measure_health([], [], []) == {}
