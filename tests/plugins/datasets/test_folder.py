import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from spa3d.contracts.dataset import CAPTION, Conversation, Fact, Round
from spa3d.data.questions import OPTIONS
from spa3d.errors import DataError, RecordError
from spa3d_plugins.datasets.color_names import WORDS
from spa3d_plugins.datasets.folder import Folder
from spa3d_plugins.datasets.folder_layout import columns

NAMES = [f"{word}_{number}" for number in range(6) for word in ("chair", "table", "lamp", "mug", "sofa")]
Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "my data"
    path.mkdir()
    return path


@pytest.fixture
def write_cloud(root: Path) -> Write:
    """Writes a cloud of random points, different for each name, in a folder that need not exist."""

    def write(name: str, rgb: tuple[float, float, float] | None = None, columns: int = 6) -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        points = np.random.default_rng(list(name.encode())).random((32, columns), dtype=np.float32)
        if rgb:
            points[:, 3:] = rgb
        np.save(path, points)
        return path

    return write


@pytest.fixture
def world(root: Path, write_cloud: Write) -> Path:
    """30 clouds in one folder whose names hold five categories."""
    for name in NAMES:
        write_cloud(f"{name}.npy")
    return root


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def captions(*names: str) -> str:
    return "".join(f"{name}.npy,A {name}.\n" for name in names)


def ids(data: Folder) -> dict[str, set[str]]:
    return {split: {record.id for record in data.records(split)} for split in data.splits}


def test_names_become_categories_and_captions(world: Path) -> None:
    data = Folder(root=world)
    assert data.splits == ("train", "val", "test")
    assert set().union(*ids(data).values()) == set(NAMES)
    record = data.record("lamp_3")
    assert (record.category, record.group, record.object_id) == ("lamp", "lamp_3", "lamp_3")
    assert record.conversations == (Conversation(CAPTION, (Round("What is this?", "A lamp."),)),)
    options = ("chair", "lamp", "mug", "sofa", "table")
    assert record.facts == (Fact("category", "", "What kind of object is this?", "lamp", options),)
    assert record.cloud().shape == (32, 6)
    assert data.skip_log.lines == []
    assert data.skip_log.notes == [
        "5 categories from the names of files (--dataset.category name), such as 'chair' for chair_0.npy.",
        "30 of 30 clouds have no text: a caption is made from the category.",
    ]


def test_names_of_folders_become_categories_if_most_clouds_are_in_one(root: Path, write_cloud: Write) -> None:
    for name in ("Office Chair/1.npy", "Office Chair/2.npy", "apple_02/scene.npy", "apple_03/0001/x.npy"):
        write_cloud(name)
    data = Folder(root=root)
    assert {record.id: record.caption for split in data.splits for record in data.records(split)} == {
        "Office Chair/1": "An office chair.",
        "Office Chair/2": "An office chair.",
        "apple_02/scene": "An apple.",
        "apple_03/0001/x": "An apple.",
    }
    write_cloud("Stool_2.npy")
    assert Folder(root=root).record("Stool_2").category == "stool"
    with pytest.raises(DataError, match=r"Stool_2.npy: no text is about it, and its name gives no category"):
        Folder(root=root, category="folder").records("train")


def test_one_folder_is_a_category_if_the_names_of_its_files_say_nothing(root: Path, write_cloud: Write) -> None:
    for name in ("chair/1.npy", "chair/2.npy", "chair/c.npy"):
        write_cloud(name)
    data = Folder(root=root)
    assert data.record("chair/c").caption == "A chair."
    assert "--dataset.category folder" in data.skip_log.notes[0]


def test_a_folder_where_nothing_says_what_the_clouds_are(root: Path, write_cloud: Write) -> None:
    for number in range(4):
        write_cloud(f"{number}.npy")
    for values in ({}, {"on_bad_data": "skip"}, {"category": "none"}):
        with pytest.raises(DataError, match="nothing says what is in the 4 clouds; give captions"):
            Folder(root=root, **values).records("train")


