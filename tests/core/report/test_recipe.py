"""A report says in a line what each part was."""

from __future__ import annotations

from spa3d.report.recipe import recipe


def test_given_weights_are_named_beside_their_encoder(document):
    report = document()
    assert dict(recipe(report))["Encoder"] == "pointnext-tiny (pointnext), inputs xyz/rgb, width 32"
    encoder = {**report.config["encoder"], "checkpoint": "far/away/checkpoint.pt"}
    given = document(config={**report.config, "encoder": encoder})
    assert dict(recipe(given))["Encoder"].startswith("pointnext-tiny (pointnext), weights of checkpoint.pt, inputs")


def test_adapters_are_named_where_the_llm_trained_through_them(document):
    report = document()
    assert "adapters" not in dict(recipe(report))["Post-training"]
    lora = {"rank": 8, "alpha": 16.0, "dropout": 0.0, "targets": ["q_proj", "v_proj"]}
    given = document(config={**report.config, "train": {**report.config["train"], "lora": lora}})
    told = dict(recipe(given))["Post-training"]
    assert told.endswith("the LLM through adapters of rank 8 (alpha 16, in q_proj/v_proj)")
