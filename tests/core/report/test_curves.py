"""Charts from complete and incomplete rows of metrics.jsonl."""

from spa3d.report.curves import build_base_charts, build_post_training_charts


def test_post_training_charts_training_and_held_out_lines(metrics):
    loss, margin, logp = build_post_training_charts(metrics)
    assert (loss.title, [line.values for line in loss.series]) == ("Loss", [(0.6, 0.5)])
    assert [(line.held_out, line.steps, line.values) for line in margin.series] == [
        (False, (5, 10), (1.2, 1.4)),
        (True, (0, 10), (1.0, 1.8)),
    ]
    assert [(line.name, line.held_out) for line in logp.series] == [
        ("clean", False), ("clean", True), ("noised", False), ("noised", True),
    ]  # fmt: skip


def test_base_charts(metrics):
    (chart,) = build_base_charts(metrics)
    assert chart.title == "LLM pretraining"
    assert chart.series[0].values == (5.0, 3.0)


def test_charts_without_rows():
    assert build_post_training_charts([]) == []
    assert build_post_training_charts([{"stage": "post-train", "step": 1, "learning_rate": 1e-3}]) == []
    assert build_base_charts([{"stage": "something else", "step": 1, "loss": 1.0}, {}]) == []


def test_charts_skip_values_that_are_not_numbers():
    rows = [
        {"stage": "post-train", "step": 1, "loss": float("nan")},
        {"stage": "post-train", "step": 2, "loss": "much"},
        {"stage": "post-train", "step": 3, "loss": None},
        {"stage": "post-train", "loss": 1.0},
        {"stage": "post-train", "step": 4, "loss": 0.25},
    ]
    (chart,) = build_post_training_charts(rows)
    assert chart.series[0].steps == (4,)


def test_charts_repeated_step_uses_the_last_row():
    rows = [{"stage": "post-train", "step": step, "loss": loss} for step, loss in ((1, 3.0), (2, 2.0), (2, 1.5))]
    assert build_post_training_charts(rows)[0].series[0].values == (3.0, 1.5)


def test_loss_chart_shows_several_terms():
    rows = [{"stage": "post-train", "step": s, "loss": 1.0, "terms": {"anchor": 0.7, "spa": 0.3}} for s in (1, 2)]
    assert [line.name for line in build_post_training_charts(rows)[0].series] == ["loss", "anchor", "spa"]
    single = [row | {"terms": {"spa": 1.0}} for row in rows]
    assert [line.name for line in build_post_training_charts(single)[0].series] == ["loss"]


def test_charts_wrong_and_right_answers_of_the_same_batches():
    probe = {"stage": "post-train", "step": 1, "probe": True, "logp_clean": -0.5}
    row = {"stage": "post-train", "step": 1, "logp_clean": -1.0, "logp_rejected": -2.0, "pair_margin": 9.0,
           "reward_margin": 0.5, "pair_sign_accuracy": 0.75, "pair_saturation": 0.1}  # fmt: skip
    margins, views, answers, signs = build_post_training_charts([probe, row])
    assert [(line.name, line.values) for line in margins.series] == [("margin", (9.0,)), ("gained", (0.5,))]
    assert [(line.name, line.held_out) for line in views.series] == [("clean", False), ("clean", True)]
    assert [(line.name, line.style, line.values) for line in answers.series] == [
        ("right", "clean", (-1.0,)), ("wrong", "noised", (-2.0,)),
    ]  # fmt: skip
    assert (signs.title, signs.series[0].values) == ("Right preferred to wrong answer", (0.75,))


def test_charts_answers_to_object_and_twin():
    names = ("logp_clean", "logp_rejected", "logp_twin", "logp_rejected_twin")
    _, chart = build_post_training_charts([{"stage": "post-train", "step": 1, **dict.fromkeys(names, -1.0)}])
    assert [(line.name, line.style) for line in chart.series] == [
        ("right", "clean"), ("right, twin", "clean"), ("wrong", "noised"), ("wrong, twin", "noised"),
    ]  # fmt: skip


def test_charts_margin_over_another_view():
    rows = [{"stage": "post-train", "step": 1, "other_margin": 2.0}]
    assert [line.name for line in build_post_training_charts(rows)[0].series] == ["over the other view"]


def test_charts_mark_watchdog_warnings(metrics):
    rows = [*metrics, {"stage": "post-train", "step": 10, "warning": "down"}]
    assert all(chart.alarms == (10,) for chart in build_post_training_charts(rows))
