"""Details of a run, one line per part."""

from __future__ import annotations

from spa3d.report.run_details import run_details


def test_run_details_encoder_with_weights(document):
    report = document()
    assert dict(run_details(report))["Encoder"] == "pointnext-tiny (pointnext), inputs xyz/rgb, width 32"
    encoder = {**report.config["encoder"], "checkpoint": "far/away/checkpoint.pt"}
    other = document(config={**report.config, "encoder": encoder})
    assert dict(run_details(other))["Encoder"].startswith(
        "pointnext-tiny (pointnext), weights of checkpoint.pt, inputs"
    )


def test_run_details_adapters(document):
    report = document()
    assert "adapters" not in dict(run_details(report))["Post-training"]
    lora = {"rank": 8, "alpha": 16.0, "dropout": 0.0, "targets": ["q_proj", "v_proj"]}
    other = document(config={**report.config, "train": {**report.config["train"], "lora": lora}})
    text = dict(run_details(other))["Post-training"]
    assert text.endswith("the LLM through adapters of rank 8 (alpha 16, in q_proj/v_proj)")


def test_run_details_non_default_training_settings(document):
    report = document()
    train = {**report.config["train"], "fresh": True, "early_stop": True, "keep": "best"}
    text = dict(run_details(document(config={**report.config, "train": train})))["Post-training"]
    assert "fresh questions, stops when the watchdog warns, keeps the best weights on held-out records" in text
    usual = {**train, "fresh": False, "early_stop": False, "keep": "last"}
    assert "best" not in dict(run_details(document(config={**report.config, "train": usual})))["Post-training"]


def test_run_details_pairs(document):
    def text(**settings):
        config = {**document().config, "pairs": settings}
        passport = {"pairs": {"kept": 7, "requested": 9, "dropped": {"an answer is empty": 2}}}
        return dict(run_details(document(config=config, passport=passport)))["Pairs"]

    assert text(mode="corruption", writer="rule", llm="") == (
        "7 of 9 requests, by corruption (rule); 2 dropped: an answer is empty"
    )
    assert text(mode="corruption", writer="endpoint", llm="m").startswith("7 of 9 requests, by corruption (endpoint m)")
    assert text(mode="augmentation", chosen="truth", writer="rule").startswith("7 of 9 requests, by augmentation;")
    assert "(both answers the model's)" in text(mode="augmentation", chosen="model")
    assert text(path="p.jsonl", mode="") == "7 of p.jsonl"
