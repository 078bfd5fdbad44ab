"""Training health from probes and free answers."""

from __future__ import annotations

import pytest

from spa3d.evaluation.training_health import measure_health, repetition


def answer(text: str, **more: object) -> dict[str, object]:
    return {"text": text, "options": None, "view": "clean", **more}


def test_repetition_of_trigrams() -> None:
    # a b a b a b: aba bab aba bab, two of four are repeats; the second answer has one trigram
    assert repetition([answer("a b a b a b"), answer("a red chair")]) == pytest.approx(0.25)
    assert repetition([answer("too short")]) == 0
    assert repetition([answer("a a a a", options=["a"]), answer("a a a a", view="blind")]) is None


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
