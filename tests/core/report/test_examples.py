"""Choice of the example questions of a report."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from spa3d.report.examples import EXAMPLES, select_examples


def row(number: int, text: str, view: str = "clean") -> Any:
    name = f"q{number}"
    question = {"prompt": name, "answer": "red", "kind": f"kind {number % 3}", "set": "test", "view": view}
    return {"id": name, "record": f"r{number}", "text": text, **question}


def test_select_examples_begins_with_answers_that_training_changed() -> None:
    clouds: Any = SimpleNamespace(get=lambda keys: np.zeros((1, 4, 6), np.float32))
    noise: Any = SimpleNamespace(apply=lambda points, draws: points)
    before = [row(number, "blue") for number in range(40)]
    after = [row(number, "red" if number in (7, 10, 31) else "blue") for number in range(40)]
    examples = select_examples(before, after, clouds, noise, seed=0)
    assert len(examples) == EXAMPLES
    assert {example.record_id for example in examples[:3]} == {"r7", "r10", "r31"}
    assert [example.before != example.after for example in examples] == [True, True, True, False]
