"""Checks of a run's data before any work; whole runs are in tests/test_run.py."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spa3d import __version__
from spa3d.config.resolve import resolve
from spa3d.contracts.benchmark import Question
from spa3d.errors import ConfigError, DataError, OutputError, PluginError, RecordError
from spa3d.model.saving import save_model
from spa3d.pipeline.data_checks import DataChecks, RunData
from spa3d.pipeline.execute import execute
from spa3d.pipeline.open_run import open_run
from spa3d.pipeline.passport import make_passport
from spa3d.pipeline.run import Run
from spa3d.registry.registry import load_registry
from spa3d.runtime.progress import SilentReporter
from spa3d_plugins.benchmarks.classify import Classify

SMOKE = {"preset": "smoke", "device": "cpu"}
OpenSmoke = Callable[..., Run]


def refusal(folder: Path, settings: Mapping[str, Any]) -> str:
    """What a run says that cannot begin; it leaves nothing behind."""
    config = resolve(SMOKE, settings)
    with pytest.raises(DataError) as caught:
        execute(config, load_registry(), output=folder / "run", resume=False, reporter=SilentReporter())
    assert not (folder / "run").exists()
    return str(caught.value)


def test_questions_names_the_existing_splits(tmp_path: Path) -> None:
    assert refusal(tmp_path, {"evaluate.split": "tset"}) == (
        "dataset shapes has no record to report on (--evaluate.split) in split 'tset'; "
        "there are: train (64), val (16), test (24), counterfactual (16)"
    )


def test_questions_refuses_a_set_for_evaluation_alone(tmp_path: Path) -> None:
    cloud = np.random.default_rng(0).random((64, 6), dtype=np.float32)
    path = tmp_path / "modelnet40_test_64pts_fps.dat"
    path.write_bytes(pickle.dumps([[cloud] * 8, [*range(8)]]))
    assert refusal(tmp_path, {"dataset": "modelnet40", "dataset.root": str(tmp_path)}) == (
        "dataset modelnet40 has no record to train on in split 'train'; there are: test (8); spa3d.evaluate in Python "
        "needs no training data"
    )


def test_questions_refuses_data_without_any_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> tuple[Question, ...]:
        return ()

    monkeypatch.setattr(Classify, "questions", nothing)
    message = refusal(tmp_path, {"benchmark": "classify"})
    assert message == "--benchmark classify: dataset shapes has no question for any of them"


def test_held_out_records_are_required_by_settings(tmp_path: Path) -> None:
    config = resolve({**SMOKE, "blind": True, "objective": "sft", "train.keep": "best"})
    with pytest.raises(ConfigError, match=r"^--train\.keep best: there are no held-out records, because with --blind"):
        execute(config, load_registry(), output=tmp_path / "run", resume=False, reporter=SilentReporter())
    assert not (tmp_path / "run").exists()


def test_run_refuses_an_unwritable_workspace_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "file" / "bases"))
    config = resolve(SMOKE)
    with pytest.raises(OutputError, match=r"bases cannot be kept there .* SPA3D_BASES"):
        execute(config, load_registry(), output=tmp_path / "run", resume=False, reporter=SilentReporter())
    assert not (tmp_path / "run").exists()


def write_data(root: Path, spoil: dict[str, Callable[[np.ndarray], np.ndarray]], captions: dict[str, str]) -> None:
    """Write eight objects per split in PointLLM's layout; spoil clouds, replace captions."""
    (root / "8192_npy").mkdir(parents=True)
    (root / "anno_data").mkdir()
    for split in ("train", "val", "test"):
        entries = []
        for name in (f"{split}{i}" for i in range(8)):
            cloud = np.random.default_rng(len(name)).random((64, 6)).astype(np.float32)
            np.save(root / "8192_npy" / f"{name}_8192.npy", spoil.get(name, lambda c: c)(cloud))
            caption = captions.get(name, f"A thing called {name}.")
            turns = [{"from": "human", "value": "<point>\nWhat is it?"}, {"from": "gpt", "value": caption}]
            entries.append({"object_id": name, "conversations": turns})
        (root / "anno_data" / f"brief_{split}.json").write_text(json.dumps(entries))


BAD: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "train1": lambda cloud: cloud * np.float32(np.nan),
    "train2": lambda cloud: cloud[:9],
    "test0": np.ones_like,
}
MARKED = {"train3": "It ends </s> here.", "test5": "A <point_patch>."}


def begin(folder: Path, settings: Mapping[str, Any] | None = None) -> Run:
    """A run up to where its work begins."""
    data = {"dataset": {"name": "pointllm", "root": str(folder)}, "points.count": 64}
    return open_run(resolve(SMOKE, data, settings or {}), load_registry(), output=folder / "run")


def test_check_data_refuses_records_without_twins(tmp_path: Path) -> None:
    write_data(tmp_path, {}, {})
    with pytest.raises(DataError, match=r"none of the 8 training records of dataset pointllm has a twin; .* facts"):
        begin(tmp_path, {"objective": "twin-contrast"}).check_data()
    begin(tmp_path, {"objective": "sft"}).check_data()


