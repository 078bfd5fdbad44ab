from __future__ import annotations

from spa3d.config.layers import Layers


def test_lay_later_layers_win_with_their_locations() -> None:
    layers = Layers()
    layers.lay((), {"train": {"steps": 1, "epochs": 2}}, lambda rest: f"file {'.'.join(map(str, rest))}")
    layers.lay(("train", "steps"), "9", lambda rest: "--train.steps 9")
    assert layers.values == {"train": {"steps": "9", "epochs": 2}}
    assert layers.location(("train", "steps")) == "--train.steps 9"
    assert layers.location(("train", "epochs", 0)) == "file train.epochs"
    assert layers.location(("train",)) == ""


def test_lay_rejects_value_for_block_and_block_for_value() -> None:
    layers = Layers()
    layers.lay((), {"train": {"steps": 1}}, lambda rest: "default")
    layers.lay(("train",), 3, lambda rest: "run.yaml:2 train")
    layers.lay(("train", "steps", "deep"), 3, lambda rest: "--train.steps.deep 3")
    assert layers.values == {"train": {"steps": 1}}
    assert layers.errors == [
        "run.yaml:2 train: train is a block of fields and takes no value itself",
        "--train.steps.deep 3: steps holds a value, so it has no fields",
    ]


def test_lay_empty_block_changes_nothing() -> None:
    layers = Layers()
    layers.lay((), {"train": {"steps": 1}}, lambda rest: "default")
    layers.lay(("train",), None, lambda rest: "file")
    layers.lay(("train",), {}, lambda rest: "file")
    layers.lay((), {}, lambda rest: "file")
    assert layers.values == {"train": {"steps": 1}}
    assert not layers.errors