def test_ids_are_unique_for_one_name_in_several_formats(root: Path, write_cloud: Write) -> None:
    for name in ("npy/Chair.npy", "other/Chair.npy", "Mug.npy", "Lamp.npy", "Sofa.npy"):
        write_cloud(name)
    (root / "Mug.xyz").write_text("0 0 0\n1 0 0\n0 1 0\n", encoding="utf-8")
    (root / "Mug.png").write_bytes(b"a picture is no cloud")
    (root / ".hidden.npy").write_bytes(b"")
    (root / ".git").mkdir()
    (root / ".git" / "x.npy").write_bytes(b"")
    data = Folder(root=root)
    assert set().union(*ids(data).values()) == {"npy/Chair", "other/Chair", "Mug.npy", "Mug.xyz", "Lamp", "Sofa"}
    assert data.record("Mug.npy").group == data.record("Mug.xyz").group == "Mug.npy"
    assert len(data.record("Mug.xyz").cloud()) == 3


def test_captions_of_a_table(world: Path) -> None:
    text = "id;Caption;category;main_color;year\r\n" + "".join(
        f'{name};"A ""{name}""; nice";{name[:4]};red;1999\r\n' for name in NAMES
    )
    (world / "captions.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    data = Folder(root=world)
    record = data.record("lamp_3")
    assert record.caption == 'A "lamp_3"; nice'
    assert {fact.kind: fact.answer for fact in record.facts} == {"category": "lamp", "color": "red"}
    assert len(data.skip_log.notes) == 1
    assert "captions.csv: column 'year' (30 times) is not read" in data.skip_log.notes[0]


def test_conversations_of_all_layouts(world: Path) -> None:
    """Turns of both layouts, a question with its answer, marks, captions, a text beside a cloud."""
    turns = [{"from": "human", "value": "<point_cloud>\nIs it big?"}, {"from": "gpt", "value": "No."}]
    messages = [
        {"role": "user", "content": [{"type": "point_cloud"}, {"type": "text", "text": "Old?"}]},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": "No."},
    ]
    rows = [
        {"object_id": "mug_0", "conversation_type": "simple_description", "conversations": turns},
        {"file_name": "mug_0.npy", "messages": messages},
        {"id": "mug_0", "question": "Look at <point>. What for?", "answer": "Tea."},
        {"file": str(world / "mug_0.npy"), "caption": "A mug."},
        {"file": "./mug_0.npy", "captions": ["A cup.", "A white mug."]},
    ]
    (world / "annotations.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (world / "mug_1.txt").write_text("A second mug.\n", encoding="utf-8")
    data = Folder(root=world, category="name")
    assert data.record("mug_0").conversations == (
        Conversation(CAPTION, (Round("Is it big?", "No."),)),
        Conversation("multi_round", (Round("Old?", "Yes."), Round("Sure?", "No."))),
        Conversation("single_round", (Round("Look at <point>. What for?", "Tea."),)),
        Conversation(CAPTION, (Round("What is this?", "A mug."),)),
        Conversation(CAPTION, (Round("What is this?", "A cup."),)),
        Conversation(CAPTION, (Round("What is this?", "A white mug."),)),
    )
    assert data.record("mug_1").caption == "A second mug."
    assert data.record("mug_2").caption == "A mug."  # made from its name
    notes = "\n".join(data.skip_log.notes)
    assert "1 clouds have several captions" in notes
    assert "28 of 30 clouds have no text" in notes


@pytest.mark.parametrize("name", ["captions.json", "texts.json"])
def test_json_from_ids_to_captions(world: Path, name: str) -> None:
    write_json(world / name, {name: f"A {name}." for name in NAMES})
    texts = () if name == "captions.json" else (name,)
    assert Folder(root=world, texts=texts).record("sofa_2").caption == "A sofa_2."
    if texts:
        notes = Folder(root=world).skip_log.notes
        assert not any("texts.json" in note for note in notes)  # noted when a split is first used
        data = Folder(root=world)
        data.records("train")
        assert f"{world}: not read, because they are no clouds and their names no names of texts: {name}; " in str(
            data.skip_log.notes
        )


def test_tables_of_sub_folders_name_clouds_beside_them(root: Path, write_cloud: Write) -> None:
    for split in ("train", "validation", "test"):
        for number in range(3):
            write_cloud(f"{split}/{number}.npy")
        rows = [{"file_name": f"{number}.npy", "text": f"{split} {number}"} for number in range(3)]
        (root / split / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    data = Folder(root=root)
    assert ids(data)["val"] == {"validation/0", "validation/1", "validation/2"}
    assert [data.record(f"{split}/2").caption for split in ("train", "test")] == ["train 2", "test 2"]


def test_bad_texts_stop_or_are_listed(world: Path) -> None:
    rows = [*NAMES[1:], "mug_0"]  # chair_0 has none, and mug_0 the same twice
    extra = "chair_99,A chair.\nsofa_0,\n,A thing.\nsofa_1,a,b\n"
    (world / "captions.csv").write_text(f"file,caption\n{captions(*rows)}{extra}", encoding="utf-8")
    table = world / "captions.csv"
    lines = [
        f"{table}, line 35: 3 cells for 2 columns; put a text that holds a comma in quotes.",
        f"{table}, line 31: the same text of cloud 'mug_0' as in {table}, line 4; the first is used.",
        f"{table}, line 33: caption is empty.",
        f"{table}, line 32: no cloud 'chair_99' below {world}; there are 'chair_0' and 'chair_1', for example.",
        f"{table}, line 34: no cloud is named; a row has one of {', '.join(columns.NAMES)}.",
        f"{world}/chair_0.npy: no text is about it.",
    ]
    with pytest.raises(RecordError) as caught:
        Folder(root=world).records("train")
    assert str(caught.value).splitlines() == [
        *lines,
        "6 errors; --on-bad-data skip leaves such records out and lists them.",
    ]
    data = Folder(root=world, on_bad_data="skip")
    assert set().union(*ids(data).values()) == set(NAMES) - {"chair_0"}
    assert data.skip_log.lines == lines


def test_entries_without_a_cloud_are_counted_from_some_number_on(world: Path) -> None:
    rows = [*NAMES, *(f"other_{number}" for number in range(500))]
    (world / "captions.csv").write_text(captions(*rows), encoding="utf-8")
    data = Folder(root=world, on_bad_data="skip")
    assert len(data.records("train")) > 10
    assert len(data.skip_log.lines) == 21
    assert data.skip_log.lines[-1] == f"{world}/captions.csv: 480 more of its 530 entries name no cloud."
    (world / "captions.csv").write_text(captions("x", "y"), encoding="utf-8")
    with pytest.raises(
        DataError, match=r"captions.csv: none of its 2 entries names a cloud. .*line 1: no cloud 'x.npy'"
    ):
        Folder(root=world, on_bad_data="skip").records("train")


@pytest.mark.parametrize(
    ("content", "layout"),
    [
        ([{"scene_id": "scene0011_00", "question": "What?", "answers": ["x"]}], "ScanQA's or 3D-LLM's questions"),
        ([{"scene_id": "scene0011_00", "object_id": "5", "description": "x"}], "ScanRefer's descriptions"),
        ({"images": [], "annotations": []}, "COCO's, VQA's or SQA3D's annotations"),
        ([{"conversations": [{"from": "human", "value": "x"}]}], "conversations that name no cloud"),
    ],
)
def test_layouts_of_other_projects_are_named(world: Path, content: Any, layout: str) -> None:
    write_json(world / "annotations.json", content)
    for mode in ("stop", "skip"):
        with pytest.raises(DataError, match=f"annotations.json: .*looks like {layout}"):
            Folder(root=world, on_bad_data=mode).records("train")


def test_layouts_of_related_projects_are_read(world: Path) -> None:
    """ShapeLLM's, SpatialLM's and LLaMA-Factory's entries."""
    turns = [{"from": "human", "value": "<point_cloud>What?"}, {"from": "gpt", "value": "A mug."}]
    messages = [{"role": "user", "content": "<point>\nWhat?"}, {"role": "assistant", "content": "A mug."}]
    rows = [
        {"point": "mug_0.npy", "conversations": turns},
        {"point_clouds": ["mug_1.npy"], "conversations": turns},
        {"messages": messages, "point_clouds": ["mug_2.npy"]},
    ]
    write_json(world / "annotations.json", rows)
    data = Folder(root=world, category="name")
    expected = Conversation("single_round", (Round("What?", "A mug."),))
    assert data.record("mug_2").conversations == (expected,)
    assert [len(data.record(f"mug_{number}").conversations) for number in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("turns", "problem"),
    [
        ([{"role": "user", "content": "<image>\nWhat?"}, {"role": "assistant", "content": "x"}], "the mark <image>"),
        ([{"role": "system", "content": "x"}, {"role": "user", "content": "x"}], "system turn is not read"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "a part of type 'image_url'; possible: text, point"),
        ([{"role": "user", "content": "x"}], "1 turns; each human turn is followed by one of gpt"),
        ([{"role": "user", "content": "x" * 100_001}, {"role": "assistant", "content": "x"}], "100,001 characters"),
        ("[1, 2", "messages is no JSON"),
        ([1, 2], "turn 0 is not"),
        ({}, "messages is {}; a list of turns is expected"),
    ],
)
def test_bad_turns(world: Path, turns: Any, problem: str) -> None:
    write_json(world / "annotations.json", [{"id": "mug_0", "messages": turns}, {"id": "mug_1", "caption": "x"}])
    with pytest.raises(RecordError, match=re.escape(problem)) as caught:
        Folder(root=world, category="name").records("train")
    assert caught.value.errors[0].startswith(f"{world}/annotations.json, entry 0: ")


def test_contradicting_properties(world: Path) -> None:
    rows = [{"id": name, "category": name[:-2], "caption": name} for name in NAMES]
    write_json(world / "captions.json", [*rows, {"id": "mug_0", "category": "cup"}, {"id": "mug_1", "catgory": "x"}])
    with pytest.raises(RecordError) as caught:
        Folder(root=world).records("train")
    assert "category 'cup' of cloud 'mug_0', but 'mug' in" in str(caught.value)
    assert "no key 'catgory' is read; did you mean 'category'?" in str(caught.value)


def test_hashed_splits_are_stable_when_files_are_added(world: Path, write_cloud: Write) -> None:
    shares = {"val_share": 0.2, "test_share": 0.2}
    before = ids(Folder(root=world, **shares))
    assert min(map(len, before.values())) > 2
    for number in range(100, 140):
        write_cloud(f"chair_{number}.npy")
    after = ids(Folder(root=world, **shares))
    for split, names in before.items():
        assert names <= after[split]
    assert ids(Folder(root=world, seed=1, **shares)) != after
    assert len(ids(Folder(root=world, val_share=0.5))["val"]) > 20


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_fewest_clouds_for_three_splits(root: Path, write_cloud: Write, count: int) -> None:
    for number in range(count):
        write_cloud(f"chair_{number}.npy")
    if count == 3:
        assert sorted(map(len, ids(Folder(root=root, val_share=0.01)).values())) == [1, 1, 1]
        return
    with pytest.raises(DataError, match=rf"{count} clouds? .* too few for train, val, test; at least 3 are needed"):
        Folder(root=root).records("train")


def test_shares_that_leave_nothing_to_train(world: Path) -> None:
    with pytest.raises(ValidationError, match="train gets the rest"):
        Folder(root=world, val_share=0.5, test_share=0.5)


def test_equal_files_are_in_one_split_and_may_not_cross_folders(root: Path, write_cloud: Write) -> None:
    for number in range(20):
        path = write_cloud(f"chair_{number}.npy")
        (root / f"table_{number}.npy").write_bytes(path.read_bytes())
    data = Folder(root=root)
    for split in data.splits:
        groups = Counter(record.group for record in data.records(split))
        assert set(groups.values()) == {2}
    assert data.record("table_7").group == "chair_7"
    assert Folder(root=root, group_by="none").record("table_7").group == "table_7"
    for split in ("train", "val", "test"):
        (root / split).mkdir()
    for path in sorted(root.glob("*.npy")):
        path.rename(
            root / ("train" if path.name.startswith("chair") else "val" if "_1" in path.name else "test") / path.name
        )
    with pytest.raises(RecordError) as caught:
        Folder(root=root).records("train")
    assert len(caught.value.errors) == 20
    assert caught.value.errors[0] == (
        f"{root}/train/chair_0.npy: in train, but a look-alike of 'test/table_0' (equal content), which is held out in "
        "test; --dataset.group_by none ignores equal files and names."
    )
    assert len(Folder(root=root, group_by="none").records("train")) == 20
    write_cloud("train/chair_30.npy")
    assert ids(Folder(root=root, on_bad_data="skip"))["train"] == {"train/chair_30"}


def test_similar_names_and_stated_groups(world: Path) -> None:
    data = Folder(root=world, group_by="name")
    assert {record.group for split in data.splits for record in data.records(split)} == {
        "chair_0",
        "lamp_0",
        "mug_0",
        "sofa_0",
        "table_0",
    }
    rows = [{"id": name, "caption": name, "group": name[-1]} for name in NAMES]
    write_json(world / "captions.json", rows)
    data = Folder(root=world, group_by="none")
    for split in data.splits:
        assert set(Counter(record.group for record in data.records(split)).values()) == {5}


def test_splits_by_lists(world: Path) -> None:
    (world / "train.txt").write_text("\n".join(f"{name}.npy" for name in NAMES[:20]), encoding="utf-8")
    (world / "val.txt").write_text("\r\n".join(NAMES[20:24]) + "\r\n\r\n", encoding="utf-8")
    (world / "test.txt").write_text("\n".join(str(world / f"{name}.npy") for name in NAMES[24:28]), encoding="utf-8")
    data = Folder(root=world)
    assert ids(data) == {"train": set(NAMES[:20]), "val": set(NAMES[20:24]), "test": set(NAMES[24:28])}
    assert "2 clouds are in no list and not used, such as 'mug_5'." in data.skip_log.notes
    with (world / "test.txt").open("a", encoding="utf-8") as file:
        file.write(f"\nnobody\n{NAMES[0]}\n")
    with pytest.raises(RecordError, match=r"test.txt, line 5: no cloud 'nobody'") as caught:
        Folder(root=world).records("train")
    assert "in the list of" in str(caught.value)
    assert len(ids(Folder(root=world, split_by="hash"))["train"]) > 20


def test_splits_by_a_column_of_which_one_is_missing(world: Path) -> None:
    rows = [{"id": name, "caption": name, "split": "test" if name[-1] == "5" else "Training"} for name in NAMES]
    write_json(world / "captions.json", rows)
    data = Folder(root=world)
    assert ids(data)["test"] == {name for name in NAMES if name[-1] == "5"}
    assert ids(data)["val"]
    val = len(ids(data)["val"])
    assert f"no val is stated: clouds of train are drawn, {val} for val." in data.skip_log.notes
    write_json(world / "captions.json", [{**row, "split": "held out"} for row in rows])
    with pytest.raises(RecordError, match="entry 0: split 'held out'; possible: train, val, test"):
        Folder(root=world).records("train")
    write_json(world / "captions.json", [{**row, "split": "test"} for row in rows])
    with pytest.raises(DataError, match=r"no cloud to train on: all are in test; --dataset.split_by hash draws splits"):
        Folder(root=world).records("train")


def test_sources_of_splits_that_contradict_each_other(root: Path, write_cloud: Write) -> None:
    for split in ("train", "val", "test"):
        for number in range(3):
            write_cloud(f"{split}/chair_{split}_{number}.npy")
    (root / "train.txt").write_text("train/chair_train_0\nval/chair_val_0\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"folders named train.*and files train.txt.*'test/chair_test_0' is in test"):
        Folder(root=root).records("train")
    assert {split: len(names) for split, names in ids(Folder(root=root, split_by="folders")).items()} == {
        "train": 3,
        "val": 3,
        "test": 3,
    }
    with pytest.raises(DataError, match=r"--dataset.split_by column: .* has no column split in the texts"):
        Folder(root=root, split_by="column").records("train")
    write_cloud("chair.npy")
    (root / "train.txt").unlink()
    with pytest.raises(RecordError, match=r"chair.npy: in no folder of a split; --dataset.split_by hash"):
        Folder(root=root).records("train")


def test_files_that_must_not_be_read(world: Path, tmp_path: Path) -> None:
    os.mkfifo(world / "pipe.npy")
    outside = tmp_path / "outside.npy"
    outside.write_bytes((world / "mug_0.npy").read_bytes())
    links = {"out.npy": outside, "loop.npy": "loop.npy", "dead.npy": "nowhere", "self": ".", "away": tmp_path}
    for name, target in links.items():
        (world / name).symlink_to(target)
    (world / "copy_1.npy").symlink_to("mug_0.npy")
    Path(os.fsdecode(os.fsencode(world) + b"/caf\xe9.npy")).write_bytes(b"")
    Path(os.fsdecode(os.fsencode(world) + b"/caf\xe9.jpg")).write_bytes(b"")
    data = Folder(root=world, on_bad_data="skip")
    assert set().union(*ids(data).values()) == {*NAMES, "copy_1"}
    assert data.skip_log.lines == [
        f"{world}/away: a link out of the folder, to {tmp_path}; copy the data to the folder.",
        f"{world}/caf\\udce9.npy: the name is no UTF-8; rename it.",
        f"{world}/dead.npy: a link that leads nowhere: no such file or directory.",
        f"{world}/loop.npy: a link that leads nowhere: too many levels of symbolic links.",
        f"{world}/out.npy: a link out of the folder, to {outside}; copy the data to the folder.",
        f"{world}/pipe.npy: it is no regular file.",
    ]
    assert data.skip_log.notes[0].startswith(f"{world}/self/: a link to a folder is not followed")
    assert data.record("copy_1").group == data.record("mug_0").group
    with pytest.raises(RecordError, match="6 errors"):
        Folder(root=world).records("train")


def test_a_root_without_clouds(tmp_path: Path) -> None:
    for location, problem in {"gone": "no such folder", "a\0b": "null byte"}.items():
        with pytest.raises(DataError, match=problem):
            Folder(root=tmp_path / location)
    (tmp_path / "scans.zip").write_bytes(b"PK")
    (tmp_path / "README.txt").write_text("Some 3D scans\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        Folder(root=tmp_path)
    assert f"{tmp_path}: no cloud below it; there are: .txt (1), .zip (1); possible: " in str(caught.value)
    assert ".npy" in str(caught.value)
    assert "unpack the archive first" in str(caught.value)


def test_tables_by_name(world: Path) -> None:
    for name, problem in {"gone.csv": "no such file", "mug_0.npy": "no table of texts; possible: .csv"}.items():
        with pytest.raises(DataError, match=f"--dataset.texts: .*{name}: {problem}"):
            Folder(root=world, texts=(name,))


def test_colors_of_the_cloud_are_facts_on_request(root: Path, write_cloud: Write) -> None:
    for number in range(6):
        write_cloud(f"mug_{number}.npy", rgb=((0.85, 0.2, 0.2), (0.15, 0.36, 0.75))[number % 2])
    write_cloud("mug_6.npy", columns=3)
    data = Folder(root=root, color_facts=True)
    answers = {number: {fact.kind: fact for fact in data.record(f"mug_{number}").facts} for number in (0, 1, 6)}
    assert (answers[0]["color"].answer, answers[1]["color"].answer) == ("red", "blue")
    assert answers[0]["color"].options == WORDS
    assert "color" not in answers[6]  # without color
    assert data.record("mug_6").has_color is None
    twin = data.twin(data.record("mug_0"), 2)
    assert twin is not None
    assert len(twin.before.options) >= OPTIONS
    assert data.record("mug_0~2") == twin.record
    assert data.twin(twin.record) is None
    with pytest.raises(DataError, match="no record 'mug_0~02'"):
        data.record("mug_0~02")


def test_fresh_rounds_are_keyed(world: Path) -> None:
    data = Folder(root=world)
    record = data.record("mug_3")
    drawn = [data.conversations(record, epoch) for epoch in range(8)]
    assert drawn == [Folder(root=world).conversations(record, epoch) for epoch in range(8)]
    assert len(set(drawn)) > 1
    assert Folder(root=world, fresh=False).conversations(record, 3) == record.conversations


def test_the_fingerprint_follows_every_file_in_use(world: Path) -> None:
    (world / "captions.csv").write_text(captions(*NAMES), encoding="utf-8")
    (world / "texture.png").write_bytes(b"1")
    seen = {Folder(root=world).fingerprint()}
    assert seen == {Folder(root=world).fingerprint()}
    (world / "notes.md").write_text("nothing", encoding="utf-8")
    assert Folder(root=world).fingerprint() in seen

    def expect_new(**values: Any) -> None:
        new = Folder(root=world, **values).fingerprint()
        assert new not in seen
        seen.add(new)

    (world / "texture.png").write_bytes(b"2")
    expect_new()
    (world / "captions.csv").write_text(captions(*NAMES).replace("A mug_0", "One mug_0"), encoding="utf-8")
    expect_new()
    cloud = np.load(world / "mug_0.npy")
    np.save(world / "mug_0.npy", cloud[::-1])
    expect_new()
    (world / "train.txt").write_text("\n".join(NAMES[:-1]), encoding="utf-8")
    expect_new()
    expect_new(mesh_points=100)
    last = Folder(root=world).fingerprint()
    assert Folder(root=world.rename(world.with_name("moved"))).fingerprint() == last


def test_clouds_are_read_with_their_format_and_noted_once(root: Path) -> None:
    for number in range(4):
        lines = [f"{point} {number} 0 {50 * number} 0 255" for point in range(9)]
        (root / f"chair_{number}.xyz").write_text("\n".join(lines), encoding="utf-8")
    data = Folder(root=root)
    clouds = [data.record(f"chair_{number}").cloud() for number in range(4)]
    assert clouds[2][0, 3:].tolist() == pytest.approx([100 / 255, 0, 1])
    assert sum("columns guessed" in note for note in data.skip_log.notes) == 1
    (root / "chair_2.xyz").write_text("nan 0 0\n1 1 1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"chair_2.xyz \(record chair_2\): NaN or infinity in 1 of 2 points"):
        data.record("chair_2").cloud()


def test_points_of_a_mesh_are_keyed_by_the_record(root: Path) -> None:
    for number in range(4):
        mesh = f"OFF\n3 1 0\n0 0 0\n{number + 1} 0 0\n0 1 0\n3 0 1 2\n"
        (root / f"sheet_{number}.off").write_text(mesh, encoding="utf-8")
    data = Folder(root=root, mesh_points=50, up_axis="z")
    cloud = data.record("sheet_1").cloud()
    assert cloud.shape == (50, 6)
    np.testing.assert_array_equal(cloud, Folder(root=root, mesh_points=50).record("sheet_1").cloud())
    assert not np.array_equal(cloud, Folder(root=root, mesh_points=50, seed=1).record("sheet_1").cloud())
    assert data.up_axis == "z"


@pytest.mark.slow
def test_a_run_leaves_broken_clouds_out(world: Path, tmp_path: Path) -> None:
    (world / "chair_0.npy").write_bytes(b"PK\3\4")
    (world / "mug_7.glb").write_bytes(b"glTF\2\0\0\0")
    (world / "mug_8.xyz").write_text("nan 0 0\n1 1 1\n" * 20, encoding="utf-8")
    os.mkfifo(world / "pipe.ply")
    command = [sys.executable, "-m", "spa3d", "run", "--preset", "smoke", "--device", "cpu", "--dataset", "folder"]
    command += ["--dataset.root", str(world), "--output", str(tmp_path / "run")]
    environment = {**os.environ, "SPA3D_BASES": str(tmp_path / "bases"), "SPA3D_PLUGINS": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for name in ("chair_0.npy", "mug_7.glb", "mug_8.xyz", "pipe.ply"):
        assert f"{name}" in done.stderr
    subprocess.run([*command, "--on-bad-data", "skip"], env=environment, capture_output=True, check=True)
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    skipped = "\n".join(report["data"]["skipped"])
    assert [name in skipped for name in ("chair_0", "mug_7", "mug_8", "pipe.ply", "mug_1")] == [True] * 4 + [False]
    assert sum(report["data"]["splits"].values()) == 29
