from __future__ import annotations

from spa3d.config.layers import Layers


def test_set_value_later_layers_win_with_their_locations() -> None:
    layers = Layers()
    layers.set_value((), {"train": {"steps": 1, "epochs": 2}}, lambda rest: f"file {'.'.join(map(str, rest))}")
    layers.set_value(("train", "steps"), "9", lambda rest: "--train.steps 9")
    assert layers.values == {"train": {"steps": "9", "epochs": 2}}
    assert layers.location(("train", "steps")) == "--train.steps 9"
    assert layers.location(("train", "epochs", 0)) == "file train.epochs"
    assert layers.location(("train",)) == ""


def test_set_value_rejects_value_for_block_and_block_for_value() -> None:
    layers = Layers()
    layers.set_value((), {"train": {"steps": 1}}, lambda rest: "default")
    layers.set_value(("train",), 3, lambda rest: "run.yaml:2 train")
    layers.set_value(("train", "steps", "deep"), 3, lambda rest: "--train.steps.deep 3")
    assert layers.values == {"train": {"steps": 1}}
    assert layers.errors == [
        "run.yaml:2 train: train is a block of fields and takes no value itself",
        "--train.steps.deep 3: steps holds a value, so it has no fields",
    ]


def test_set_value_empty_block_changes_nothing() -> None:
    layers = Layers()
    layers.set_value((), {"train": {"steps": 1}}, lambda rest: "default")
    layers.set_value(("train",), None, lambda rest: "file")
    layers.set_value(("train",), {}, lambda rest: "file")
    layers.set_value((), {}, lambda rest: "file")
    assert layers.values == {"train": {"steps": 1}}
    assert not layers.errors
