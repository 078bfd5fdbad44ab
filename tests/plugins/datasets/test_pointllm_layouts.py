"""Tests of ``pointllm`` with published file names, and with entries of other projects."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spa3d.errors import DataError
from spa3d_plugins.datasets.pointllm import PointLLM

BRIEF, FILTERED = "PointLLM_brief_description_660K", "PointLLM_brief_description_660K_filtered"
COMPLEX, GT_200, GT_3000 = (
    "PointLLM_complex_instruction_70K",
    "PointLLM_brief_description_val_200_GT",
    "PointLLM_brief_description_val_3000_GT",
)


def entry(name: str, answer: str = "A thing.", **more: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": "<point>\nWhat is this?"}, {"from": "gpt", "value": answer}]
    return {"object_id": name, "conversations": turns, **more}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Clouds of objects o00 to o39, and of v0 to v3, which PointLLM reserves; files as in PointLLM's README."""
    folder = tmp_path / "data" / "objaverse_data"
    folder.mkdir(parents=True)
    for name in (*(f"o{number:02}" for number in range(40)), *(f"v{number}" for number in range(4))):
        np.save(folder / f"{name}_8192.npy", np.random.default_rng(0).random((16, 6), dtype=np.float32))
    return tmp_path / "data"


def names(data: PointLLM, split: str) -> list[str]:
    return [record.id for record in data.records(split)]


def test_published_files_need_no_flags(root: Path) -> None:
    annotations = root / "anno_data"
    write(annotations / f"{FILTERED}.json", [entry(f"o{number:02}") for number in range(40)])
    write(annotations / f"{BRIEF}.json", "not read")
    kinds = ("detailed_description", "single_round", "multi_round")
    write(annotations / f"{COMPLEX}.json", [entry("o07", kind, conversation_type=kind) for kind in kinds])
    write(annotations / f"{GT_200}.json", [entry("v0"), entry("v1")])
    write(annotations / f"{GT_3000}.json", [entry(f"v{number}") for number in range(4)])
    data = PointLLM(root=root, val_share=0.1)
    assert data.splits == ("train", "val", "test")
    assert names(data, "test") == ["v0", "v1"]
    train, val = names(data, "train"), names(data, "val")
    assert sorted([*train, *val]) == [f"o{number:02}" for number in range(40)]
    assert 0 < len(val) < 12
    assert train == sorted(train)
    assert [each.kind for each in data.record("o07").conversations] == ["simple_description", *kinds]
    assert data.record(val[0]).cloud().shape == (16, 6)
    notes = "\n".join(data.skip_log.notes)
    assert f"{BRIEF}.json: not read; {FILTERED}.json has its captions" in notes
    assert f"{GT_3000}.json: not evaluated; {GT_200}.json is PointLLM's benchmark" in notes
    assert f"{len(val)} of the 40 training objects, chosen by a hash of their names, are held out as val" in notes
    other = PointLLM(root=root, val_share=0, test=(f"{GT_3000}.json",))
    assert (other.splits, len(names(other, "train")), len(names(other, "test"))) == (("train", "test"), 40, 4)
    assert other.fingerprint() != data.fingerprint()
    assert PointLLM.recognizes(root)


def test_reserved_objects_are_left_out_of_the_unfiltered_captions(root: Path) -> None:
    annotations = root / "anno_data"
    everything = [entry(name) for name in ("o00", "v0", "o01", "v1", "v2", "v3")]
    write(annotations / f"{BRIEF}.json", everything)
    write(annotations / f"{GT_200}.json", [entry("v0")])
    write(annotations / "val_object_ids_3000.txt", "v1\r\nv2\n\nv3\n")
    data = PointLLM(root=root, val_share=0)
    assert names(data, "train") == ["o00", "o01"]
    assert names(data, "test") == ["v0"]
    assert any("4 objects of train are reserved for evaluation" in note for note in data.skip_log.notes)
    (annotations / "val_object_ids_3000.txt").unlink()
    write(annotations / f"{GT_3000}.json", {f"v{number}": "A thing." for number in range(4)})
    assert names(PointLLM(root=root, val_share=0), "train") == ["o00", "o01"]


def test_own_files_come_before_published_ones(root: Path) -> None:
    annotations = root / "anno_data"
    write(annotations / f"{FILTERED}.json", [entry("o00")])
    write(annotations / "mine_train.json", [entry("o01")])
    assert names(PointLLM(root=root), "train") == ["o01"]
    assert PointLLM(root=root).splits == ("train",)


def test_val_is_a_file_where_there_is_one_and_keeps_groups_together(root: Path) -> None:
    annotations = root / "anno_data"
    write(annotations / f"{FILTERED}.json", [entry(f"o{number:02}") for number in range(20)])
    facts = [{"object_id": f"o{number:02}", "group": f"g{number // 5}"} for number in range(20)]
    write(annotations / "facts_train.json", facts)
    data = PointLLM(root=root, val_share=0.5)
    groups = [{record.group for record in data.records(split)} for split in ("train", "val")]
    assert not groups[0] & groups[1]
    assert len(data.records("val")) % 5 == 0
    write(annotations / "mine_val.json", [entry("o30")])
    assert names(PointLLM(root=root, val_share=0.5), "val") == ["o30"]
    assert len(names(PointLLM(root=root), "train")) == 20


def test_references_may_be_captions_by_object(root: Path) -> None:
    write(root / "anno_data" / f"{GT_200}.json", {"v0": "A lamp.", "v1": entry("v1", "A mug.")["conversations"]})
    data = PointLLM(root=root)
    assert data.splits == ("test",)
    assert [record.caption for record in data.records("test")] == ["A lamp.", "A mug."]
    assert data.record("v0").conversations[0].rounds[0].question == "Caption this 3D model in detail."


