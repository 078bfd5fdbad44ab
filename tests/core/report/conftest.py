"""Small reports made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from markdown_it import MarkdownIt

from spa3d.report import Example, ReportData, build_document
from spa3d.runtime.rng import keyed_generator

HOSTILE = "[/red]<script>alert(1)</script>| `*_$x$_*` \\ &amp; <img src=x onerror=alert(2)> # 100 % \u202etxt"
CONFIG = {
    "preset": "embedded",
    "seed": 3,
    "encoder": {
        "requested": "pointnext-tiny",
        "component": "pointnext",
        "config": {"inputs": ["xyz", "rgb"], "width": 32},
    },
    "noise": {"requested": "mask", "component": "mask", "config": {"level": 0.25, "patches": None}},
    "objective": {"requested": "spa", "component": "spa", "config": {}},
    "llm_name": "tiny",
    "base": {"seed": 0},
    "train": {"epochs": 1.0, "steps": 0, "batch_size": 32, "learning_rate": 1e-5, "train": ["projector", "llm"]},
}
PASSPORT = {
    "revision": "0123456789abcdef+",
    "versions": {"torch": "2.13.0"},
    "machine": {"device": "cpu", "argv": ["--noise", "mask"]},
}
DATA = {"dataset": "shapes", "splits": {"train": 2000, "test": 400}}


def make_rows(clean: float, blind: float = 0.4, *, records: int = 40, sets=("test", "counterfactual", "flip")):
    """Two questions per record, of two kinds; `clean` and `blind` are the shares that are right."""
    rows = []
    for part in sets:
        for i in range(2 * records):
            kind = ("color", "size")[i % 2]
            luck = keyed_generator("luck", part, i).random(2)
            for view, share, draw in (("clean", clean, luck[0]), ("blind", blind, luck[1])):
                rows.append({
                    "id": f"{part}-{i}", "record": f"r{i // 2}", "kind": kind, "split": "test", "set": part,
                    "pair": f"p{i // 2}" if part == "flip" else None, "prompt": "?", "options": ["red", "blue"],
                    "answer": ("red", "blue")[i // 2 % 2], "view": view, "text": "red", "option_logp": [-1.0, -2.0],
                    "option_lengths": [2, 2], "value": float(draw < share), "valid": True, "chance": 0.5,
                })  # fmt: skip
    return rows


def make_document(before=0.8, after=0.8, **more):
    settings = {"bootstrap": 200, "seed": 0, "timing": {"base": 300.0, "post-train": 41.5}} | more
    settings["metrics"] = [{"warning": text} for text in settings.pop("warnings", ())] + settings.get("metrics", [])
    rows = settings.pop("rows", {"choice": (make_rows(before), make_rows(after))})
    config, passport, data = (settings.pop(name, known) for name, known in
                              (("config", CONFIG), ("passport", PASSPORT), ("data", DATA)))  # fmt: skip
    measured = {name: settings.pop(name) for name in ("bootstrap", "seed", "calibration") if name in settings}
    return build_document(ReportData(config, passport, data, rows, **settings), **measured)


def make_example(text: str = "red", points: int = 300) -> Example:
    cloud = keyed_generator("cloud", points).random((points, 6), dtype=np.float32)
    return Example(text, f"What color? A) {text} B) blue", text, text, text, "blue", cloud, cloud[: points // 2])


METRICS = [
    {"stage": "base.llm", "step": 5, "loss": 5.0}, {"stage": "base.llm", "step": 10, "loss": 3.0},
    {"stage": "post-train", "step": 0, "probe": True, "logp_clean": -0.27, "logp_noised": -0.4, "margin": 1.0},
    {"stage": "post-train", "step": 5, "loss": 0.6, "logp_clean": -0.3, "logp_noised": -0.5, "margin": 1.2},
    {"stage": "post-train", "step": 10, "loss": 0.5, "logp_clean": -0.2, "logp_noised": -0.6, "margin": 1.4},
    {"stage": "post-train", "step": 10, "probe": True, "logp_clean": -0.28, "logp_noised": -0.6, "margin": 1.8},
]  # fmt: skip


@pytest.fixture
def document():
    return make_document


@pytest.fixture
def rows():
    return make_rows


@pytest.fixture
def example():
    return make_example


@pytest.fixture
def metrics():
    return [dict(row) for row in METRICS]


@pytest.fixture
def hostile_text():
    return HOSTILE


@pytest.fixture
def parser():
    return MarkdownIt("commonmark").enable("table").parse