def test_check_data_refuses_layers_missing_in_a_given_llm(tmp_path: Path, open_smoke: OpenSmoke) -> None:
    save_model(*open_smoke().builder.model_and_processor(), tmp_path)
    adapted = {"base": str(tmp_path), "train.lora": {"rank": 2, "targets": ["q_proj", "nowhere"]}}
    config = resolve(SMOKE, adapted)
    with pytest.raises(ConfigError, match="no linear layer nowhere; there are: down_proj"):
        execute(config, load_registry(), output=tmp_path / "run", resume=False, reporter=SilentReporter())
    assert not (tmp_path / "run").exists()


def test_skipped_data_are_listed_and_have_no_questions(tmp_path: Path) -> None:
    write_data(tmp_path, BAD, MARKED)
    run = begin(tmp_path, {"on_bad_data": "skip"})
    run.check_data()
    assert run.data.left_out == {"train": {"train1", "train2", "train3"}, "test": {"test0", "test5"}}
    assert [record.id for record in run.data.split("train")] == [f"train{i}" for i in (0, 4, 5, 6, 7)]
    assert {item.question.record_id for item in run.questions["choice"]} <= {f"test{i}" for i in (1, 2, 3, 4, 6, 7)}
    skipped = "\n".join(run.parts.dataset.skip_log.lines)
    for record, error in (
        ("train1", "NaN or infinity"),
        ("train2", "9 points, but encoder pointnext needs at least"),
        ("train3", "holds '</s>'"),
        ("test0", "all lie in one place"),
        ("test5", "holds '<point_patch>'"),
    ):
        assert any(record in line and error in line for line in skipped.splitlines())
    assert run.base.key != begin(tmp_path).base.key


def test_question_with_a_special_token_ends_a_run_at_once(tmp_path: Path) -> None:
    write_data(tmp_path, {}, {"test5": MARKED["test5"]})
    with pytest.raises(DataError, match=r"record test\d: the text .* holds '<point_patch>'"):
        begin(tmp_path).check_data()


def test_training_text_with_a_special_token_ends_a_run_at_once(tmp_path: Path) -> None:
    write_data(tmp_path, {}, {"train3": MARKED["train3"]})
    with pytest.raises(RecordError, match=r"record train3: the text .* holds '</s>'"):
        begin(tmp_path).check_data()
    begin(tmp_path, {"on_bad_data": "skip"}).check_data()


@pytest.mark.parametrize(("split", "places"), [("train", "split train"), ("test", "split train and split test")])
def test_check_data_refuses_ids_that_are_not_unique(open_smoke: OpenSmoke, split: str, places: str) -> None:
    run = open_smoke()
    records = dict(run.data.splits)
    copy = records["train"][0]
    run.data = RunData({**records, split: [*records[split], copy]})
    with pytest.raises(PluginError, match=rf"Shapes \(.*two records of {places} have the id '{copy.id}'; ids are"):
        run.check_data()


def test_select_answerable_drops_both_members_of_a_pair(open_smoke: OpenSmoke) -> None:
    run = open_smoke({"benchmark": "choice"})
    run.check_data()
    whole = run.questions["choice"]
    ids = (item.question.record_id for item in whole if item.pair_id)
    twin = next(name for name in ids if "~" in name)
    checks = DataChecks(run.parts, blind=False, reporter=SilentReporter())
    left = checks.select_answerable(whole, RunData(run.data.splits, {"test": frozenset({twin})}))
    assert len(left) == len(whole) - 2
    assert all(count == 2 for count in Counter(item.pair_id for item in left if item.pair_id).values())


def passport(run: Run) -> dict[str, Any]:
    return make_passport(run.config, run.registry, run.caches, run.base)


def test_a_passport_says_how_clouds_were_prepared(tmp_path: Path) -> None:
    write_data(tmp_path, {}, {})
    run = begin(tmp_path, {"points.missing_color": 0.4, "ops": "torch"})
    clouds = passport(run)["clouds"]
    assert isinstance(clouds, dict)
    assert (clouds["method"], clouds["normalize"], clouds["missing_color"]) == ("fps", True, 0.4)
    assert (clouds["inputs"], clouds["up_axis"], clouds["ops"]) == (["xyz", "rgb"], "y", ["TorchOps"])
    assert clouds["count"] > 0


def test_passport_has_origins_and_all_sources(tmp_path: Path) -> None:
    write_data(tmp_path, {}, {})
    runs = [begin(tmp_path, {"objective": name}) for name in ("spa", "sft")]
    spa, sft = (passport(run) for run in runs)
    origin = f"spa3d {__version__} (built-in)"
    assert spa["components"] == dict.fromkeys(
        ("encoder", "projector", "noise", "objective", "dataset", "benchmark choice", "benchmark classify"), origin
    ) | {"benchmark caption": origin}
    assert spa["base"] == sft["base"]
    assert spa["sources"] != sft["sources"]
