"""Saved answers made by hand: what a run or an evaluation leaves on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

COLORS = ["red", "blue", "black", "white"]


def make_row(name, value, *, view="clean", **more):
    """An answer to a question about a record of the same name."""
    return {
        "id": name, "record": name, "group": name, "kind": "color", "split": "test", "set": "test", "pair": None,
        "prompt": f"What color is {name}?", "options": COLORS, "answer": "red", "view": view,
        "text": "red" if value == 1 else "blue", "value": value, "valid": True, "chance": 0.25,
    } | more  # fmt: skip


def make_rows(values, blind=0, **more):
    """Both views of questions q00, q01, …; `values` are those with the cloud."""
    names = [f"q{number:02d}" for number in range(len(values))]
    rows = [make_row(name, value, **more) for name, value in zip(names, values, strict=True)]
    return rows + [make_row(name, blind, view="blind", **more) for name in names]


@pytest.fixture
def row():
    return make_row


@pytest.fixture
def rows():
    return make_rows


@pytest.fixture
def save(tmp_path: Path):
    """Save answers by file name (``choice.after``) and a report, in a folder of that name."""

    def make(name, files, report=None):
        folder = tmp_path / name
        (folder / "predictions").mkdir(parents=True)
        for file, some in files.items():
            text = "".join(json.dumps(each) + "\n" for each in some)
            (folder / "predictions" / f"{file}.jsonl").write_text(text, encoding="utf-8")
        known = {
            "config": {"seed": 0},
            "passport": {"data": "d1", "seeds": {"run": 0}},
            "decoding": {"options": "logp"},
        }
        (folder / "report.json").write_text(json.dumps(known | (report or {})), encoding="utf-8")
        return folder

    return make
