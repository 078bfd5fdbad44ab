"""Examination of files, folders and datasets, beside models and encoders."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spa3d.data.doctor.expectation import TrainingClouds
from spa3d.data.doctor.reports import CloudReport, DatasetReport
from spa3d.data.formats.contract import Cloud
from spa3d.errors import DataError, OutputError, SpaError
from spa3d.pipeline.doctor import Examination, draw_cloud, examine, judge
from spa3d.pipeline.expectations import find_expectation
from spa3d.pipeline.training_clouds import describe_training_clouds
from spa3d.registry.registry import load_registry

MakeTable = Callable[..., Cloud]


def save(cloud: Cloud, path: Path) -> Path:
    columns = [cloud.points] if cloud.colors is None else [cloud.points, cloud.colors]
    np.save(path, np.concatenate(columns, axis=1, dtype=np.float32))
    return path


def write_pointllm(root: Path, make_table: MakeTable, clouds: int = 4) -> Path:
    """A data set in PointLLM's layout; the test cloud 0 is the train cloud 0."""
    (root / "8192_npy").mkdir(parents=True)
    (root / "anno_data").mkdir()
    for split, count in (("train", clouds), ("val", 1), ("test", 2)):
        entries = []
        for index in range(count):
            name = f"{split}{index}"
            seed = 0 if (split, index) == ("test", 0) else index + 10 * len(split) * (split != "train")
            save(make_table(600, seed), root / "8192_npy" / f"{name}_8192.npy")
            turns = [{"from": "human", "value": "<point>\nWhat is it?"}, {"from": "gpt", "value": f"Table {name}."}]
            kind = {"conversation_type": "simple_description", "conversations": turns}
            entries.append({"object_id": name, **kind})
        (root / "anno_data" / f"brief_{split}.json").write_text(json.dumps(entries))
    return root


def test_examine_a_file(tmp_path: Path, make_table: MakeTable) -> None:
    report = examine(save(make_table(), tmp_path / "table.npy"))
    assert isinstance(report, CloudReport)
    assert report.findings == ()
    assert report.facts.points == 6000
    assert report.facts.source == str(tmp_path / "table.npy")
    assert json.loads(json.dumps(report.to_json()))["cloud"]["points"] == 6000


def test_examine_beside_a_model(tmp_path: Path, make_table: MakeTable, model_folder: Path) -> None:
    report = examine(save(make_table(100), tmp_path / "few.npy"), examination=Examination(str(model_folder)))
    assert [finding.kind for finding in report.findings] == ["few-points", "model-repeats"]
    assert report.expected is not None
    assert (report.expected.encoder, report.expected.preparation.count, report.expected.up_axis) == (
        "pointnext",
        128,
        "y",
    )
    assert report.to_json()["expected"]["inputs"] == ("xyz", "rgb")


def test_expectation_reads_the_passport_and_no_weights(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"clouds": 3, "points": 99, "radius": [1, 2], "colored": 0.5, "mean_color": None, "up_axis": "z"}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model").symlink_to(model_folder / "model")
    (tmp_path / "run" / "passport.json").write_text(json.dumps({"clouds": {"training": values}}))
    monkeypatch.setattr("spa3d.inference.cloud_encoder.load_weights", None)
    expected = find_expectation(str(tmp_path / "run"), load_registry())
    assert expected.training == TrainingClouds(3, 99, (1.0, 2.0), 0.5, None, "z")


def test_expectation_of_an_encoder_and_of_its_preset() -> None:
    registry = load_registry()
    plain, preset = find_expectation("pointnext", registry), find_expectation("pointbert-ulip2", registry)
    assert (plain.inputs, plain.up_axis, plain.training) == (("xyz", "height"), "", None)
    assert (preset.encoder, preset.inputs, preset.preparation.missing_color) == ("pointbert", ("xyz", "rgb"), 0.4)
    with pytest.raises(SpaError, match=r"--for pointnex: no folder of a model, and no encoder 'pointnex'; did"):
        find_expectation("pointnex", registry)
    with pytest.raises(SpaError, match="no 3D LLM there"):
        find_expectation("no/such", registry)


