"""Stages run in order and are timed; a plan shows the stages that a stage consists of."""

from __future__ import annotations

from functools import partial

from spa3d.pipeline.stages import Stage, flatten, run_stages


def test_run_stages_runs_in_order_and_times_each() -> None:
    met: list[str] = []
    inner = (Stage("base: llm", "", lambda: True, partial(met.append, "inner")),)
    stages = [
        Stage("base", "", lambda: False, partial(met.append, "base"), every_process=True, inner=inner),
        Stage("report", "", lambda: False, partial(met.append, "report")),
    ]
    timing: dict[str, float] = {}
    run_stages(stages, timing)
    assert met == ["base", "report"], "a stage runs its inner stages itself"
    assert list(timing) == ["base", "report"]
    assert all(seconds >= 0 for seconds in timing.values())


def test_flatten_shows_inner_stages_instead_of_their_stage() -> None:
    inner = tuple(Stage(name, "", lambda: True, lambda: None) for name in ("base: llm", "base: align"))
    stages = [
        Stage("base", "", lambda: True, lambda: None, inner=inner),
        Stage("report", "", lambda: True, lambda: None),
    ]
    assert [stage.name for stage in flatten(stages)] == ["base: llm", "base: align", "report"]
