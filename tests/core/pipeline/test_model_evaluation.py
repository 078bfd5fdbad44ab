"""Evaluation of a saved model: what is asked again, by whom, and what is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import spa3d
from spa3d.contracts.benchmark import Benchmark, Question, Verdict
from spa3d.contracts.dataset import Dataset
from spa3d.errors import ConfigError, DataError, OutputError
from spa3d.inference.contrast import Contrast
from spa3d.inference.generation import Decoding
from spa3d.inference.predictor import Predictor
from spa3d.inference.session import ModelSource
from spa3d.pipeline.evaluate_model import Evaluation, EvaluationSettings, evaluate
from spa3d.runtime.shards import Shard

SETTINGS = EvaluationSettings(bootstrap=100, batch_size=4, limit=6, decoding=Decoding(max_tokens=4))
BENCHMARKS = ["choice", "classify"]


@pytest.fixture
def world() -> Dataset:
    dataset: Dataset = spa3d.create("dataset", "shapes-smoke", train=8, val=1, test=12, counterfactual=4)
    return dataset


@pytest.fixture(autouse=True)
def _few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spa3d.report.examples.EXAMPLES", 1)


@pytest.fixture
def ask_log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """View and id of each question that a model is asked, from now on."""
    questions: list[str] = []
    original = Predictor.answer_batches

    def answer_batches(self: Predictor, items: Sequence[Question], view: str) -> Iterator[Any]:
        for indices, predictions in original(self, items, view):
            questions.extend(f"{view}:{items[index].id}" for index in indices)
            yield indices, predictions

    monkeypatch.setattr(Predictor, "answer_batches", answer_batches)
    return questions


def run(model: Path, world: Dataset, **more: Any) -> Evaluation:
    values: dict[str, Any] = {"benchmarks": BENCHMARKS, "dataset": world, "settings": SETTINGS, **more}
    return evaluate(ModelSource(model, device="cpu"), **values)


def test_nothing_is_asked_twice_and_the_model_is_not_even_loaded(
    model_folder: Path, world: Dataset, ask_log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(model_folder, world)
    assert first.new == len(ask_log) > 0
    monkeypatch.setattr("spa3d.inference.session.load", None)
    second = run(model_folder / "model", world, settings=replace(SETTINGS, batch_size=1))
    assert (second.new, second.rows, second.scores) == (0, first.rows, first.scores)
    assert len(ask_log) == first.new


def test_a_saved_model_answers_as_in_memory(model_folder: Path, world: Dataset) -> None:
    loaded = spa3d.load(model_folder)
    alone = evaluate(*loaded, benchmarks=BENCHMARKS, dataset=world, settings=SETTINGS)
    session = evaluate(
        spa3d.session(model_folder, device="cpu"), benchmarks=BENCHMARKS, dataset=world, settings=SETTINGS
    )
    saved = run(model_folder, world)
    assert session.rows == alone.rows
    for name in BENCHMARKS:
        for one, other in zip(alone.rows[name], saved.rows[name], strict=True):
            assert (one["id"], one["view"], one["text"]) == (other["id"], other["view"], other["text"])
            assert one["option_logp"] == pytest.approx(other["option_logp"], abs=1e-3)


def test_another_benchmark_asks_only_its_own_questions(model_folder: Path, world: Dataset, ask_log: list[str]) -> None:
    class Echo(Benchmark):
        """The questions of classify under other ids, and a new one."""

        def questions(self, dataset: Dataset, split: str, seed: int) -> list[Question]:
            there = spa3d.create("benchmark", "classify").questions(dataset, split, seed)
            new = replace(there[0], id="new", prompt="What?")
            return [*(replace(question, id=f"echo/{question.id}") for question in there), new]

        def score(self, question: Question, prediction: Any) -> Verdict:
            return Verdict(0.5)

        def chance(self, question: Question) -> float:
            return 0.0

    everything = replace(SETTINGS, limit=0)
    run(model_folder, world, benchmarks=["classify"], settings=everything)
    before = len(ask_log)

    run(model_folder, world, benchmarks={"echo": Echo()}, settings=everything)
    assert {*ask_log[before:]} == {"clean:new", "blind:new"}


def test_another_cloud_model_or_decoding_is_asked(model_folder: Path, world: Dataset, ask_log: list[str]) -> None:
    run(model_folder, world, benchmarks=["classify"])
    for change in (
        {"settings": replace(SETTINGS, decoding=Decoding(max_tokens=5))},
        {"dataset": spa3d.create("dataset", "shapes-smoke", train=8, val=1, test=12, counterfactual=4, seed=1)},
        {"views": ["clean", "noised"], "noise": "gaussian"},
    ):
        before = len(ask_log)
        run(model_folder, world, **{"benchmarks": ["classify"], **change})
        assert len(ask_log) > before, change


def test_shards_meet_in_a_folder_and_give_the_same_report(
    model_folder: Path, world: Dataset, tmp_path: Path, ask_log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(model_folder, world, output=tmp_path / "whole")
    count = len(ask_log)
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "others"))
    for number, missing in ((2, ("1/3", "3/3")), (3, ("1/3",))):
        part = run(model_folder, world, output=tmp_path / "parts", settings=replace(SETTINGS, shard=Shard(number, 3)))
        assert (part.rows, part.missing) == ({}, missing)
        monkeypatch.setenv("SPA3D_BASES", str(tmp_path / f"machine-{number}"))  # they meet in the folder alone
    last = run(model_folder, world, output=tmp_path / "parts", settings=replace(SETTINGS, shard=Shard(1, 3)))
    with_cloud = [sorted(each for each in some if "clean" in each) for some in (ask_log[:count], ask_log[count:])]
    assert with_cloud[0] == with_cloud[1]
    assert last.missing == ()
    assert last.scores == whole.scores
    files = [sorted(path.name for path in (tmp_path / name).rglob("*")) for name in ("whole", "parts")]
    assert files[0] == files[1]
    with pytest.raises(ConfigError, match="give output, the folder in which the shards meet"):
        run(model_folder, world, settings=replace(SETTINGS, shard=Shard(1, 3)))


def test_a_killed_evaluation_keeps_its_answers(
    model_folder: Path, world: Dataset, tmp_path: Path, ask_log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original, most = Predictor._generate, 2

    def generate(self: Predictor, *arguments: Any) -> Any:
        nonlocal most
        most -= 1
        if most < 0:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(Predictor, "_generate", generate)
    with pytest.raises(KeyboardInterrupt):
        run(model_folder, world, output=tmp_path / "out")
    before = [*ask_log]
    monkeypatch.setattr(Predictor, "_generate", original)
    [log] = (tmp_path / "bases" / ".answers").glob("*/*.jsonl")
    with log.open("a") as file:
        file.write('{"key": "torn by the ki')
    result = run(model_folder, world, output=tmp_path / "out")
    assert len({*ask_log}) == len(ask_log) == len(before) + result.new
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_folder_of_another_request_is_refused(model_folder: Path, world: Dataset, tmp_path: Path) -> None:
    run(model_folder, world, output=tmp_path / "out")
    with pytest.raises(OutputError, match=r"has another evaluation \(limit: 6 → 5; .*\); choose another folder"):
        run(model_folder, world, output=tmp_path / "out", settings=replace(SETTINGS, limit=5, samples=1, seed=1))


def test_the_report_states_scores_conditions_and_what_was_not_asked(
    model_folder: Path, world: Dataset, tmp_path: Path
) -> None:
    settings = replace(
        SETTINGS, samples=3, decoding=Decoding(4, temperature=1.5, top_k=20, contrast=Contrast(alpha=0.5))
    )
    run(
        model_folder,
        world,
        views=["clean", "noised"],
        noise="gaussian",
        settings=settings,
        output=tmp_path / "out",
    )
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    choice, classify = report["benchmarks"]["choice"], report["benchmarks"]["classify"]
    assert {"score", "ci95", "blind", "text_floor", "chance", "kinds", "gap", "counterfactual", "flip"} <= choice.keys()
    assert {*choice["views"]} == {"noised"}
    assert "samples" not in choice
    assert classify["samples"]["count"] == 3
    rows = [json.loads(line) for line in (tmp_path / "out" / "predictions" / "classify.jsonl").read_text().splitlines()]
    assert {row["view"] for row in rows} == {"clean", "noised", "blind", "text-table"}
    assert {len(row["samples"]) for row in rows if row["view"] == "clean"} == {3}
    texts = {sample["text"] for row in rows if row["view"] == "blind" for sample in row["samples"]}
    assert len(texts) > 1
    stated = "drawn (temperature 1.5, top-k 20, seed 0), at most 4 tokens, 3 draws per question"
    for name in ("report.md", "report.html"):
        text = (tmp_path / "out" / name).read_text().replace("\\", "")
        assert stated in text
        assert "logits are 1.5 times those of the clean cloud minus 0.5 times" in text


def test_a_dataset_without_training_records_has_no_text_table(
    model_folder: Path, world: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(world), "splits", ("test", "counterfactual"))
    run(model_folder, world, output=tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert any("no training records" in note for note in report["notes"])
    assert report["benchmarks"]["choice"]["text_floor"]["source"] in ("blind", "majority")


@pytest.fixture
def damaged_world(world: Dataset, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Dataset]:
    """The world with two test objects whose clouds cannot be read."""
    original, bad = type(world).record, [record.id for record in world.records("test")][:2]

    def broken() -> Any:
        raise DataError("the file is torn")

    def record(self: Any, record_id: str) -> Any:
        whole = original(self, record_id)
        return replace(whole, load=broken) if record_id in bad else whole

    def make(on_bad_data: Any) -> Dataset:
        monkeypatch.setattr(type(world), "record", record)
        world.on_bad_data = on_bad_data
        return world

    return make


def test_bad_clouds_are_listed_before_anything_is_asked(
    model_folder: Path, damaged_world: Callable[[str], Dataset], tmp_path: Path, ask_log: list[str]
) -> None:
    with pytest.raises(DataError, match=r"(?s)torn.*\n.*torn.*\n2 errors; --on-bad-data skip leaves") as raised:
        run(model_folder, damaged_world("stop"), settings=replace(SETTINGS, limit=0), output=tmp_path / "out")
    assert len(str(raised.value).splitlines()) == 3
    assert not ask_log
    assert not (tmp_path / "out").exists()
    result = run(model_folder, damaged_world("skip"), settings=replace(SETTINGS, limit=0), output=tmp_path / "out")
    assert len({row["record"] for row in result.rows["classify"] if row["set"] == "test"}) == 10
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(report["data"]["skipped"]) == 2


def test_impossible_requests_are_refused(model_folder: Path, world: Dataset, tmp_path: Path) -> None:
    for more, message in (
        ({"settings": replace(SETTINGS, split="nope")}, "no split 'nope'; possible: train, val, test, counterfactual"),
        ({"settings": replace(SETTINGS, samples=2)}, "2 greedy answers would be equal; give a temperature"),
        ({"settings": replace(SETTINGS, decoding=Decoding(contrast=Contrast()))}, "give --noise NAME"),
        ({"views": ["clean", "noised"]}, "no view 'noised'; there are: clean, twin, blind"),
        ({"processor": spa3d.load(model_folder)[1]}, "leave it out"),
    ):
        with pytest.raises(ConfigError, match=message):
            run(model_folder, world, **more)
    with pytest.raises(ConfigError, match="give that of the model"):
        evaluate(spa3d.load(model_folder)[0], benchmarks=BENCHMARKS, dataset=world)


def test_a_benchmark_says_what_the_data_lack(
    model_folder: Path, world: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = type(world).records

    def records(self: Any, split: str) -> Any:
        return [replace(record, category=None) for record in original(self, split)]

    monkeypatch.setattr(type(world), "records", records)
    lack = "it needs records with a category; of the 12 records 12 have a caption, 12 have facts, 0 have a category"
    with pytest.raises(DataError, match=rf"has no question for any of classify\n.*{lack}"):
        run(model_folder, world, benchmarks=["classify"])
    run(model_folder, world, output=tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["not_asked"] == ["classify"]
    assert lack in report["notes"][0]
