"""metrics.jsonl survives kills and resumes."""

from __future__ import annotations

from pathlib import Path

from spa3d.training.journal import Journal


def test_rewinding_forgets_only_later_steps_of_that_stage(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    for stage, step in (("base.llm", 9), ("post-train", 1), ("post-train", 2), ("post-train", 3)):
        journal.write(stage=stage, step=step, loss=1.0)
    journal.rewind("post-train", 2)
    assert [(row["stage"], row["step"]) for row in journal.rows()] == [
        ("base.llm", 9),
        ("post-train", 1),
        ("post-train", 2),
    ]


def test_a_torn_last_line_is_dropped_and_none_is_not_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    journal.write(stage="a", step=1, loss=None)
    with journal.path.open("a") as file:
        file.write('{"stage": "a", "st')
    assert journal.rows() == [{"stage": "a", "step": 1}]