@pytest.fixture
def spatial(tmp_path: Path) -> Path:
    """A folder as SpatialLM's, with arrays as clouds."""
    root = tmp_path / "spatial"
    for number in range(3):
        (root / "pcd").mkdir(parents=True, exist_ok=True)
        cloud = np.random.default_rng(number).random((16, 6 if number else 3), dtype=np.float32)
        np.save(root / "pcd" / f"scene{number}.npy", cloud)
        turns = [{"from": "human", "value": "<point_cloud>Detect walls."}, {"from": "gpt", "value": "wall_0=Wall(0)"}]
        write(
            root / f"spatiallm_{('train', 'val', 'test')[number]}.json",
            [{"conversations": turns, "point_clouds": [f"pcd/scene{number}.npy"]}] * 2,
        )
    return root


def test_spatiallm_folder(spatial: Path) -> None:
    data = PointLLM(root=spatial, up_axis="z")
    assert data.splits == ("train", "val", "test")
    (record,) = data.records("val")
    assert (record.id, record.has_color, len(record.conversations)) == ("pcd/scene1.npy", None, 2)
    assert record.conversations[0].rounds[0].question == "<point>Detect walls."
    stored = np.load(spatial / "pcd" / "scene1.npy")
    np.testing.assert_array_equal(data.record("pcd/scene1.npy").cloud(), stored)
    assert not data.records("train")[0].cloud()[:, 3:].any()  # no color
    assert PointLLM.recognizes(spatial)
    first = data.fingerprint()
    np.save(spatial / "pcd" / "scene1.npy", stored[::-1])
    assert PointLLM(root=spatial, up_axis="z").fingerprint() != first


def test_named_files_below_the_folder_of_clouds(root: Path) -> None:
    turns = entry("")["conversations"]
    write(root / "anno_data" / "x_train.json", [{"id": 7, "point": "o03_8192.npy", "conversations": turns}])
    data = PointLLM(root=root)
    assert data.record("o03_8192.npy").caption == "A thing."
    assert data.record("o03_8192.npy").cloud().shape == (16, 6)


def test_other_formats_by_pattern(root: Path) -> None:
    write(root / "anno_data" / "x_train.json", [entry("o03")])
    with pytest.raises(DataError, match=re.escape("o03.ply (record o03): cannot be read: no such file")):
        PointLLM(root=root, pattern="{id}.ply").records("train")


def test_bad_named_files_are_errors_of_their_entries(spatial: Path) -> None:
    path = spatial / "spatiallm_train.json"
    good = json.loads(path.read_text())[0]
    bad = [
        good | {"point_clouds": ["pcd/scene0.npy", "pcd/scene1.npy"]},
        good | {"point_clouds": ["../scene0.npy"]},
        good | {"point_clouds": ["pcd/gone.npy"]},
        good | {"object_id": "pcd/scene0.npy", "point_clouds": ["pcd/scene2.npy"]},
    ]
    write(path, [good, *bad])
    data = PointLLM(root=spatial, on_bad_data="skip")
    assert names(data, "train") == ["pcd/scene0.npy"]
    for line, message in zip(
        data.skip_log.lines,
        [
            "entry 1: 2 clouds in point_clouds",
            "entry 2: point_clouds '../scene0.npy' leads out",
            "entry 4 (record pcd/scene0.npy): its cloud is pcd/scene2.npy, and pcd/scene0.npy in another entry",
            "gone.npy (record pcd/gone.npy): cannot be read: no such file",
        ],
        strict=True,
    ):
        assert message in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            [{"scene_id": "s", "question": "?", "answers": ["a"], "question_id": "1", "object_ids": [1]}] * 30,
            "all 30 entries look like ScanQA's or 3D-LLM's questions",
        ),
        ([{"id": "1", "image": "a.png", "conversations": []}], "all 1 entries look like LLaVA's conversations"),
        ({"info": {}, "images": [], "annotations": []}, "no array of entries; this looks like COCO's"),
        ({"prompt": "What?", "results": []}, "results of an evaluation with PointLLM"),
    ],
)
def test_another_projects_file_is_named(root: Path, content: Any, message: str) -> None:
    path = write(root / "anno_data" / "x_train.json", content)
    for on_bad_data in ("stop", "skip"):
        with pytest.raises(DataError, match=re.escape(f"{path}: ")) as caught:
            PointLLM(root=root, on_bad_data=on_bad_data).records("train")
        assert message in str(caught.value)


def test_one_entry_of_another_project_is_named(root: Path) -> None:
    write(root / "anno_data" / "x_train.json", [entry("o00"), {"messages": entry("")["conversations"]}])
    with pytest.raises(DataError, match=r"entry 1: object_id is missing.* It looks like messages that name no cloud"):
        PointLLM(root=root).records("train")


def test_thoughts_are_part_of_the_answer(root: Path) -> None:
    answer = "<think>\nIt has four legs.\n</think>\n\nA chair."
    write(root / "anno_data" / "x_train.json", [entry("o00", answer)])
    assert PointLLM(root=root).record("o00").caption == answer


def test_recognizes_nothing_else(tmp_path: Path, root: Path) -> None:
    assert not PointLLM.recognizes(tmp_path)
    assert not PointLLM.recognizes(tmp_path / "gone")
    write(root / "anno_data" / "other.json", [])
    assert not PointLLM.recognizes(root)
