import json
import os
import pickle
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from spa3d.contracts.dataset import CAPTION, Fact
from spa3d.errors import DataError
from spa3d_plugins.datasets.pointllm import PointLLM

CATEGORIES = ("chair", "lamp", "table", "mug", "sofa")
COLORS = ("red", "blue", "green", "white", "black")
SHAPES = ("tall", "long", "flat", "compact")


def conversation(object_id: str, *texts: str, kind: str | None = None) -> dict[str, Any]:
    turns = [{"from": ("human", "gpt")[i % 2], "value": text} for i, text in enumerate(texts)]
    return {"object_id": object_id, "conversations": turns} | ({"conversation_type": kind} if kind else {})


def caption(object_id: str, text: str = "A thing.") -> dict[str, Any]:
    return conversation(object_id, "<point>\nWhat is this?", text)


class Folder:
    """A tiny PointLLM folder: clouds of 16 points, JSON as passed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "8192_npy").mkdir(parents=True)
        (root / "anno_data").mkdir()

    def cloud(self, object_id: str, array: np.ndarray | None = None) -> Path:
        path = self.root / "8192_npy" / f"{object_id}_8192.npy"
        np.save(path, np.random.default_rng(0).random((16, 6), dtype=np.float32) if array is None else array)
        return path

    def write(self, name: str, content: Any) -> Path:
        path = self.root / "anno_data" / f"{name}.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        return path

    def open(self, **config: Any) -> PointLLM:
        return PointLLM(root=self.root, **config)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "data")


@pytest.fixture
def world(folder: Folder) -> Folder:
    """20 train, 4 val and 4 test objects with captions, conversations, facts; one rare mug."""
    number = 0
    for split, size in (("train", 20), ("val", 4), ("test", 4)):
        briefs, conversations, facts = [], [], []
        for i in range(size):
            name, category = f"o{number:02}", CATEGORIES[:3][i % 3] if i < 18 else "mug"
            shape, color = SHAPES[i % 4], COLORS[i % 5]
            folder.cloud(name)
            briefs.append(caption(name, f"A {color} {category}."))
            conversations.append(
                conversation(name, "<point>\nIs it big?", "No.", "Who made it?", "Nobody knows.", kind="multi_round")
            )
            known = {"category": category, "group": f"g{number}", "main_color": color, "shape": shape, "extra": 1}
            facts.append({"object_id": name, "has_color": i != 3, **known})
            number += 1
        folder.write(f"brief_description_{split}", briefs)
        folder.write(f"conversations_{split}", conversations)
        folder.write(f"facts_{split}", facts)
    return folder


def test_all_entries_of_an_object_form_one_record(world: Folder) -> None:
    data = world.open()
    assert data.splits == ("train", "val", "test")
    assert [len(data.records(split)) for split in data.splits] == [20, 4, 4]
    record = data.records("train")[1]
    assert (record.id, record.object_id, record.group, record.category) == ("o01", "o01", "g1", "lamp")
    assert [conversation.kind for conversation in record.conversations] == [CAPTION, "multi_round"]
    assert record.caption == "A blue lamp."
    assert record.conversations[0].rounds[0].question == "What is this?"
    assert [r.answer for r in record.conversations[1].rounds] == ["No.", "Nobody knows."]
    assert data.record("o01") == record
    assert data.records("train")[-1].id == "o19"
    assert [r.id for r in data.records("train")[2:4]] == ["o02", "o03"]
    assert record.cloud().shape == (16, 6)
    assert not data.skip_log.lines


def test_facts_ask_for_category_color_and_shape(world: Folder) -> None:
    data = world.open()
    facts = {fact.kind: fact for fact in data.record("o01").facts}
    assert facts["category"] == Fact("category", "", "What kind of object is this?", "lamp", ("chair", "lamp", "table"))
    assert facts["color"] == Fact("color", "", "What is its main color?", "blue", tuple(sorted(COLORS)))
    assert facts["shape"] == Fact("shape", "", "What is its overall shape?", "long", tuple(sorted(SHAPES)))
    # Two mugs are too few for an option; a cloud without color has no main color.
    assert data.record("o18").facts[0].options == ("mug",)
    assert data.record("o18").category == "mug"
    assert [fact.kind for fact in data.record("o03").facts] == ["category", "shape"]
    assert not data.record("o03").has_color
    assert world.open(min_category=2).record("o18").facts[0].options[-2:] == ("mug", "table")


def test_fresh_rounds_are_keyed_and_mix_all_forms(world: Folder) -> None:
    data, again = world.open(), world.open()
    seen: Counter[str] = Counter()
    for epoch in range(30):
        for record in data.records("train"):
            current = data.conversations(record, epoch)
            assert current == again.conversations(again.record(record.id), epoch)
            assert current[0].kind == CAPTION
            rounds = current[-1].rounds
            assert current[-1].kind == "multi_round"
            assert 1 <= len(rounds) <= 3
            assert len({r.question.split(" A) ")[0] for r in rounds}) == len(rounds)
            for number, turn in enumerate(rounds):
                if " A) " in turn.question:
                    assert f") {turn.answer}" in turn.question
                if turn.question.startswith(("What kind", "What is its")):  # not answered before
                    assert not any(turn.answer in earlier.answer.split() for earlier in rounds[:number])
                seen["options" if " A) " in turn.question else turn.question] += 1
    assert data.conversations(data.record("o01"), 0) != data.conversations(data.record("o01"), 1)
    assert world.open(seed=1).conversations(data.record("o01"), 0) != data.conversations(data.record("o01"), 0)
    assert 0.25 < seen["options"] / seen.total() < 0.45
    assert {"What is this?", "Is it big?", "Who made it?", "What is its main color?"} < set(seen)


def test_annotated_rounds_stay_as_they_are_without_facts_or_on_request(world: Folder) -> None:
    record = world.open().record("o01")
    assert world.open(fresh=False).conversations(record, 3) == record.conversations
    for split in ("train", "val", "test"):
        (world.root / "anno_data" / f"facts_{split}.json").unlink()
    data = world.open()
    plain = data.record("o01")
    assert plain.facts == ()
    assert plain.category is None
    assert plain.group == "o01"
    assert data.conversations(plain, 3) == plain.conversations == record.conversations


@pytest.fixture
def colored_world(world: Folder) -> Folder:
    """The world with clouds of o00 (red, tall) and o02 (green, flat) that fit their facts."""
    for name, rgb, high in (("o00", (0.85, 0.2, 0.2), 2.0), ("o02", (0.3, 0.6, 0.25), 0.3)):
        xyz = (np.random.default_rng(1).random((64, 3)) - 0.5) * (1, high, 1)
        world.cloud(name, np.column_stack([xyz, np.tile(rgb, (64, 1))]).astype(np.float32))
    return world


def test_a_twin_is_an_edit_of_the_cloud_and_found_by_its_id(colored_world: Folder) -> None:
    data, again = colored_world.open(), colored_world.open()
    kinds = Counter[str]()
    for name in ("o00", "o02"):
        record = data.record(name)
        for number in range(12):
            twin = data.twin(record, number)
            assert twin is not None
            assert twin == again.twin(again.record(name), number)
            assert again.record(f"{name}~{number}") == twin.record
            np.testing.assert_array_equal(again.record(f"{name}~{number}").cloud(), twin.record.cloud())
            differ = [(a, b) for a, b in zip(record.facts, twin.record.facts, strict=True) if a != b]
            assert differ == [(twin.before, twin.after)]
            kind = {"color": slice(3, 6), "shape": slice(0, 3)}[twin.after.kind]
            changed = (twin.record.cloud() != record.cloud()).any(0)
            assert changed[kind].any()
            assert changed.sum() == changed[kind].sum()
            kinds[twin.after.kind] += 1
            # No other conversation in any epoch: a caption may name the old color.
            current = data.conversations(twin.record, 3)
            assert current == twin.record.conversations
            assert [r.answer for conversation in current for r in conversation.rounds] == [twin.after.answer]
            assert data.twin(twin.record) is None
    assert min(kinds["color"], kinds["shape"]) > 3


def test_no_twin_where_cloud_and_facts_disagree(colored_world: Folder) -> None:
    data = colored_world.open()
    assert data.twin(data.record("o01")) is None
    for name in ("o01~0", "o00~0~0", "o00~01", "o00~", "o00~-1", "~0", "o99~0"):
        with pytest.raises(DataError, match="no record"):
            data.record(name)


def test_a_cloud_that_cannot_be_read_has_no_twin_or_stops(colored_world: Folder) -> None:
    path = colored_world.root / "8192_npy" / "o00_8192.npy"
    path.write_bytes(path.read_bytes()[:200])
    data = colored_world.open()
    with pytest.raises(DataError, match=re.escape(f"{path} (record o00): truncated")):
        data.twin(data.record("o00"))
    data = colored_world.open(on_bad_data="skip")
    assert data.twin(data.record("o00")) is None


def test_official_file_names_as_settings(folder: Folder) -> None:
    for name in "abc":
        folder.cloud(name)
    folder.write("PointLLM_brief_description_660K_filtered", [caption("a"), caption("b")])
    folder.write("PointLLM_complex_instruction_70K", [conversation("b", "<point>\nUse?", "None.", kind="single_round")])
    folder.write("PointLLM_brief_description_val_200_GT", [caption("c")])
    data = folder.open(
        train=("PointLLM_brief_description_660K_filtered.json", "PointLLM_complex_instruction_70K.json"),
        test=("PointLLM_brief_description_val_200_GT.json",),
    )
    assert data.splits == ("train", "test")
    assert [record.id for record in data.records("train")] == ["a", "b"]
    assert [conversation.kind for conversation in data.record("b").conversations] == [
        CAPTION,
        "single_round",
    ]
    with pytest.raises(DataError, match="no files for split 'val'; there are train, test"):
        data.records("val")
    with pytest.raises(DataError, match="no record 'z'"):
        data.record("z")
    with pytest.raises(DataError, match=r"--dataset\.test: there is no file .*missing\.json"):
        folder.open(test=("missing.json",))


def test_the_two_objects_known_to_be_corrupt_are_left_out_and_noted(folder: Folder) -> None:
    corrupt = "6760e543e1d645d5aaacd3803bcae524"
    folder.cloud("a")
    folder.write("brief_train", [caption(corrupt), caption("a")])
    data = folder.open()
    assert [record.id for record in data.records("train")] == ["a"]
    assert len(data.skip_log.lines) == 1
    assert corrupt in data.skip_log.lines[0]


def test_clouds_without_color_have_has_color_false(folder: Folder) -> None:
    folder.cloud("a", np.ones((16, 3), dtype=np.float32))
    folder.cloud("b")
    folder.write("brief_train", [caption("a"), caption("b")])
    data = folder.open()
    assert not data.record("a").has_color
    assert (data.record("a").cloud()[:, 3:] == 0).all()
    with pytest.raises(DataError, match="6 columns where other clouds of the data set have 3"):
        data.record("b").cloud()


def test_byte_colors_and_another_layout(tmp_path: Path) -> None:
    (tmp_path / "npy").mkdir()
    (tmp_path / "conversations").mkdir()
    np.save(tmp_path / "npy" / "a.npy", np.full((16, 6), 51, dtype=np.float32))
    (tmp_path / "conversations" / "my_train.json").write_text(json.dumps([caption("a")]))
    config: dict[str, Any] = {"root": tmp_path, "clouds": "npy", "annotations": "conversations", "pattern": "{id}.npy"}
    np.testing.assert_allclose(PointLLM(**config, colors="0-255").record("a").cloud()[:, 3:], 0.2)
    with pytest.raises(DataError, match="colors look like 0-255"):
        PointLLM(**config).record("a").cloud()
    assert PointLLM(**config, up_axis="z").up_axis == "z"
    with pytest.raises(ValidationError, match="a file name with"):
        PointLLM(**config | {"pattern": "../{id}.npy"})


@pytest.mark.parametrize(("missing", "flag"), [("", "root"), ("8192_npy", "clouds"), ("anno_data", "annotations")])
def test_a_missing_folder_is_named_with_its_flag(tmp_path: Path, missing: str, flag: str) -> None:
    root = tmp_path / "data"
    for name in ("8192_npy", "anno_data"):
        if missing and name != missing:
            (root / name).mkdir(parents=True)
    with pytest.raises(DataError, match=rf"--dataset\.{flag}: there is no folder {re.escape(str(root / missing))}"):
        PointLLM(root=root)


FAULTS: dict[str, tuple[Any, str]] = {
    "no object": (["a"], "entry 1: a list where an object"),
    "no id": ({"conversations": []}, "entry 1: object_id is missing"),
    "no turns": ({"object_id": "bad"}, "entry 1 (record bad): conversations is missing"),
    "no mark": (conversation("bad", "What is this?", "A."), "entry 1 (record bad): no <point>"),
    "empty answer": (conversation("bad", "<point>?", ""), "entry 1 (record bad): empty answer in turn 1"),
    "odd turns": (conversation("bad", "<point>?"), "entry 1 (record bad): 1 turns"),
    "no cloud": (caption("lost"), "lost_8192.npy (record lost): cannot be read: no such file"),
    "another folder": (caption("../../secret"), "(record ../../secret): cannot be read: no such file"),
    "held out": (caption("held"), "(record held): in train, but the object is held out in test"),
}


@pytest.mark.parametrize("error", FAULTS)
def test_a_bad_entry_stops_or_is_left_out_and_listed(folder: Folder, error: str) -> None:
    entry, message = FAULTS[error]
    for name in ("good", "bad", "held"):
        folder.cloud(name)
    folder.write("brief_test", [caption("held")])
    path = folder.write("brief_train", [caption("good"), entry])
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        folder.open().records("train")
    assert "--on-bad-data skip" in str(caught.value)
    assert str(folder.root) in str(caught.value)
    data = folder.open(on_bad_data="skip")
    assert [record.id for record in data.records("train")] == ["good"]
    assert len(data.records("test")) == 1
    assert len(data.skip_log.lines) == 1
    assert message in data.skip_log.lines[0]
    assert path.exists()


def test_several_errors_are_counted_and_a_good_entry_keeps_its_object(folder: Folder) -> None:
    folder.cloud("a")
    folder.write("brief_train", [caption("a", ""), caption("a"), conversation("a", "<point>?")])
    with pytest.raises(DataError, match=r"(?s)entry 0.*\n.*entry 2.*\n2 errors; --on-bad-data skip"):
        folder.open().records("train")
    data = folder.open(on_bad_data="skip")
    assert data.records("train")[0].caption == "A thing."
    assert len(data.skip_log.lines) == 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"object_id": "a", "category": 3}, "entry 0 (record a): category: input should be a valid string"),
        ({"object_id": "a", "shape": ""}, "entry 0 (record a): shape: string should have at least 1 character"),
        (
            {"object_id": "a", "category": "   "},
            "entry 0 (record a): category: string should have at least 1 character",
        ),
        (
            {"object_id": "a", "catgory": "chair"},
            "entry 0 (record a): no key 'catgory' is read; did you mean 'category'?",
        ),
        ({"category": "chair"}, "entry 0: object_id is missing"),
    ],
)
def test_bad_facts_name_file_and_record(folder: Folder, entry: Any, message: str) -> None:
    folder.cloud("a")
    folder.write("brief_train", [caption("a")])
    path = folder.write("facts_train", [entry])
    with pytest.raises(DataError, match=re.escape(f"{path}, {message}")):
        folder.open().records("train")


def test_facts_that_are_not_used_are_noted(folder: Folder) -> None:
    folder.cloud("a")
    folder.write("brief_train", [caption("a")])
    facts = [{"object_id": name, "category": " mug ", "weight": 3} for name in ("b", "a", "c")]
    path, other = folder.write("facts_train", facts), folder.write("facts_valid", facts)
    data = folder.open()
    assert data.records("train")[0].category == "mug"
    assert data.skip_log.lines == []
    unknown = "2 of 3 entries are about objects that the split does not have, the first about 'b'; they are not used."
    assert data.skip_log.notes == [
        f"{path}: {unknown}",
        f"{path}: key 'weight', in 3 entries, is not read.",
        f"{other}: not read; facts are read from facts_train.json.",
    ]


def test_a_facts_file_that_is_a_folder_or_a_broken_link_is_an_error(folder: Folder) -> None:
    folder.cloud("a")
    folder.write("brief_train", [caption("a")])
    path = folder.root / "anno_data" / "facts_train.json"
    path.mkdir()
    with pytest.raises(DataError, match=r"facts_train\.json: cannot be read: it is a folder"):
        folder.open().records("train")
    path.rmdir()
    path.symlink_to("gone.json")
    with pytest.raises(DataError, match=r"facts_train\.json: cannot be read: no such file"):
        folder.open().records("train")


def test_a_pipe_as_annotation_file_is_refused_instead_of_waited_for(folder: Folder) -> None:
    os.mkfifo(folder.root / "anno_data" / "brief_train.json")
    with pytest.raises(DataError, match="it is no regular file"):
        folder.open().records("train")


def test_text_only_objects_have_no_facts_and_need_no_cloud(folder: Folder) -> None:
    folder.write("brief_train", [conversation("a", "What is a mug?", "A cup.")])
    folder.write("facts_train", [{"object_id": "a", "category": "mug", "main_color": "red"}])
    record = folder.open(allow_text_only=True).records("train")[0]
    assert (record.has_cloud, record.caption, record.category, record.facts) == (False, None, None, ())


def test_second_entry_of_facts_is_an_error(folder: Folder) -> None:
    folder.cloud("a")
    folder.write("brief_train", [caption("a")])
    path = folder.write("facts_train", [{"object_id": "a", "category": "mug"}, {"object_id": "a", "category": "cup"}])
    with pytest.raises(DataError, match=re.escape(f"{path}, entry 1 (record a): a second entry of facts")):
        folder.open().records("train")


def test_a_group_never_crosses_a_split(world: Folder) -> None:
    facts = json.loads((world.root / "anno_data" / "facts_train.json").read_text())
    facts[4]["group"] = "g24"  # a test object's
    world.write("facts_train", facts)
    data = world.open(on_bad_data="skip")
    assert "o04" not in [record.id for record in data.records("train")]
    assert "(record o04): in train, but its group 'g24' is held out in test" in data.skip_log.lines[0]


@pytest.mark.parametrize("content", ["[1,", "{}", "\x00"])
def test_file_without_a_json_array_raises_data_error(folder: Folder, content: str) -> None:
    folder.cloud("a")
    path = folder.write("brief_train", [])
    path.write_text(content)
    data = folder.open(on_bad_data="skip")
    with pytest.raises(DataError, match=re.escape(str(path))):
        data.records("train")


def test_a_bad_cloud_names_file_and_record_when_it_is_read(folder: Folder) -> None:
    path = folder.cloud("a")
    folder.cloud("b")
    folder.write("brief_train", [caption("a"), caption("b")])
    path.write_bytes(path.read_bytes()[:200])
    data = folder.open()
    assert len(data.records("train")) == 2
    with pytest.raises(DataError, match=re.escape(f"{path} (record a): truncated")):
        data.records("train")[0].cloud()
    assert data.records("train")[1].cloud().shape == (16, 6)


def test_markup_is_unchanged(folder: Folder) -> None:
    nasty = "[/red]<script>|"
    folder.cloud("a")
    folder.write("brief_train", [conversation("a", f"<point>\n{nasty}", nasty)])
    turn = folder.open().records("train")[0].conversations[0].rounds[0]
    assert (turn.question, turn.answer) == (nasty, nasty)


def test_fingerprint_depends_on_the_data(world: Folder, tmp_path: Path) -> None:
    first = world.open().fingerprint()
    assert world.open().fingerprint() == first
    moved = Folder(tmp_path / "elsewhere")
    for path in world.root.rglob("*.*"):
        (moved.root / path.relative_to(world.root)).write_bytes(path.read_bytes())
    assert moved.open().fingerprint() == first
    moved.cloud("nobody speaks of it")
    assert moved.open().fingerprint() == first
    others = {world.open(fresh=False).fingerprint(), world.open(colors="0-255").fingerprint()}
    for path in sorted((moved.root / "8192_npy").glob("o*.npy"))[:1]:  # another cloud of the same size
        raw = path.read_bytes()
        path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        others.add(moved.open().fingerprint())
        path.write_bytes(raw)
    moved.cloud("o03", np.zeros((17, 6), dtype=np.float32))
    others.add(moved.open().fingerprint())
    facts = json.loads((world.root / "anno_data" / "facts_val.json").read_text())
    world.write("facts_val", facts[:-1])
    others.add(world.open().fingerprint())
    assert len(others | {first}) == 6


def test_fingerprint_follows_every_cloud(folder: Folder) -> None:
    names = [f"o{number:03}" for number in range(100)]
    for name in names:
        folder.cloud(name)
    folder.write("brief_train", [caption(name) for name in names])
    prints = {folder.open().fingerprint()}
    for name in names[::5]:  # as large as before
        folder.cloud(name, np.full((16, 6), 0.5, dtype=np.float32))
        prints.add(folder.open().fingerprint())
    assert len(prints) == 21


def test_broken_link_counts_as_a_missing_cloud(world: Folder) -> None:
    path = world.root / "8192_npy" / "o05_8192.npy"
    path.unlink()
    path.symlink_to(world.root / "gone.npy")
    with pytest.raises(DataError, match=r"o05_8192\.npy \(record o05\): cannot be read: no such file"):
        world.open().records("train")


def test_records_and_dataset_can_be_pickled(world: Folder) -> None:
    data = world.open()
    record = data.records("train")[0]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(record)).cloud(), record.cloud())
    assert pickle.loads(pickle.dumps(data)).record("o05") == data.record("o05")


def test_nothing_is_read_at_construction(folder: Folder) -> None:
    folder.write("brief_train", []).write_text("no json at all")
    assert folder.open().splits == ("train",)
