"""metrics.jsonl survives kills and resumes."""

from __future__ import annotations

from pathlib import Path

from spa3d.artifacts.metrics_log import MetricsLog


def test_rewinding_forgets_only_later_steps_of_that_stage(tmp_path: Path) -> None:
    metrics_log = MetricsLog(tmp_path / "metrics.jsonl")
    for stage, step in (("base.llm", 9), ("post-train", 1), ("post-train", 2), ("post-train", 3)):
        metrics_log.write(stage=stage, step=step, loss=1.0)
    metrics_log.truncate_after("post-train", 2)
    assert [(row["stage"], row["step"]) for row in metrics_log.rows()] == [
        ("base.llm", 9),
        ("post-train", 1),
        ("post-train", 2),
    ]


def test_a_torn_last_line_is_dropped_and_none_is_not_written(tmp_path: Path) -> None:
    metrics_log = MetricsLog(tmp_path / "metrics.jsonl")
    metrics_log.write(stage="a", step=1, loss=None)
    with metrics_log.path.open("a") as file:
        file.write('{"stage": "a", "st')
    assert metrics_log.rows() == [{"stage": "a", "step": 1}]


def test_a_stage_that_begins_again_forgets_its_first_look_too(tmp_path: Path) -> None:
    metrics_log = MetricsLog(tmp_path / "metrics.jsonl")
    for stage, step in (("base.llm", 9), ("post-train", 0), ("post-train", 1)):
        metrics_log.write(stage=stage, step=step)
    metrics_log.truncate_after("post-train", 0)
    assert [row["stage"] for row in metrics_log.rows()] == ["base.llm"]


def test_a_run_adopts_the_curves_of_its_base_and_not_those_of_another_run(tmp_path: Path) -> None:
    other, mine = MetricsLog(tmp_path / "other.jsonl"), MetricsLog(tmp_path / "mine.jsonl")
    other.write(stage="base.llm", step=1, loss=2.0)
    other.write(stage="post-train", step=3, warning="it fell")
    mine.import_base_metrics(other.path)
    assert [row["stage"] for row in mine.rows()] == ["base.llm"]
