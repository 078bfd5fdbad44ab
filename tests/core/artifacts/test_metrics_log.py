"""Log of metrics after kills and resumes."""

from __future__ import annotations

from pathlib import Path

from spa3d.artifacts.metrics_log import MetricsLog


def test_truncate_after_deletes_later_steps_of_the_stage(tmp_path: Path) -> None:
    metrics_log = MetricsLog(tmp_path / "metrics.jsonl")
    for stage, step in (("base.llm", 9), ("post-train", 1), ("post-train", 2), ("post-train", 3)):
        metrics_log.write(stage=stage, step=step, loss=1.0)
    metrics_log.truncate_after("post-train", 2)
    assert [(row["stage"], row["step"]) for row in metrics_log.rows()] == [
        ("base.llm", 9),
        ("post-train", 1),
        ("post-train", 2),
    ]


def test_rows_without_torn_line_and_none_values(tmp_path: Path) -> None:
    metrics_log = MetricsLog(tmp_path / "metrics.jsonl")
    metrics_log.write(stage="a", step=1, loss=None)
    with metrics_log.path.open("a") as file:
        file.write('{"stage": "a", "st')
    assert metrics_log.rows() == [{"stage": "a", "step": 1}]


def test_rows_without_values_of_other_kinds_and_other_encodings(tmp_path: Path) -> None:
    metrics_log = MetricsLog(tmp_path / "metrics.jsonl")
    metrics_log.path.write_bytes(b'3\n["step"]\n\xff\n{"step": 1}\n\n')
    assert metrics_log.rows() == [{"step": 1}]


def test_truncate_after_step_zero_deletes_the_stage(tmp_path: Path) -> None:
    metrics_log = MetricsLog(tmp_path / "metrics.jsonl")
    for stage, step in (("base.llm", 9), ("post-train", 0), ("post-train", 1)):
        metrics_log.write(stage=stage, step=step)
    metrics_log.truncate_after("post-train", 0)
    assert [row["stage"] for row in metrics_log.rows()] == ["base.llm"]


def test_import_base_metrics_only_base_stages(tmp_path: Path) -> None:
    other, log = MetricsLog(tmp_path / "other.jsonl"), MetricsLog(tmp_path / "mine.jsonl")
    other.write(stage="base.llm", step=1, loss=2.0)
    other.write(stage="post-train", step=3, warning="it fell")
    log.import_base_metrics(other.path)
    assert [row["stage"] for row in log.rows()] == ["base.llm"]
