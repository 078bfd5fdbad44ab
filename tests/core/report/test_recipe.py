"""A report says in a line what each part was."""

from __future__ import annotations

from spa3d.report.recipe import recipe


def test_given_weights_are_named_beside_their_encoder(document):
    report = document()
    assert dict(recipe(report))["Encoder"] == "pointnext-tiny (pointnext), inputs xyz/rgb, width 32"
    encoder = {**report.config["encoder"], "checkpoint": "far/away/checkpoint.pt"}
    given = document(config={**report.config, "encoder": encoder})
    assert dict(recipe(given))["Encoder"].startswith("pointnext-tiny (pointnext), weights of checkpoint.pt, inputs")
