"""Paths that lead nowhere, clouds and texts that are damaged, and full or read-only disks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spa3d.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
PAIRS = ("--objective", "dpo")


def make_place(kind: str) -> str:
    """Make something that is no file of any use, and return its path."""
    path = Path("location")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "dead link":
        path.symlink_to("nowhere")
    elif kind == "empty file":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "below a file":
        path.touch()
        return "location/x"
    elif kind == "long name":
        return "x" * 300
    elif kind == "long path":
        return "x/" * 3000
    elif kind == "nul":
        return "a\0b"
    elif kind == "device":
        return "/dev/zero"
    return str(path)


PLACES = (
    *("pipe", "loop", "dead link", "empty file", "folder", "below a file", "missing"),
    *("long name", "long path", "nul", "device"),
)
USES = {
    "config": ("--config", "PLACE"),
    "registry": ("--registry", "PLACE"),
    "plugin": ("--plugin", "PLACE"),
    "base": ("--base", "PLACE"),
    "llm": ("--llm", "PLACE"),
    "checkpoint": ("--encoder.checkpoint", "PLACE"),
    "pairs": (*PAIRS, "--pairs.path", "PLACE"),
    "writer": (*PAIRS, "--pairs.mode", "corruption", "--pairs.writer", "model", "--pairs.llm", "PLACE"),
    "dataset": ("--dataset", "pointllm", "--dataset.root", "PLACE"),
    "folder": ("--dataset", "folder", "--dataset.root", "PLACE"),
}


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("use", USES)
def test_run_refuses_a_path(refuse_run: Callable[..., str], use: str, kind: str) -> None:
    if (use, kind) == ("config", "empty file"):
        pytest.skip("an empty file sets nothing")
    location = make_place(kind)
    refuse_run(*(location if word == "PLACE" else word for word in USES[use]))


@pytest.mark.parametrize("kind", ["pipe", "loop", "below a file", "long name", "long path", "nul", "device"])
@pytest.mark.parametrize(
    "argv",
    [
        ("run", "--preset", "smoke", "--output", "PLACE"),
        ("compare", "--preset", "smoke", "--objectives", "sft", "--output", "PLACE"),
        ("pairs", "PLACE", "--preset", "smoke", "--pairs.mode", "corruption"),
        ("preview", "dataset", "PLACE.png", "--preset", "smoke"),
        ("preview", "noise", "PLACE/x.png", "--preset", "smoke"),
    ],
    ids=lambda argv: " ".join(argv[:2]),
)
def test_verb_refuses_an_output(refuse: Callable[..., str], argv: tuple[str, ...], kind: str) -> None:
    if (argv[0] == "preview" and kind in ("pipe", "loop", "device")) or (argv[0], kind) == ("pairs", "loop"):
        pytest.skip("that is a name that can be written")
    location = make_place(kind)
    refuse(*(word.replace("PLACE", location) for word in argv), messages=2)


def npy(fields: object, body: bytes = b"") -> bytes:
    header = (fields if isinstance(fields, str) else repr(fields)).encode("latin-1")
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


def shape(value: object, descr: object = "<f4", fortran: object = False) -> bytes:
    return npy({"descr": descr, "fortran_order": fortran, "shape": value}, bytes(128 * 24))


def array(value: Any) -> bytes:
    return shape(value.shape, value.dtype.str)[: -128 * 24] + value.tobytes()


POINTS = np.random.default_rng(0).random((128, 6)).astype(np.float32)


def with_value(value: float, column: int = 0) -> bytes:
    points = POINTS.copy()
    points[5, column] = value
    return array(points)


CLOUDS = {
    "empty": b"",
    "text": b"hello",
    "html": b"<!DOCTYPE html><html></html>",
    "pickle": b"\x80\x04N.",
    "zip": b"PK\x03\x04",
    "magic only": b"\x93NUMPY",
    "long header": b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    "cut header": npy("{'descr': '<f4'")[:-5],
    "no keys": npy({}),
    "list": npy([]),
    "code": npy("__import__('os').system('id')"),
    "deep": npy("[" * 5000),
    "true": shape((True, 6)),
    "negative": shape((-1, 6)),
    "huge": shape((10**12, 6)),
    "larger": shape((10**30, 6)),
    "float": shape((128.0, 6)),
    "flat": shape((768,)),
    "three": shape((1, 128, 6)),
    "seven": shape((128, 7)),
    "none": shape(None),
    "zero": shape((0, 6)),
    "text shape": shape("128"),
    "object": shape((128, 6), "|O"),
    "int": shape((128, 6), "<i8"),
    "complex": shape((128, 6), "<c8"),
    "record": shape((128, 6), [("x", "<f4")]),
    "descr": shape((128, 6), 3),
    "truncated": array(POINTS)[:-1],
    "nan": with_value(float("nan")),
    "inf": with_value(float("inf")),
    "color": with_value(2.0, 4),
    "nan color": with_value(float("nan"), 3),
    "one point": array(np.zeros((1, 6), np.float32)),
    "same points": array(np.zeros((128, 6), np.float32)),
    "no color": array(POINTS[:, :3].copy()),
}
DATA = ("--dataset", "pointllm", "--dataset.root", "data", "--objective", "sft", "--points.count", "64")


@pytest.mark.parametrize("content", CLOUDS.values(), ids=CLOUDS)
def test_preview_refuses_a_cloud(refuse: Callable[..., str], folder: Callable[[str], Path], content: bytes) -> None:
    (folder("data") / "8192_npy" / "test2_8192.npy").write_bytes(content)
    argv = ("preview", "dataset", "x.png", "--count", "6", *DATA[:4])
    assert "test2" in refuse(*argv, messages=2)


def test_preview_refuses_a_cloud_larger_than_memory(refuse: Callable[..., str], folder: Callable[[str], Path]) -> None:
    path = folder("data") / "8192_npy" / "test2_8192.npy"
    path.write_bytes(shape((10**9, 6)))
    os.truncate(path, 24 * 10**9 + 1000)
    assert "test2" in refuse("preview", "dataset", "x.png", "--count", "6", *DATA[:4], messages=2)


def test_preview_draws_the_largest_coordinates(
    folder: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder("data") / "8192_npy" / "test2_8192.npy").write_bytes(with_value(3e38))
    assert main(("preview", "dataset", "x.png", "--count", "6", *DATA[:4])) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["loop", "dead link", "pipe", "folder"])
def test_run_refuses_a_cloud_that_is_no_file(
    refuse_run: Callable[..., str], folder: Callable[[str], Path], kind: str
) -> None:
    path = folder("data") / "8192_npy" / "train3_8192.npy"
    path.unlink()
    Path(make_place(kind)).rename(path)
    if kind == "loop":
        path.unlink()
        path.symlink_to(path)
    assert "train3" in refuse_run(*DATA, messages=2)


def entry(**values: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": "<point>\nWhat?"}, {"from": "gpt", "value": "A chair."}]
    return {"object_id": "train0", "conversation_type": "simple_description", "conversations": turns, **values}


def turns(*values: Any) -> dict[str, Any]:
    names = ("human", "gpt")
    return entry(conversations=[{"from": names[n % 2], "value": value} for n, value in enumerate(values)])


ANNOTATIONS = {
    "empty": "",
    "object": "{}",
    "number": "3",
    "no entries": "[]",
    "open": '[{"object_id": "a"',
    "deep": "[" * 100_000,
    "deep entry": '[{"object_id": "train0", "conversations": ' + "[" * 100_000 + "]" * 100_000 + "}]",
    "html": "<html>",
    "nan": "[NaN]",
    "null": "[null]",
    "text entry": '["x"]',
    "long number": f"[{'9' * 5000}]",
    "no id": json.dumps([{"conversations": []}]),
    "number id": json.dumps([entry(object_id=3)]),
    "empty id": json.dumps([entry(object_id="")]),
    "long id": json.dumps([entry(object_id="x" * 5000)]),
    "path id": json.dumps([entry(object_id="../../etc/passwd")]),
    "nul id": json.dumps([entry(object_id="a\0b")]),
    "escape id": json.dumps([entry(object_id="\x1b[2J\u202e")]),
    "unknown id": json.dumps([entry(object_id="nobody")]),
    "held out": json.dumps([entry(object_id="test1")]),
    "no turns": json.dumps([entry(conversations=[])]),
    "text turns": json.dumps([entry(conversations="x")]),
    "null turn": json.dumps([entry(conversations=[None])]),
    "one turn": json.dumps([turns("<point>\nWhat?")]),
    "no point": json.dumps([turns("What?", "A chair.")]),
    "two points": json.dumps([turns("<point><point>\nWhat?", "A chair.")]),
    "late point": json.dumps([turns("What?", "A", "<point> and?", "B")]),
    "empty answer": json.dumps([turns("<point>\nWhat?", "")]),
    "number answer": json.dumps([turns("<point>\nWhat?", 3)]),
    "long value": json.dumps([turns("<point>\n" + "x" * 10_000)]),
    "wrong speaker": json.dumps([entry(conversations=[{"from": "robot", "value": "<point>\nWhat?"}] * 2)]),
    "type": json.dumps([entry(conversation_type=["x"])]),
    "misspelled": json.dumps([{"object_id": "train0", "conversation": []}]),
    "end token": json.dumps([turns("<point>\nWhat?", "A </s> chair.")]),
    "point token": json.dumps([turns("<point>\nWhat is <point_patch>?", "A chair.")]),
}


@pytest.mark.parametrize("content", ANNOTATIONS.values(), ids=ANNOTATIONS)
def test_run_refuses_annotations(refuse_run: Callable[..., str], folder: Callable[[str], Path], content: str) -> None:
    (folder("data") / "anno_data" / "x_train.json").write_text(content)
    refuse_run(*DATA, messages=21)


FACTS = {
    "category": {"catgory": "chair"},
    "blank": {"category": "   "},
    "number": {"category": 3},
    "special": {"category": "</s> chair"},
    "group": {"group": ["x"]},
    "bool": {"has_color": "yes"},
}


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_run_refuses_facts(
    refuse_run: Callable[..., str], folder: Callable[[str], Path], facts: dict[str, Any]
) -> None:
    (folder("data") / "anno_data" / "facts_test.json").write_text(json.dumps([{"object_id": "test0", **facts}]))
    refuse_run(*DATA, messages=2)


def pair(**values: Any) -> str:
    return json.dumps({"record": "train0", "question": "What?", "chosen": "A", "rejected": "B", **values})


LINES = {
    "empty": "",
    "blank": "\n\n",
    "text": "hello",
    "open": '{"record": ',
    "list": "[]",
    "null": "null",
    "deep": "[" * 100_000,
    "long number": "9" * 5000,
    "no keys": "{}",
    "number": pair(chosen=3),
    "blank answer": pair(chosen=" "),
    "same": pair(chosen="b"),
    "unknown": pair(record="nobody"),
    "long record": pair(record="x" * 5000),
    "misspelled": pair(chosn="x").replace('"chosen"', '"x"'),
    "flag": pair(has_cloud="yes"),
    "made": pair(made=3),
    "special": pair(chosen="</s>"),
    "utf16": pair().encode("utf-16").decode("latin-1"),
    "nul": "\0",
}


@pytest.mark.parametrize("content", LINES.values(), ids=LINES)
def test_run_refuses_pairs(refuse_run: Callable[..., str], folder: Callable[[str], Path], content: str) -> None:
    folder("data")
    Path("pairs.jsonl").write_text(content, encoding="latin-1")
    refuse_run(*DATA[:4], "--points.count", "64", *PAIRS, "--pairs.path", "pairs.jsonl")
