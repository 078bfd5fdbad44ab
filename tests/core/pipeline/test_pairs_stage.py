"""Pairs of a run: fingerprint, number of requests, given files.

Whole runs are in tests/test_pairs.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from spa3d.config.resolve import resolve
from spa3d.config.settings import LLMSettings
from spa3d.data.preference_pairs import format_pairs, read_pairs
from spa3d.errors import CheckpointError, ConfigError, DataError
from spa3d.inference.predictor import Predictor
from spa3d.model.llm import make_llm
from spa3d.pipeline import fingerprints
from spa3d.pipeline.base import Base
from spa3d.pipeline.open_run import open_run
from spa3d.pipeline.pairs_stage import PairSource
from spa3d.preferences.generate import GenerationPlan
from spa3d.registry.registry import load_registry

BASE = Base(Path("base"), "0123")
SMOKE = {"preset": "smoke", "device": "cpu"}
CORRUPTION = {"pairs": {"mode": "corruption", "limit": 8}}
NAMES = ("a", "copy", "b")


def source(*settings: Mapping[str, Any], base: Base = BASE) -> PairSource:
    run = open_run(resolve(SMOKE, *settings), load_registry(), output=Path("unused"), check_data=False)
    return replace(run.pairs, base=base)


def plan(*settings: Mapping[str, Any], base: Base = BASE) -> GenerationPlan:
    return source(*settings, base=base).plan


def nobody() -> Predictor:
    raise AssertionError("the model was asked")


def test_plan_shares_a_log_only_between_equal_answers() -> None:
    plain = plan(CORRUPTION)
    for same in ({"pairs.batch_size": 3}, {"train.steps": 5}, {"noise": "gaussian"}):
        assert plan(CORRUPTION, same).path == plain.path
    assert plan(CORRUPTION, base=Base(Path("base"), "4567")).path == plain.path
    assert plan(CORRUPTION, {"seed": 1}).path != plain.path
    endpoint = {"pairs": {"writer": "endpoint", "llm": "big", "url": "http://localhost:1/v1"}}
    paid = plan(CORRUPTION, endpoint)
    assert paid.path != plain.path
    assert plan(CORRUPTION, endpoint, {"seed": 1}).path == paid.path
    assert plan(CORRUPTION, endpoint, {"dataset.seed": 1}).path != paid.path

    own = {"pairs.mode": "augmentation"}
    plain = plan(own)
    assert plan(own, {"pairs.limit": 3}).path == plain.path
    for other in ({"noise": "gaussian"}, {"noise.level": 0.5}, {"seed": 1}, {"pairs.chosen": "model"}):
        assert plan(own, other).path != plain.path
    assert plan(own, base=Base(Path("base"), "4567")).path != plain.path


def test_plan_asks_a_paid_endpoint_once_whatever_the_code_is(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = {"pairs": {"writer": "endpoint", "llm": "big", "url": "http://localhost:1/v1"}}
    free, paid = plan(CORRUPTION).path, plan(CORRUPTION, endpoint).path
    monkeypatch.setattr(fingerprints, "hash_sources", lambda paths: "code after a refactoring")
    assert plan(CORRUPTION).path != free
    assert plan(CORRUPTION, endpoint).path == paid


def save_llm(folder: Path, weight: float) -> None:
    """Save a small LLM whose weights all have one value."""
    settings = LLMSettings(hidden_size=16, layers=1, heads=2, intermediate_size=16, vocab_size=300)
    llm, tokenizer, _ = make_llm(settings, lambda: iter(["a red chair"] * 3))
    for parameter in llm.parameters():
        torch.nn.init.constant_(parameter, weight)
    llm.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def test_check_refuses_a_local_llm_with_infinite_weights_before_any_work(tmp_path: Path) -> None:
    save_llm(tmp_path, float("inf"))
    writer = {"objective": "dpo", "pairs": {**CORRUPTION["pairs"], "writer": "model", "llm": str(tmp_path)}}
    with pytest.raises(
        CheckpointError, match=r"^--pairs\.llm .*: 12 of its weights hold NaN or infinity, such as model"
    ):
        source(writer).check()
    source({**writer, "objective": "sft"}).check()


def test_plan_depends_on_the_content_of_the_local_llm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, weight in (("a", 0.5), ("b", 0.25)):
        save_llm(tmp_path / name, weight)
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    paths = {name: plan(CORRUPTION, {"pairs": {"writer": "model", "llm": str(tmp_path / name)}}).path for name in NAMES}
    assert paths["a"] == paths["copy"] != paths["b"]
    (tmp_path / "b" / "model.safetensors").write_bytes(b"<html>")
    with pytest.raises(CheckpointError, match=r"^--pairs\.llm .*b: transformers cannot load a causal LM from there \("):
        _ = plan(CORRUPTION, {"pairs": {"writer": "model", "llm": str(tmp_path / "b")}})


def test_plan_has_as_many_requests_as_training_needs() -> None:
    own = {"pairs.mode": "augmentation"}
    assert len(plan(own).requests) == 3 * 8
    assert len(plan(own, {"train.steps": 20}).requests) == 64
    assert len(plan(own, {"train.steps": 20, "pairs.limit": 5}).requests) == 5
    made = plan(own, {"noise.level": 0.5}).made
    assert {name: made[name] for name in ("mode", "base", "chosen", "noise", "level", "seed", "dataset")} == {
        "mode": "augmentation",
        "base": "0123",
        "chosen": "truth",
        "noise": "mask",
        "level": 0.5,
        "seed": 0,
        "dataset": "shapes",
    }


def test_plan_refuses_augmentation_with_blind() -> None:
    with pytest.raises(ConfigError, match=r"--pairs\.mode augmentation: with --blind there is no cloud"):
        plan({"pairs.mode": "augmentation", "blind": True, "objective": "sft"})


def test_generate_to_writes_the_pairs_that_it_returns(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    pairs = source(CORRUPTION).generate_to(path, nobody)
    assert (pairs.requested, len(pairs.kept)) == (8, 8)
    assert read_pairs(path) == pairs.kept
    counts = source(CORRUPTION).collect(tmp_path / "run", nobody)
    assert counts == {"kept": 8, "requested": 8, "dropped": {}, "hash": counts["hash"]}
    assert (tmp_path / "run" / "pairs.jsonl").read_bytes() == path.read_bytes()


class TestGiven:
    def test_load_refuses_pairs_with_special_tokens(self, tmp_path: Path) -> None:
        path = tmp_path / "pairs.jsonl"
        entry = {"record": "shapes-0-train-000001", "question": "?", "chosen": "a", "rejected": "<point_patch>"}
        path.write_text(json.dumps(entry))
        with pytest.raises(
            DataError, match=r"pairs\.jsonl: record shapes-0-train-000001: the text .* holds '<point_patch>'"
        ):
            source({"pairs.path": str(path)}).load()

    def test_collect_copies_pairs_to_the_run(self, tmp_path: Path) -> None:
        path = tmp_path / "pairs.jsonl"
        entry = {"record": "shapes-0-train-000001", "question": "?", "chosen": "a", "rejected": "b"}
        path.write_text(json.dumps(entry))
        pair_source = source({"pairs.path": str(path)})
        counts = pair_source.collect(tmp_path / "run", nobody)
        assert counts == {"kept": 1, "hash": counts["hash"]}
        copy = tmp_path / "run" / "pairs.jsonl"
        assert copy.read_text() == format_pairs(read_pairs(path))
        path.write_text(json.dumps({**entry, "rejected": "c"}))
        with pytest.raises(Exception, match="the run was begun with other pairs than these; choose another --output"):
            pair_source.collect(tmp_path / "run", nobody)
