"""Builds of questions from files, through a scripted endpoint, and by a random local LM."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from spa3d.config.settings import LLMSettings
from spa3d.data.option_questions import read_option_questions
from spa3d.errors import ConfigError, DataError, OutputError
from spa3d.llm_clients.endpoint import EndpointError, Patience
from spa3d.model.llm import make_llm
from spa3d.pipeline.build_questions import build_questions
from spa3d.pipeline.build_request import BuildSettings, WriterChoice

COLORS = ("red", "blue", "green", "white", "black", "yellow", "pink", "brown")
QUICK = Patience(timeout=5, pause=0, tries=2, workers=1)
WRITE, CHECK, BLIND = "Below is a description", "Answer the question from", "Answer the question about"


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """Eight captions; "number i?" tells the scripted endpoint which one it is."""
    path = tmp_path / "captions.json"
    content = {f"o{i}": f"A thing, mostly {color}, number {i}?" for i, color in enumerate(COLORS)}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


class Script:
    """Replies of an endpoint: `bad` by number of the caption, else a good question or letter."""

    def __init__(self, chat_server: Any, bad: dict[int, Any] | None = None) -> None:
        self.server = chat_server(self.reply)
        self.chat, self.bad = chat_server.chat, bad or {}

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][0]["content"] for _, _, body in self.server.heard]

    def reply(self, number: int, time: int) -> Any:
        prompt = self.prompts[-1]
        if not prompt.startswith(WRITE):
            letters = re.findall(rf"([A-D])\) {COLORS[number].capitalize()}", prompt)
            return self.chat(letters[0] if letters else "none")
        bad = self.bad.get(number)
        if bad is not None:
            return bad if isinstance(bad, tuple) else self.chat(bad)
        options = [COLORS[(number + step) % 8].capitalize() for step in range(4)]
        return self.chat(
            json.dumps({"question": f"Color of number {number}?", "options": options, "answer": options[0]})
        )


def endpoint(url: str, **other: Any) -> BuildSettings:
    choice = WriterChoice("endpoint", url=url, model="m")
    return BuildSettings(**{"counts": {"color": 8}, "writer": choice, "patience": QUICK, "attempts": 1, **other})


def test_replies_of_an_endpoint_are_checked_one_by_one(chat_server: Any, captions: Path, tmp_path: Path) -> None:
    html = 200, {"Content-Type": "text/html"}, "<html>busy</html>"
    double = json.dumps({"question": "Which, number 3?", "options": ["a", "A", "b", "c"], "answer": "a"})
    false = json.dumps({"question": "Which, number 4?", "options": ["Tan", "Teal", "Gray", "Lime"], "answer": "Tan"})
    script = Script(chat_server, {0: html, 1: "", 2: '{"question": ', 3: double, 4: false, 5: '{"question": null}'})
    output = tmp_path / "q.jsonl"
    with script.server.serve() as url:
        built = build_questions(output, sources=[captions], settings=endpoint(url))
    assert sorted(question.source for question in built.questions) == ["o6", "o7"]
    assert read_option_questions(output) == list(built.questions)
    refused = built.counts["color"].refused
    assert sorted(refused.values()) == [1] * 6
    text = " ".join(refused)
    for why in (
        "no chat completion",
        "empty",
        "broken JSON",
        "options are the same",
        "finds no option",
        "tells nothing",
    ):
        assert why in text
    made = built.questions[0].provenance
    assert (made["writer"], made["check"]["checker"]) == ("endpoint:m", "endpoint:m")
    assert len(made["prompt"]) == len(made["check"]["prompt"]) == 16
    report = json.loads((tmp_path / "q.report.json").read_text(encoding="utf-8"))
    assert report["counts"]["color"]["refused"] == refused
    assert report["hygiene"]["color"]["questions"] == 2
    assert "| color | 8 | 2 | 8 | 8 |" in (tmp_path / "q.report.md").read_text(encoding="utf-8")


def test_nothing_is_asked_twice(chat_server: Any, captions: Path) -> None:
    script = Script(chat_server, {1: ""})
    with script.server.serve() as url:
        first = build_questions(None, sources=[captions], settings=endpoint(url))
        requests = len(script.prompts)
        again = build_questions(None, sources=[captions], settings=endpoint(url))
        assert len(script.prompts) == requests
        fewer = build_questions(None, sources=[captions], settings=endpoint(url, counts={"color": 3}, seed=1))
    assert again.questions == first.questions
    assert len(fewer.questions) >= 2
    assert sum(prompt.startswith(WRITE) for prompt in script.prompts) == 9  # the empty reply was asked for twice


def test_after_a_failure_the_same_command_continues(chat_server: Any, captions: Path) -> None:
    script = Script(chat_server, {number: chat_server.fails(500) for number in range(4)})
    with script.server.serve() as url:
        with pytest.raises(EndpointError, match="the same command goes on with the rest"):
            build_questions(None, sources=[captions], settings=endpoint(url))
        kept = [number for number in script.server.requested if number >= 4]
        script.bad.clear()
        script.server.heard.clear()
        built = build_questions(None, sources=[captions], settings=endpoint(url))
    written = [prompt for prompt in script.prompts if prompt.startswith(WRITE)]
    assert len(built.questions) == 8
    assert len(written) == 8 - len(kept)


def test_a_rule_may_write_and_an_endpoint_check_and_guess(chat_server: Any, tmp_path: Path) -> None:
    path = tmp_path / "captions.json"
    content = {f"o{i}": f"A thing number {i}? It is mostly {color}." for i, color in enumerate(COLORS)}
    path.write_text(json.dumps(content), encoding="utf-8")

    def reply(number: int, time: int) -> Any:
        prompt = server.heard[-1][2]["messages"][0]["content"]
        return chat_server.chat(re.findall(rf"([A-D])\) {COLORS[number]}", prompt)[0])

    server = chat_server(reply)
    with server.serve() as url:
        checker = WriterChoice("endpoint", url=url, model="m", prefix="--check-")
        settings = BuildSettings(counts={"color": 4}, checker=checker, patience=QUICK)
        built = build_questions(None, sources=[path], settings=settings)
    assert {question.provenance["check"]["result"] for question in built.questions} == {"picked"}
    assert all(body["messages"][0]["content"].startswith(CHECK) for _, _, body in server.heard)
    assert {question.blind_solvable for question in built.questions} == {None}


def test_a_local_lm_of_random_weights_writes_nothing_of_use(captions: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = LLMSettings(hidden_size=32, layers=1, heads=2, intermediate_size=32, vocab_size=400, max_length=2048)
    llm, tokenizer, _ = make_llm(settings, lambda: iter(["a red chair with four legs"] * 3))
    for part in (llm, tokenizer):
        part.save_pretrained(tmp_path / "lm")
    local = WriterChoice("local", llm=str(tmp_path / "lm"))
    with pytest.raises(DataError) as caught:
        build_questions(
            tmp_path / "q.jsonl",
            sources=[captions],
            settings=BuildSettings(counts={"color": 2}, writer=local, attempts=1, device="cpu"),
        )
    assert "color: 0 of 2 made; 2 of 8 possible ones tried; 2 refused: " in str(caught.value)
    assert "no question could be made" in str(caught.value)
    assert not (tmp_path / "q.jsonl").exists()
    logs = [*(tmp_path / "bases" / ".replies").iterdir()]
    assert len(logs[0].read_text(encoding="utf-8").splitlines()) == 2


def test_files_are_joined_with_a_dataset_by_record(toy_dataset: Any, tmp_path: Path) -> None:
    path = tmp_path / "qa.json"
    entries = [
        {"object_id": name, "question": "What color is it?", "answer": color, "question_id": f"q-{name}"}
        for name, color in zip(["test-0", "test-1", "test-2", "test-3", "other"], COLORS, strict=False)
    ]
    path.write_text(json.dumps(entries), encoding="utf-8")
    settings = BuildSettings(counts={"color": 9})
    with pytest.raises(DataError) as caught:  # the captions of the dataset do not state the colors
        build_questions(None, dataset=toy_dataset, sources=[path], settings=settings)
    assert "4 refused: the caption does not state the answer" in str(caught.value)
    assert "1 of the 5 records in the files are not in split test" in str(caught.value)
    alone = build_questions(None, sources=[path], settings=settings)
    assert {question.provenance["check"]["result"] for question in alone.questions} == {"no caption"}
    assert len(alone.questions) == 5


def test_wrong_settings_are_refused_together(captions: Path, tmp_path: Path) -> None:
    settings = BuildSettings(
        counts={"colour": 3}, writer=WriterChoice("endpoint", llm="x"), checker=WriterChoice("rule", url="http://x")
    )
    with pytest.raises(ConfigError) as caught:
        build_questions(None, settings=settings)
    text = str(caught.value)
    for part in (
        "no category 'colour'",
        "--writer endpoint needs --url",
        "--writer endpoint needs --model",
        "--llm: no effect with --writer endpoint",
        "url: no effect with",
        "nothing to make questions from: give --source FILE, or --dataset NAME",
    ):
        assert part in text
    (tmp_path / "old.jsonl").touch()
    for output, why in (("old.jsonl", "there is one already"), ("no/q.jsonl", "there is no folder"), ("", "a folder")):
        with pytest.raises(OutputError, match=why):
            build_questions(tmp_path / output, sources=[captions])
