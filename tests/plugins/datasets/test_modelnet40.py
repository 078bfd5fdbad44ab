import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from spa3d import create
from spa3d.contracts.dataset import Round
from spa3d.errors import DataError
from spa3d_plugins.datasets.modelnet40 import NAMES, ModelNet40

CLOUDS = [np.random.default_rng(number).standard_normal((32, 6)).astype(np.float32) for number in range(40)]
LABELS = [np.array([number], dtype=np.int32) for number in range(40)]
SQUARE = "OFF\n4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n3 0 2 3\n"


def write_dat(folder: Path, split: str = "test", points: int = 8192, labels: Any = LABELS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"modelnet40_{split}_{points}pts_fps.dat"
    path.write_bytes(pickle.dumps([CLOUDS[: len(labels)], labels]))
    return path


@pytest.fixture
def off(tmp_path: Path) -> Path:
    """Twelve training and four test meshes of four categories."""
    root = tmp_path / "ModelNet40"
    for category in ("airplane", "flower_pot", "night_stand", "xbox"):
        for number in (1, 2, 3, 627):
            folder = root / category / ("test" if number == 627 else "train")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{category}_{number:04}.off").write_text(SQUARE)
    return root


def test_names_are_those_of_the_labels() -> None:
    assert len(set(NAMES)) == 40
    assert list(NAMES) == sorted(NAMES)
    assert [NAMES[label] for label in (0, 15, 33, 36, 39)] == ["airplane", "flower pot", "table", "tv stand", "xbox"]


def test_records_of_the_test_file_alone(tmp_path: Path) -> None:
    write_dat(tmp_path / "modelnet40_data")
    data = ModelNet40(root=tmp_path)
    assert data.splits == ("test",)
    records = data.records("test")
    assert len(records) == 40
    record = records[23]
    assert (record.id, record.category, record.has_color) == ("modelnet40-test-0023", "night stand", False)
    assert data.record(record.id) == record
    assert record.caption_round == Round("What is this?", "This is a night stand.")
    (fact,) = record.facts
    assert (fact.question, fact.answer, fact.options) == ("What is this?", "night stand", NAMES)
    assert fact.full_answer == record.caption  # one question has one answer
    assert [records[i].caption for i in (0, 31)] == ["This is an airplane.", "These are stairs."]
    np.testing.assert_array_equal(record.cloud(), np.hstack([CLOUDS[23][:, :3], np.zeros((32, 3))]))
    assert record.cloud().dtype == np.float32
    assert (data.up_axis, ModelNet40(root=tmp_path, up_axis="z").up_axis) == ("y", "z")
    with pytest.raises(DataError, match=r"no files for split 'train'; there are test\. It holds .*_train_8192pts"):
        data.records("train")
    with pytest.raises(DataError, match="no record 'chair'; ids look like modelnet40-test-0000"):
        data.record("chair")


def test_val_is_held_out_of_train(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_dat(tmp_path, split)
    data = ModelNet40(root=tmp_path)
    assert data.splits == ("train", "val", "test")
    train, val = ({record.id for record in data.records(split)} for split in ("train", "val"))
    assert not train & val
    assert len(train | val) == 40
    assert 0 < len(val) < 12
    assert len(data.skip_log.notes) == 1
    assert f"{len(val)} of the 40 training objects, chosen by a hash" in data.skip_log.notes[0]
    whole = ModelNet40(root=tmp_path, val_share=0)
    assert (whole.splits, len(whole.records("train")), whole.skip_log.notes) == (("train", "test"), 40, [])


def test_off_files_are_sampled_and_keyed(off: Path) -> None:
    data = ModelNet40(root=off.parent, points=100)
    assert data.splits == ("train", "val", "test")
    assert data.up_axis == "z"
    assert [record.id for record in data.records("test")] == [
        "airplane_0627", "flower_pot_0627", "night_stand_0627", "xbox_0627",
    ]  # fmt: skip
    assert sum(len(data.records(split)) for split in ("train", "val")) == 12
    record = data.record("flower_pot_0002")
    assert (record.category, record.caption) == ("flower pot", "This is a flower pot.")
    cloud = record.cloud()
    assert cloud.shape == (100, 6)
    assert not cloud[:, 2:].any()  # the square lies in z = 0, and there is no color
    assert ((cloud[:, :2] >= 0) & (cloud[:, :2] <= 1)).all()
    again = pickle.loads(pickle.dumps(ModelNet40(root=off, points=100).record(record.id)))
    np.testing.assert_array_equal(again.cloud(), cloud)
    others = (data.record("xbox_0001"), ModelNet40(root=off, points=100, seed=1).record(record.id))
    assert not any(np.array_equal(other.cloud(), cloud) for other in others)


def test_the_faulty_header_of_modelnet_is_read(off: Path) -> None:
    (off / "xbox" / "test" / "xbox_0627.off").write_text(SQUARE.replace("OFF\n4", "OFF4"))
    assert ModelNet40(root=off).record("xbox_0627").cloud().shape == (8192, 6)


def test_a_broken_mesh_names_file_and_record(off: Path) -> None:
    path = off / "xbox" / "test" / "xbox_0627.off"
    path.write_text("OFF\n4 2 0\n0 0")
    with pytest.raises(DataError, match=re.escape(f"{path} (record xbox_0627)")):
        ModelNet40(root=off).record("xbox_0627").cloud()


def test_dat_files_come_before_off_files(off: Path) -> None:
    write_dat(off, points=1024)
    path = write_dat(off, labels=LABELS[:3])
    data = ModelNet40(root=off)
    assert len(data.records("test")) == 3  # of two files the one with 8192 points
    assert data.skip_log.notes == [f"{off}: .dat files are read, OFF files are not; --dataset.source off reads them."]
    assert len(ModelNet40(root=off, source="off").records("test")) == 4
    path.unlink()
    assert len(ModelNet40(root=off).records("test")) == 40


def test_other_folders_are_noted(off: Path) -> None:
    (off / "spaceship" / "train").mkdir(parents=True)
    data = ModelNet40(root=off)
    data.records("train")
    assert any("spaceship: not read" in note for note in data.skip_log.notes)


@pytest.mark.parametrize("bad", ["label", "name"])
def test_bad_objects_stop_or_are_left_out(tmp_path: Path, off: Path, bad: str) -> None:
    if bad == "label":
        path = write_dat(off, labels=[*LABELS[:4], 40])
        message, left = f"{path}, cloud 4: label 40; the labels are 0 to 39", 4
    else:
        twin = off / "xbox" / "train" / "xbox_0627.off"
        twin.write_text(SQUARE)
        message, left = f"{twin} (record xbox_0627): {off / 'xbox' / 'test' / 'xbox_0627.off'} has the same name", 4
    with pytest.raises(DataError, match=re.escape(message)):
        ModelNet40(root=off).records("test")
    data = ModelNet40(root=off, on_bad_data="skip")
    assert len(data.records("test")) == left
    assert message in data.skip_log.lines[0]


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no files of ModelNet40 in it\. It holds modelnet40_test_8192pts_fps\.dat"):
        ModelNet40(root=tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        ModelNet40(root=tmp_path / "gone")
    write_dat(tmp_path)
    with pytest.raises(DataError, match=r"no \.off files of ModelNet40"):
        ModelNet40(root=tmp_path, source="off")
    with pytest.raises(ValidationError, match="question"):
        ModelNet40(root=tmp_path, question=" ")


def test_a_pipe_and_a_pickle_that_runs_code_are_refused(tmp_path: Path) -> None:
    path = write_dat(tmp_path)
    path.write_bytes(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.")
    with pytest.raises(DataError, match=r"calls posix\.system, which could run code"):
        ModelNet40(root=tmp_path).records("test")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match="it is no regular file"):
        ModelNet40(root=tmp_path).records("test")


def test_recognizes_its_layouts_only(tmp_path: Path, off: Path) -> None:
    assert ModelNet40.recognizes(off)
    assert ModelNet40.recognizes(off.parent)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert not ModelNet40.recognizes(empty)
    assert not ModelNet40.recognizes(tmp_path / "gone")
    write_dat(empty)
    assert ModelNet40.recognizes(empty)


def test_fingerprint_follows_the_files(off: Path) -> None:
    first = ModelNet40(root=off).fingerprint()
    assert ModelNet40(root=off).fingerprint() == first
    prints = {first, ModelNet40(root=off, val_share=0.3).fingerprint()}
    path = off / "xbox" / "train" / "xbox_0001.off"
    path.write_text(SQUARE.replace("1 1 0", "1 2 0"))
    prints.add(ModelNet40(root=off).fingerprint())
    path.rename(off / "airplane" / "train" / "airplane_0009.off")
    prints.add(ModelNet40(root=off).fingerprint())
    assert len(prints) == 4


def test_classify_and_choice_ask_about_the_categories(tmp_path: Path) -> None:
    write_dat(tmp_path)
    data = ModelNet40(root=tmp_path, question="This is an object of ")
    classify = create("benchmark", "classify")
    questions = classify.questions(data, "test", 0)
    assert len(questions) == 40
    assert {question.prompt for question in questions} == {"This is an object of "}
    assert classify.chance(questions[0]) == 1 / 40
    choices = create("benchmark", "choice").questions(data, "test", 0)
    assert len(choices) == 40
    assert all(len(set(question.options or ())) == 4 and question.kind == "category" for question in choices)
