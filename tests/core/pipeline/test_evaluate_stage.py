"""Saved answers are used again only if they answer every question; others are asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from spa3d.contracts.benchmark import Prediction
from spa3d.errors import DivergenceError
from spa3d.pipeline.evaluate_stage import Measurement
from spa3d.pipeline.run import Run

OpenSmoke = Callable[..., Run]


class Counting:
    """Predictor that gives every option the same log p, and counts the questions."""

    def __init__(self, logp: float = -1.0) -> None:
        self.logp, self.asked = logp, 0

    def answer(self, questions: Any, view: str, advance: Any) -> list[Prediction]:
        self.asked += len(questions)
        sizes = [len(question.options or ()) for question in questions]
        return [Prediction("", (self.logp,) * size, (1,) * size) for size in sizes]


class Notes:
    """Reporter that remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def stage(self, name: str, detail: str = "") -> None:
        """Nothing."""

    @contextmanager
    def track(self, total: int, description: str) -> Iterator[Callable[[int], None]]:
        yield lambda units: None

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = say


@pytest.fixture
def measurement(open_smoke: OpenSmoke, tmp_path: Path) -> tuple[Measurement, Any, Notes]:
    run, notes = open_smoke({"benchmark": "choice", "evaluate.limit": 4}, output=tmp_path / "run"), Notes()
    run.check_data()
    views = ["clean", "blind"]
    made = Measurement(run.caches, "key", split="test", views=views, output=tmp_path / "run", reporter=notes)
    return made, run.questions, notes


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text(""),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_text(path.read_text().partition("\n")[2]),
        lambda path: path.write_bytes(b"\xff\n"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_answers_that_are_not_whole_are_asked_again(
    measurement: Any, when: str, spoil: Callable[[Path], object]
) -> None:
    made, questions, notes = measurement
    first, again, third = Counting(), Counting(), Counting()
    ask, total = getattr(made, f"collect_{when}"), 2 * len(questions["choice"])
    ask(lambda: first, questions)
    rows = made.rows(questions)
    path = made.shared_file("choice") if when == "before" else made.path("choice", when)
    spoil(path)
    there = path.exists()
    ask(lambda: again, questions)
    ask(lambda: third, questions)
    assert (first.asked, again.asked, third.asked) == (total, total, 0)
    assert made.rows(questions) == rows
    assert len(rows["choice"][when == "after"]) == total + len(questions["choice"])  # the table of training answers
    assert [line.partition(": ")[0] for line in notes.lines] == [str(path)] * there


def test_rows_are_empty_where_answers_are_torn(measurement: Any) -> None:
    made, questions, _ = measurement
    made.collect_after(Counting, questions)
    made.path("choice", "after").write_text("{}\n")
    assert made.rows(questions) == {"choice": ([], [])}


def test_answers_without_numbers_end_the_run_and_stay_on_disk(measurement: Any) -> None:
    made, questions, _ = measurement
    total = 2 * len(questions["choice"])
    with pytest.raises(DivergenceError, match=rf"after post-training diverged: in {total} of {total} answers log p"):
        made.collect_after(lambda: Counting(float("nan")), questions)
    assert len(made.rows(questions)["choice"][1]) == total + len(questions["choice"])