def test_examine_a_dataset_by_settings() -> None:
    settings = {"dataset": "shapes-smoke", "dataset.train": 12, "dataset.test": 6}
    report = examine(settings=settings, examination=Examination(count=5))
    assert isinstance(report, DatasetReport)
    assert {split: texts.records for split, texts in report.facts.texts.items()}["train"] == 12
    assert len(report.facts.clouds) == 5
    assert set(report.floors) == {"choice", "classify", "caption"}
    assert 0 <= report.floors["choice"]["text-table"] <= 1
    assert json.loads(json.dumps(report.to_json()))["floors"]["choice"]["chance"] == 0.25


def test_examine_a_folder_of_a_known_layout(
    tmp_path: Path, make_table: MakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spa3d_plugins.datasets.pointllm import PointLLM

    monkeypatch.setattr(PointLLM, "recognizes", classmethod(lambda cls, root: (root / "anno_data").is_dir()))
    root = write_pointllm(tmp_path / "data", make_table)
    (root / "8192_npy" / "train3_8192.npy").write_bytes(b"no array")
    report = examine(root)
    assert isinstance(report, DatasetReport)
    by_kind = {finding.kind: finding for finding in report.findings}
    assert by_kind["same-cloud"].examples == ("train0 (train) = test0 (test)",)
    assert "train3" in by_kind["unreadable"].examples[0]
    assert "not a .npy file" in by_kind["unreadable"].examples[0]
    assert report.facts.name == "pointllm"
    assert report.findings[0].severity == "fault"


def test_a_folder_that_says_nothing_about_its_clouds(tmp_path: Path, make_table: MakeTable) -> None:
    """The first look comes before the captions: clouds are examined alone, colors in any range."""
    root = tmp_path / "scans"
    root.mkdir()
    for index in range(2):
        table = make_table(600, index)
        assert table.colors is not None
        save(replace(table, colors=np.round(table.colors * 255)), root / f"{index}.npy")
    (root / "2.ply").write_text("ply")
    report = examine(root, examination=Examination("pointbert-ulip"))
    assert isinstance(report, DatasetReport)
    by_kind = {finding.kind: finding for finding in report.findings}
    assert "nothing says what is in the 3 clouds" in by_kind["no-data-set"].seen
    assert by_kind["colors-255"].examples == ("0.npy", "1.npy")
    assert "2.ply" in by_kind["unreadable"].examples[0]
    assert "empty-split" not in by_kind
    assert by_kind["model-color-unused"].examples == ("0.npy", "1.npy")
    assert "no-data-set" in {finding.kind for finding in examine(root, settings={"dataset": "folder"}).findings}
    with pytest.raises(DataError, match="there is no folder"):
        examine(root, settings={"dataset": "pointllm"})
    (root / "captions.csv").write_text("0,A table.\n1,A table.\n2,A table.\n")
    assert "no-data-set" not in {finding.kind for finding in examine(root).findings}


def test_examine_nothing_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        examine(tmp_path / "none.npy")
    (tmp_path / "text.txtx").write_text("hello")
    with pytest.raises(DataError, match=r"no format has the ending \.txtx"):
        examine(tmp_path / "text.txtx")


def test_training_clouds_of_a_dataset(toy_dataset: object) -> None:
    records = toy_dataset.records("train")  # type: ignore[attr-defined]
    values = describe_training_clouds(toy_dataset, records)  # type: ignore[arg-type]
    assert values is not None
    assert (values["clouds"], values["points"], values["colored"], values["up_axis"]) == (8, 32, 1.0, "y")
    assert values["mean_color"] == pytest.approx([0.5] * 3, abs=0.1)
    assert TrainingClouds.from_json(json.loads(json.dumps(values))) is not None
    assert describe_training_clouds(toy_dataset, []) is None  # type: ignore[arg-type]


def test_draw_cloud_shows_four_sides(tmp_path: Path, make_table: MakeTable) -> None:
    table = make_table()
    draw_cloud(table, judge(table), tmp_path / "table.png")
    with Image.open(tmp_path / "table.png") as picture:
        assert picture.size[0] == 4 * 320
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    front = pixels[:320, :320]
    filled = np.abs(front - front[0, 0]).sum(axis=2) > 60
    rows = np.flatnonzero(filled.any(axis=1))
    top, bottom = filled[rows[0] + 4].sum(), filled[rows[-1] - 4].sum()
    assert top > 3 * bottom, "the board is above, and the legs are below"
    with pytest.raises(OutputError, match="cannot be written"):
        draw_cloud(table, judge(table), tmp_path)
