"""The card of a model: scores beside their floors, recipe and licenses, and nothing private."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard

from spa3d.report import write_model_card
from spa3d.report.model_card import render_model_card

LICENSES = {"encoder pointbert": "CC-BY-NC-4.0", "LLM tiny": "trained from nothing by this run"}


def test_render_model_card_has_scores_with_floors_and_intervals(document, rows):
    passport = {"licenses": LICENSES, "components": {"encoder": "their 2.0 (entry point x)", "projector": "spa3d 1"}}
    report = document(passport=passport, rows={"choice": (rows(0.8), rows(0.9))})
    card = ModelCard(render_model_card(report))
    assert card.data.library_name == "spa3d"
    assert {"point-cloud", "3d"} <= set(card.data.tags)
    results = {result.metric_name: result for result in card.data.eval_results}
    assert list(results) == ["choice", "choice, counterfactual", "choice, flip"]
    after = report.benchmarks["choice"].after
    assert results["choice"].metric_value == round(100 * after.score, 1)
    assert results["choice"].metric_args == {
        "ci95": [round(100 * end, 1) for end in after.ci95],
        "blind": round(100 * after.blind, 1),
        "text_floor": round(100 * after.text_floor.score, 1),
        "text_floor_by": after.text_floor.source,
        "chance": 50.0,
        "questions": 80,
    }
    assert results["choice"].dataset_name == "shapes"
    assert "| choice |" in card.text
    assert "text floor" in card.text
    assert "- LLM tiny: trained from nothing by this run" in card.text
    assert "Encoder and projector come from their 2.0 (entry point x) and spa3d 1." in card.text
    assert "spa3d.session(" in card.text
    assert "- Objective: spa" in card.text


def test_render_model_card_names_no_folder_and_no_machine(document):
    config = {"llm_name": "/data/me/secret/llama", "base": {"path": ""}, "preset": "x"}
    machine = {"device": "cpu", "name": "my-machine", "argv": ["--llm", "/data/me/secret/llama"]}
    passport = {"machine": machine, "components": {"encoder": "/data/me/plugin.py", "projector": "spa3d 1"}}
    text = render_model_card(document(config=config, passport=passport))
    assert "LLM: llama" in text
    assert "from plugin.py and spa3d 1" in text
    assert "/data/me" not in text
    assert "my-machine" not in text
    assert "all parts: not stated" in text


def test_render_model_card_escapes_hostile_text(document, rows, hostile_text, parser):
    report = document(
        config={"encoder": {"requested": hostile_text}, "llm_name": hostile_text},
        passport={"licenses": {hostile_text: hostile_text}},
        data={"dataset": hostile_text, "splits": {}},
        rows={f"choice\n---\n{hostile_text}": (rows(0.8), rows(0.9))},
    )
    card = ModelCard(render_model_card(report))
    assert card.data.eval_results[0].dataset_name == hostile_text
    assert not [token for token in parser(card.text) if token.type.startswith("html")]


@pytest.mark.parametrize("status", ["complete", "diverged"])
def test_write_model_card_puts_card_and_passport_beside_the_model(document, tmp_path, status):
    write_model_card(tmp_path, document(status=status))
    assert ModelCard.load(tmp_path / "README.md").data.library_name == "spa3d"
    assert '"torch": "2.13.0"' in (tmp_path / "passport.json").read_text()
