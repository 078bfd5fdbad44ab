"""What decides pairs, what becomes of the others, and that nobody is asked twice. Whole runs: tests/test_pairs.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from spa3d.config.parse import parse
from spa3d.data.preference_pairs import EMPTY, SAME, read_pairs, text_of
from spa3d.errors import ConfigError, DataError
from spa3d.inference.predictor import Predictor
from spa3d.llm_clients.response_log import Ledger
from spa3d.pipeline.assemble import assemble
from spa3d.pipeline.base import Base
from spa3d.pipeline.pairs_stage import Gathering
from spa3d.preferences.corruption import UNSAID
from spa3d.preferences.generate import MARKED, Commission, Pairs, make_pairs
from spa3d.preferences.writers.contract import Corruption
from spa3d.runtime.progress import Silent

BASE = Base(Path("base"), "0123")


@pytest.fixture(autouse=True)
def _what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))


class Scripted:
    """Says what it is told to, in the opposite order, and remembers what it was asked."""

    name = "scripted"

    def __init__(self, say: Callable[[Corruption], tuple[str | None, str]]) -> None:
        self.say, self.asked = say, list[str]()

    def rewrite(self, requests: Sequence[Corruption], done: Callable[[str, str | None, str], None]) -> None:
        for request in reversed(requests):
            self.asked.append(request.key)
            done(request.key, *self.say(request))


def gathering(*argv: str, base: Base = BASE, left_out: tuple[str, ...] = ()) -> Gathering:
    asked = parse(["--preset", "smoke", "--device", "cpu", *argv])
    assembly = assemble(asked.config, asked.registry)
    return Gathering(assembly, base, assembly.dataset.records("train"), left_out, Silent())


CORRUPTION = ("--pairs.mode", "corruption", "--pairs.limit", "8")


def nobody() -> Predictor:
    raise AssertionError("the model was asked")


def made(source: Gathering, writer: Scripted, requests: int = 8) -> Pairs:
    order = source.order
    order = Commission(order.requests[:requests], order.path, order.made, writer)
    return make_pairs(source.assembly, order, nobody, Silent())


def test_what_is_no_pair_is_dropped_and_counted() -> None:
    source = gathering(*CORRUPTION)
    keys = [one.key for one in source.order.requests]
    bad: dict[str, tuple[str | None, str]] = {
        keys[0]: (source.order.requests[0].answer.upper() + " ", ""),
        keys[1]: (None, "nonsense"),
        keys[2]: (None, ""),
        keys[3]: ("It ends </s> here.", ""),
        keys[4]: (None, "nonsense"),
        keys[5]: ("  ", ""),
    }
    found = made(source, Scripted(lambda request: bad.get(request.key, ("something else", ""))))
    assert found.asked == 8
    assert found.dropped == {"nonsense": 2, SAME: 1, UNSAID: 1, MARKED: 1, EMPTY: 1}
    for pair, request in zip(found.kept, source.order.requests[6:], strict=True):
        told = (pair.record_id, pair.question, pair.chosen, pair.rejected)
        assert told == (request.record.id, request.question, request.answer, "something else")
    assert str(found).startswith("2 pairs of 8 requests; 2 dropped: nonsense; 1 dropped: ")


def test_nothing_left_is_a_fault() -> None:
    with pytest.raises(
        DataError,
        match=r"--pairs\.mode corruption: 0 pairs of 8 requests; 8 dropped: no; nothing is left .* take another",
    ):
        made(gathering(*CORRUPTION), Scripted(lambda request: (None, "no")))


def test_nobody_is_asked_twice_and_a_larger_limit_asks_for_the_rest() -> None:
    writer = Scripted(lambda request: ("something else", "") if len(writer.asked) % 2 else (None, "no"))
    first = made(gathering(*CORRUPTION), writer, requests=4)
    assert len(writer.asked) == 4
    assert made(gathering(*CORRUPTION), writer, requests=4) == first
    assert len(writer.asked) == 4
    made(gathering(*CORRUPTION), writer)
    assert len(writer.asked) == len(set(writer.asked)) == 8


def test_a_writer_that_ends_half_way_leaves_what_is_done() -> None:
    def failing(request: Corruption) -> tuple[str, str]:
        if len(writer.asked) == 5:
            raise DataError("the endpoint is gone")
        return "something else", ""

    source, writer = gathering(*CORRUPTION), Scripted(failing)
    with pytest.raises(DataError, match="gone"):
        made(source, writer)
    kept = Ledger(source.order.path).outcomes
    assert len(kept) == 4
    again = Scripted(lambda request: ("something else", ""))
    assert len(made(source, again).kept) == 8
    assert len(again.asked) == 4
    assert not set(again.asked) & set(kept)


def test_what_does_not_decide_an_answer_is_shared_and_what_does_is_not() -> None:
    plain = gathering(*CORRUPTION).order
    for same in (["--pairs.batch_size", "3"], ["--train.steps", "5"], ["--noise", "gaussian"]):
        assert gathering(*CORRUPTION, *same).order.path == plain.path
    assert gathering(*CORRUPTION, base=Base(Path("base"), "4567")).order.path == plain.path
    assert gathering(*CORRUPTION, "--seed", "1").order.path != plain.path
    endpoint = ("--pairs.writer", "endpoint", "--pairs.llm", "big", "--pairs.url", "http://localhost:1/v1")
    paid = gathering(*CORRUPTION, *endpoint).order
    assert paid.path != plain.path
    assert gathering(*CORRUPTION, *endpoint, "--seed", "1").order.path == paid.path

    own = ("--pairs.mode", "augmentation")
    plain = gathering(*own).order
    assert gathering(*own, "--pairs.limit", "3").order.path == plain.path
    for other in (["--noise", "gaussian"], ["--noise.level", "0.5"], ["--seed", "1"], ["--pairs.chosen", "model"]):
        assert gathering(*own, *other).order.path != plain.path
    assert gathering(*own, base=Base(Path("base"), "4567")).order.path != plain.path


def test_as_many_are_asked_for_as_training_meets() -> None:
    own = ("--pairs.mode", "augmentation")
    assert len(gathering(*own).order.requests) == 3 * 8
    assert len(gathering(*own, "--train.steps", "20").order.requests) == 64
    assert len(gathering(*own, "--train.steps", "20", "--pairs.limit", "5").order.requests) == 5
    made_by = gathering(*own, "--noise.level", "0.5").order.made
    assert {name: made_by[name] for name in ("mode", "base", "chosen", "noise", "level", "seed", "dataset")} == {
        "mode": "augmentation",
        "base": "0123",
        "chosen": "truth",
        "noise": "mask",
        "level": 0.5,
        "seed": 0,
        "dataset": "shapes",
    }


def test_without_clouds_there_is_nothing_to_noise() -> None:
    with pytest.raises(ConfigError, match=r"--pairs\.mode augmentation: with --blind there is no cloud"):
        _ = gathering("--pairs.mode", "augmentation", "--blind", "--objective", "sft").order


class TestGiven:
    def test_pairs_with_a_mark_of_the_models_own_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "pairs.jsonl"
        entry = {"record": "shapes-0-train-000001", "question": "?", "chosen": "a", "rejected": "<point_patch>"}
        path.write_text(json.dumps(entry))
        with pytest.raises(
            DataError, match=r"pairs\.jsonl: record shapes-0-train-000001: the text .* holds '<point_patch>'"
        ):
            gathering("--pairs.path", str(path)).given()

    def test_they_are_copied_to_the_run(self, tmp_path: Path) -> None:
        path = tmp_path / "pairs.jsonl"
        entry = {"record": "shapes-0-train-000001", "question": "?", "chosen": "a", "rejected": "b"}
        path.write_text(json.dumps(entry))
        source = gathering("--pairs.path", str(path))
        told = source.into(tmp_path / "run", nobody)
        assert told == {"kept": 1, "hash": told["hash"]}
        copy = tmp_path / "run" / "pairs.jsonl"
        assert copy.read_text() == text_of(read_pairs(path))
        path.write_text(json.dumps({**entry, "rejected": "c"}))
        with pytest.raises(Exception, match="the run was begun with other pairs than these; choose another --output"):
            source.into(tmp_path / "run", nobody)
