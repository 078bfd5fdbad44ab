"""Evaluation of a model without a run, under built-in and other views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from spa3d.contracts.benchmark import Benchmark
from spa3d.errors import ConfigError, DataError
from spa3d.inference.views import CleanView, Shown, ViewTokens
from spa3d.pipeline.evaluate_model import EvaluationSettings, evaluate
from spa3d.registry.create import create

SETTINGS = EvaluationSettings(bootstrap=100, batch_size=3)


class Zeroed(CleanView):
    """The encoder's tokens, all zero."""

    name = "zeroed"

    def tokens(self, batch: Sequence[Shown]) -> ViewTokens:
        shown = super().tokens(batch).tokens
        assert shown is not None
        return ViewTokens(torch.zeros_like(shown))


@pytest.fixture
def choice() -> dict[str, Benchmark]:
    return {"choice": create("benchmark", "choice")}


def test_evaluate_asks_the_same_questions_under_every_view(toy: Any, toy_dataset: Any, choice: Any) -> None:
    model, processor, _ = toy()
    views = ("clean", "blind", "noised", Zeroed)
    noise = create("noise", "mask", patches=4, patch_size=8)
    result = evaluate(
        model, processor, benchmarks=choice, dataset=toy_dataset, views=views, noise=noise, settings=SETTINGS
    )
    question_ids = {
        view: [row["id"] for row in result.rows["choice"] if row["view"] == view] for view in result.scores["choice"]
    }
    assert list(question_ids) == ["clean", "blind", "noised", "zeroed"]
    assert len(question_ids["clean"]) == 8
    assert all(ids == question_ids["clean"] for ids in question_ids.values())
    for view, score in result.scores["choice"].items():
        low, high = score["ci95"]
        assert low <= score["score"] <= high
        assert score["chance"] == 0.25
        assert ("change" in score) == (view != "clean")


def test_evaluate_under_zeroed_tokens_does_not_depend_on_the_cloud(toy: Any, toy_dataset: Any, choice: Any) -> None:
    model, processor, _ = toy()
    result = evaluate(
        model, processor, benchmarks=choice, dataset=toy_dataset, views=["clean", Zeroed], settings=SETTINGS
    )
    rows = [row for row in result.rows["choice"] if row["view"] == "zeroed"]
    by_prompt: dict[str, set[tuple[float, ...]]] = {}
    for row in rows:
        by_prompt.setdefault(row["prompt"], set()).add(tuple(round(value, 3) for value in row["option_logp"]))
    assert all(len(result) == 1 for result in by_prompt.values())


def test_evaluate_refuses_two_benchmarks_of_one_name(toy: Any, toy_dataset: Any, choice: Any) -> None:
    model, processor, _ = toy()
    for twice in (["choice", "choice"], [choice["choice"], choice["choice"]]):
        with pytest.raises(ConfigError, match=r"two are called '[cC]hoice'; give a mapping from names to benchmarks"):
            evaluate(model, processor, benchmarks=twice, dataset=toy_dataset, settings=SETTINGS)


def test_evaluate_names_the_views_there_are(toy: Any, toy_dataset: Any, choice: Any) -> None:
    model, processor, _ = toy()
    with pytest.raises(ConfigError, match="no view 'noised'; there are: clean, twin, blind"):
        evaluate(model, processor, benchmarks=choice, dataset=toy_dataset, views=["noised"])


def test_evaluate_refuses_data_that_give_no_question(toy: Any, toy_dataset: Any) -> None:
    model, processor, _ = toy()

    class Mute(Benchmark):
        def questions(self, dataset: Any, split: str, seed: int) -> list[Any]:
            return []

        def score(self, question: Any, prediction: Any) -> Any: ...

        def chance(self, question: Any) -> float:
            return 0.0

    with pytest.raises(DataError, match="split 'test' has no question for any of mute"):
        evaluate(model, processor, benchmarks={"mute": Mute()}, dataset=toy_dataset)
