import pytest

from spa3d_plugins.datasets.folder_layout.names import (
    article,
    find_split,
    folder_category,
    folder_splits,
    look_alike_key,
    name_category,
)


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("glb/Chair_1.glb", "chair"),
        ("Couch_Large1.glb", "couch large"),
        ("ballA.off", "ball"),
        ("nightStand-02.ply", "night stand"),
        ("Stühle/Stuhl rot.ply", "stuhl rot"),
        ("Chair_3/scene.gltf", "chair"),
        ("chairs/model_normalized.obj", "chairs"),
        ("000123.ply", ""),
        ("a0010db90831bcaf17b16aebd62e6458.npy", ""),
        ("6f1b2c3d-aaaa-bbbb-cccc-1234567890ab.ply", ""),
        ("scan 001.ply", ""),
    ],
)
def test_name_category(name: str, category: str) -> None:
    assert name_category(name) == category


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("Office Chair/1.ply", "office chair"),
        ("chair/train/chair_0001.off", "chair"),
        ("train/chair/x.off", "chair"),
        ("chair/chair_07/models/x.obj", "chair"),
        ("gltf_external/bowl.gltf", ""),
        ("8192_npy/x.npy", ""),
        ("point clouds/x.npy", ""),
        ("02691156/1a04e3eab45ca15dd86060f189eb133/x.obj", ""),
        ("x.ply", ""),
    ],
)
def test_folder_category(name: str, category: str) -> None:
    assert folder_category(name) == category


def test_splits_in_names() -> None:
    assert [find_split(word) for word in (" Train", "VALIDATION", "eval", "testing", "tests")] == [
        "train",
        "val",
        "val",
        "test",
        None,
    ]
    assert folder_splits("chair/Test/x.off") == ("test",)
    assert folder_splits("train/eval/train.ply") == ("train", "val")
    assert folder_splits("test.ply") == ()


def test_look_alike_key_ignores_numbers_formats_and_splits() -> None:
    assert look_alike_key("glb/Chair_1.glb") == look_alike_key("obj/chair_22.obj") == look_alike_key("test/Chair.ply")
    assert look_alike_key("Chair_1/scene.gltf") == look_alike_key("Chair_2/scene.gltf")
    assert look_alike_key("chair/1.ply") != look_alike_key("chair/2.ply")
    assert look_alike_key("chair/model_1.ply") != look_alike_key("table/model_1.ply")


def test_article() -> None:
    assert [article(word) for word in ("chair", "apple", "Oven", "")] == ["a", "an", "an", "a"]
