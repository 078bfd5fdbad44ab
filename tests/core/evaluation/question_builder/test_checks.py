"""Checks by rule, and by an LLM that answers from the caption."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from spa3d.data.question_sources import SourceRecord
from spa3d.evaluation.question_builder.checks import NO_CAPTION, LLMChecker, RuleChecker
from spa3d.evaluation.question_builder.clients import LoggedClient
from spa3d.evaluation.question_builder.contract import Draft, DraftRequest
from spa3d.runtime.progress import SilentReporter

DRAFT = Draft("What is it made of?", "wood", ("metal", "glass", "straw"), "caption", {"wood": ("wooden", "wood")})


class Answers:
    """LLM that answers with the letter of an option, or with a text."""

    def __init__(self, pick: Callable[[str], str]) -> None:
        self.pick, self.prompts = pick, list[str]()

    def ask(self, prompts: Mapping[str, str], parse: Callable, on_result: Callable) -> None:
        for key, prompt in prompts.items():
            self.prompts.append(prompt)
            on_result(key, *parse(key, self.pick(prompt)))


def letter_of(option: str) -> Callable[[str], str]:
    return lambda prompt: re.findall(rf"([A-D])\) {option}", prompt)[0]


def check(checker: LLMChecker | RuleChecker, caption: str) -> str:
    request = DraftRequest(SourceRecord("o", "object", (caption,) if caption else ()), "texture")
    return checker.check({"k": (request, DRAFT)})["k"].why_not


@pytest.mark.parametrize(
    ("caption", "why"),
    [
        ("A wooden chair.", ""),
        ("A chair.", "the caption does not state the answer"),
        ("A wooden chair with metal legs.", "the caption states another option, too"),
        ("", ""),
    ],
)
def test_rule(caption: str, why: str) -> None:
    assert check(RuleChecker(), caption) == why


def test_an_llm_must_pick_the_answer(tmp_path: Path) -> None:
    def ask(pick: Callable[[str], str], name: str) -> str:
        client = LoggedClient(Answers(pick), "llm", tmp_path / name, SilentReporter())
        return check(LLMChecker(client, seed=0, blind=False), "A wooden chair.")

    assert ask(letter_of("wood"), "1") == ""
    assert ask(letter_of("glass"), "2") == "the checker picks another option"
    assert ask(lambda prompt: "none", "3") == "the checker finds no option in the caption"
    assert ask(lambda prompt: "", "4") == "the checker finds no option in the caption"


def test_without_a_caption_nothing_is_asked_except_blind(tmp_path: Path) -> None:
    llm = Answers(letter_of("wood"))
    client = LoggedClient(llm, "llm", tmp_path / "log", SilentReporter())
    request = DraftRequest(SourceRecord("o", "object"), "texture")
    result = LLMChecker(client, seed=0, blind=False).check({"k": (request, DRAFT)})["k"]
    assert (result.why_not, result.made["result"], result.blind_solvable) == ("", NO_CAPTION, None)
    assert llm.prompts == []
    result = LLMChecker(client, seed=0, blind=True).check({"k": (request, DRAFT)})["k"]
    assert result.blind_solvable is True
    assert len(llm.prompts) == 1
    assert "cannot see" in llm.prompts[0]


def test_no_prompt_is_asked_twice(tmp_path: Path) -> None:
    llm = Answers(letter_of("wood"))
    for _ in range(2):
        client = LoggedClient(llm, "llm", tmp_path / "log", SilentReporter())
        assert check(LLMChecker(client, seed=0, blind=False), "A wooden chair.") == ""
    assert len(llm.prompts) == 1
