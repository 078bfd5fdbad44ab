"""Answers to files of questions: the same for any batch size, number of goes and shards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spa3d
from spa3d.errors import DataError, OutputError
from spa3d.inference.cloud_encoder import CloudEncoder
from spa3d.inference.generation import Decoding
from spa3d.inference.session import ModelSource, Session
from spa3d.pipeline.features import FeatureSettings, extract_features
from spa3d.pipeline.predict import PredictionSettings, predict
from spa3d.runtime.shards import Shard

LINES: list[dict[str, Any]] = [
    {"id": 1, "cloud": "0.npy", "question": "What is this?"},
    {"id": "b", "cloud": "1.npy", "question": "What is this?", "options": ["a chair", "a blue table"]},
    {"id": "c", "cloud": None, "question": "Which color does it have?"},
    {"id": "d/ü", "cloud": "3.npy", "question": "Which color?"},
    {"id": "e", "cloud": "0.npy", "question": "Which color?"},
]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return path


@pytest.fixture
def settings(cloud_files: Path) -> PredictionSettings:
    return PredictionSettings(root=cloud_files, blind=True, decoding=Decoding(max_tokens=5), batch_size=2)


class NoLLM(ModelSource):
    """A model of which only the encoder may be loaded."""

    def open(self) -> Session:
        raise AssertionError("the LLM is loaded")


@pytest.fixture(scope="module")
def model(model_folder: Path) -> ModelSource:
    """The model, loaded once."""
    session = spa3d.session(model_folder, device="cpu")

    class Loaded(ModelSource):
        def open(self) -> Session:
            return session

        def open_encoder(self) -> CloudEncoder:
            return session.encoder

    return Loaded(model_folder, device="cpu")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_predict_answers_as_a_session_does(
    model: ModelSource, questions: Path, settings: PredictionSettings, cloud_files: Path
) -> None:
    output = questions.with_name("a.jsonl")
    result = predict(model, questions, output, settings=settings)
    assert (result.path, result.lines, result.new, result.missing, result.whole) == (output, 5, 5, (), output)
    rows, session = read(output), model.open()
    assert [row["id"] for row in rows] == [line["id"] for line in LINES]
    for row, line in zip(rows, LINES, strict=True):
        cloud = cloud_files / line["cloud"] if line["cloud"] else None
        answer = session.ask(
            cloud, line["question"], options=line.get("options", ()), blind=True, decoding=settings.decoding
        )
        assert (row["answer"], row["tokens"], row["stopped"]) == (answer.text, answer.tokens, answer.stopped)
        assert row["logp"] == pytest.approx(answer.logp, abs=1e-3)
        assert row["blind_answer"] == (answer.blind.text if answer.blind else None)
        assert row["blind_logp"] == (None if cloud is None else pytest.approx(answer.blind_logp, abs=1e-3))
        assert row.get("option_logp", []) == pytest.approx(list(answer.option_logp), abs=1e-3)
    assert "options" not in rows[0]
    assert rows[1]["options"] == LINES[1]["options"]
    one = predict(model, questions, questions.with_name("one.jsonl"), settings=replace(settings, batch_size=5))
    for row, other in zip(rows, read(one.path), strict=True):
        assert row == {**other, **{key: pytest.approx(other[key], abs=1e-3) for key in other if "logp" in key}}


def test_predict_continues_after_a_kill(
    model: ModelSource, questions: Path, settings: PredictionSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = predict(model, questions, questions.with_name("whole.jsonl"), settings=settings)
    output, answer, calls = questions.with_name("a.jsonl"), Session.answer, list[int]()

    def answer_once(self: Session, items: Any, **more: Any) -> Any:
        calls.append(len(items))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return answer(self, items, **more)

    monkeypatch.setattr(Session, "answer", answer_once)
    with pytest.raises(KeyboardInterrupt):
        predict(model, questions, output, settings=settings)
    assert not output.exists()
    result = predict(model, questions, output, settings=settings)
    assert calls == [2, 2, 2, 1]
    assert result.new == 3
    assert read(output) == read(whole.path)
    calls.clear()
    assert predict(model, questions, output, settings=settings).new == 0
    assert calls == []
    with pytest.raises(OutputError, match=r"a\.jsonl: was made with something else \(blind: True → False\)"):
        predict(model, questions, output, settings=replace(settings, blind=False))
    questions.write_text(questions.read_text() + "\n")
    with pytest.raises(OutputError, match=r"was made with something else \(input: '"):
        predict(model, questions, output, settings=settings)


def test_predict_joins_shards_in_order(model: ModelSource, questions: Path, settings: PredictionSettings) -> None:
    whole = predict(model, questions, questions.with_name("whole.jsonl"), settings=settings)
    output = questions.with_name("a.jsonl")
    last = predict(model, questions, output, settings=replace(settings, shard=Shard(2, 2)))
    assert (last.path.name, last.lines, last.missing, last.whole) == ("a.2-of-2.jsonl", 3, ("1/2",), None)
    assert not output.exists()
    first = predict(model, questions, output, settings=replace(settings, shard=Shard(1, 2)))
    assert (first.lines, first.missing, first.whole) == (2, (), output)
    assert [row["id"] for row in read(output)] == [line["id"] for line in LINES]
    assert [row["answer"] for row in read(output)] == [row["answer"] for row in read(whole.path)]
    assert predict(model, questions, output, settings=settings).new == 0  # the joined file is complete


def test_predict_names_bad_clouds_and_questions_before_it_asks(
    model: ModelSource, questions: Path, settings: PredictionSettings
) -> None:
    np.save(questions.with_name("flat.npy"), np.zeros((50, 6), np.float32))
    rows = [{"id": i, "cloud": name, "question": "q"} for i, name in enumerate(["flat.npy", "none.npy", "flat.npy"])]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    here = replace(settings, root=None)
    with pytest.raises(DataError) as caught:
        predict(NoLLM(model.path), questions, questions.with_name("a.jsonl"), settings=here)
    flat, missing, count = str(caught.value).splitlines()
    assert flat.startswith(f"{questions}, line 1: {questions.with_name('flat.npy')}: the 50 points of the cloud")
    assert missing == f"{questions}, line 2: {questions.with_name('none.npy')}: cannot be read: no such file."
    assert count == "2 bad clouds"
    rows = [
        {"id": 1, "question": "color " * 150},
        {"id": 2, "question": "<point_patch>"},
        {"id": 3, "question": "q", "options": ["a", "color " * 150]},
    ]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError) as caught:
        predict(model, questions, questions.with_name("a.jsonl"), settings=here)
    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[0] for line in lines[:3]] == [f"{questions}, line {number}" for number in (1, 2, 3)]
    assert lines[3] == "3 bad lines"
    assert sorted(path.name for path in questions.parent.iterdir()) == ["flat.npy", "q.jsonl"]


def test_predict_gives_lines_of_skipped_clouds_an_error(
    model: ModelSource, model_folder: Path, questions: Path, settings: PredictionSettings, cloud_files: Path
) -> None:
    rows = [{**line, "cloud": "none.npy"} if line["id"] in (1, "b", "e") else line for line in LINES]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    skipping = replace(settings, on_bad_data="skip")
    result = predict(model, questions, questions.with_name("a.jsonl"), settings=skipping)
    assert (result.lines, result.new, result.errors) == (5, 5, 3)
    lines = read(result.path)
    assert [line["id"] for line in lines] == [line["id"] for line in LINES]
    assert lines[0] == {"id": 1, "error": f"{cloud_files / 'none.npy'}: cannot be read: no such file."}
    assert [sorted(line.keys() & {"answer", "error"}) for line in lines] == [
        ["error"], ["error"], ["answer"], ["answer"], ["error"]
    ]  # fmt: skip
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows if row["cloud"]))
    skipping_features = FeatureSettings(cloud_files, on_bad_data="skip")
    features = extract_features(model_folder, questions, questions.with_name("f"), settings=skipping_features)
    assert [line.get("file") for line in read(features.path)] == [None, None, "d%2F%C3%BC.npy", None]


def test_predict_without_clouds_needs_no_encoder(
    model: ModelSource, questions: Path, settings: PredictionSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions.write_text(json.dumps(LINES[2]) + "\n")
    monkeypatch.setattr(type(model), "open_encoder", NoLLM.open)
    assert predict(model, questions, questions.with_name("a.jsonl"), settings=settings).new == 1


@pytest.mark.parametrize("form", ["npy", "safetensors"])
def test_extract_features_writes_a_file_per_cloud(
    model_folder: Path, tmp_path: Path, cloud_files: Path, form: Any
) -> None:
    from safetensors.numpy import load_file

    path = tmp_path / "clouds.jsonl"
    path.write_text("".join(json.dumps({"id": f"a/{i}", "cloud": f"{i}.npy"}) + "\n" for i in range(4)))
    encoder, files = spa3d.load_encoder(model_folder), [cloud_files / f"{i}.npy" for i in range(4)]
    for kind, expected in (("tokens", encoder.encode(files)), ("pooled", encoder.pool(files))):
        settings = FeatureSettings(cloud_files, 3, kind=kind, format=form)  # type: ignore[arg-type]
        result = extract_features(model_folder, path, tmp_path / kind, settings=settings)
        rows = read(tmp_path / kind / "features.jsonl")
        assert result.whole == tmp_path / kind / "features.jsonl"
        assert [row["file"] for row in rows] == [f"a%2F{i}.{form}" for i in range(4)]
        for row, right in zip(rows, expected, strict=True):
            file = tmp_path / kind / row["file"]
            array = np.load(file) if form == "npy" else load_file(file)[kind]
            assert row["shape"] == list(array.shape)
            np.testing.assert_allclose(array, right.numpy(), atol=1e-5)
    assert extract_features(model_folder, path, tmp_path / "pooled", settings=settings).new == 0
    with pytest.raises(OutputError, match="features: 'pooled' → 'tokens'"):
        extract_features(model_folder, path, tmp_path / "pooled", settings=replace(settings, kind="tokens"))
