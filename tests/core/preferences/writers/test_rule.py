from collections import Counter
from typing import Any

import numpy as np
import pytest

import spa3d
from spa3d.contracts.dataset import Fact, Record
from spa3d.data.questions import append_options, split_options
from spa3d.metrics.text_matching import asserts_fact
from spa3d.preferences.writers.contract import RewriteRequest
from spa3d.preferences.writers.rule import RuleWriter

COLORS = ("red", "orange", "white", "purple", "black", "gray")
SWORD = (
    Fact("category", "", "What is this?", "sword", ("sword", "long sword", "airplane")),
    Fact("color", "blade", "What color is the blade?", "white", COLORS),
    Fact("color", "grip", "What color is the grip?", "purple", COLORS),
    Fact("count", "gems", "How many gems does it have?", "one", ("one", "two")),
)
CAPTION = "A sword with a white blade, a purple grip and one gem."


def request(question: str, answer: str, facts: tuple[Fact, ...] = SWORD) -> RewriteRequest:
    def no_cloud() -> np.ndarray:
        raise AssertionError("a rule needs no cloud")

    record = Record(id="r", object_id="r", group="r", load=no_cloud, conversations=(), facts=facts)
    return RewriteRequest(f"{question}|{answer}", question, answer, record)


class Nothing:
    """A dataset whose other records tell no value."""

    splits = ("train",)

    def records(self, split: str) -> list[Record]:
        return []


def rewrite_with_seed(rewrite_request: RewriteRequest, seed: int = 0, dataset: Any = None) -> str | None:
    return RuleWriter(dataset or Nothing(), seed=seed).rewrite_answer(rewrite_request)


def rewrites(question: str, answer: str, facts: tuple[Fact, ...] = SWORD) -> set[str | None]:
    rewrite_request = request(question, answer, facts)
    return {rewrite_with_seed(rewrite_request, seed) for seed in range(60)}


def test_a_caption_gets_one_stated_fact_changed() -> None:
    other = ("red", "orange", "black", "gray")
    blades = {f"A sword with {'an' if c == 'orange' else 'a'} {c} blade, a purple grip" for c in (*other, "purple")}
    grips = {f"A sword with a white blade, {'an' if c == 'orange' else 'a'} {c} grip" for c in (*other, "white")}
    assert rewrites("Describe this.", CAPTION) == {
        *(f"{text} and one gem." for text in blades | grips),
        "An airplane with a white blade, a purple grip and one gem.",
        "A sword with a white blade, a purple grip and two gems.",
    }


def test_an_answer_to_a_question_about_a_fact_states_another_value_of_it() -> None:
    assert rewrites("What color is the blade?", "It is white.") == {
        f"It is {color}." for color in COLORS if color != "white"
    }
    assert rewrites("How many gems does it have?", "It has one gem.") == {"It has two gems."}
    assert rewrites("How many gems does it have?", "One.") == {"Two."}


def test_a_wider_or_narrower_name_is_no_wrong_answer() -> None:
    assert rewrites("What is this?", "A sword.") == {"An airplane."}


def test_of_the_whole_object_another_true_value_is_not_false() -> None:
    facts = (
        Fact("color", "", "What color is it?", "red", ("red", "white", "black")),
        Fact("color", "lid", "What color is the lid?", "white", ("red", "white", "black")),
    )
    assert rewrites("What colors has it?", "It is red.", facts) == {"It is black."}
    assert rewrites("What color is the lid?", "It is white.", facts) == {"It is black."}


def test_every_place_that_states_the_fact_is_changed() -> None:
    facts = (Fact("color", "", "Main color?", "red", ("red", "tan", "white", "gray")),)
    assert rewrites("What is this?", "A bag, mostly red, dark red and gray.", facts) == {
        "A bag, mostly tan, dark tan and gray."
    }


def test_a_verb_that_would_not_agree_stays_away() -> None:
    facts = (Fact("count", "legs", "How many legs?", "four", ("one", "four", "five")),)
    assert rewrites("Tell me.", "There are four legs.", facts) == {"There are five legs."}
    assert rewrites("Tell me.", "It has four legs.", facts) == {"It has five legs.", "It has one leg."}


def test_rewrite_avoids_bad_word_combinations() -> None:
    color = (Fact("color", "", "Main color?", "red", ("red", "white", "tan", "gray")),)
    assert rewrites("Tell me.", "Mostly dark red.", color) == {"Mostly dark tan.", "Mostly dark gray."}
    assert rewrites("Tell me.", "A slate blue-red bag.", color) == {None}
    kind = (Fact("category", "", "What is this?", "cup", ("cup", "stairs", "egg")),)
    assert rewrites("Tell me.", "A model of a tin cup.", kind) == {"A model of a tin egg."}
    assert rewrites("Tell me.", "A cup, red.", kind) == {"An egg, red."}


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("white", {"red", "black"}),
        ("It is white.", {"It is red.", "It is black."}),
        ("C", {"A", "B"}),
        ("(C)", {"(A)", "(B)"}),
        ("C) white", {"A) red", "B) black"}),
    ],
)
def test_with_options_in_the_question_the_wrong_answer_is_one_of_them(answer: str, wrong: set[str]) -> None:
    question = append_options("What color is the blade?", ("red", "black", "white"))
    assert rewrites(question, answer) == wrong
    assert rewrites(question, answer, ()) == wrong, "the shown options tell what is false where no fact is known"


def test_rewrite_answer_finds_shown_options() -> None:
    assert split_options(append_options("What is it?", ("a tin can", "B-side", "cup"))) == (
        "What is it?",
        {"A": "a tin can", "B": "B-side", "C": "cup"},
    )
    assert split_options("What is it? (see A) or so") == ("What is it? (see A) or so", {})


def test_rewrite_of_an_answer_without_facts_gives_the_reason() -> None:
    results: dict[str, tuple[str | None, str]] = {}
    unknown, silent = request("What is this?", "A shield.", ()), request("What is this?", "A thing of beauty.")
    RuleWriter(Nothing(), seed=0).rewrite([unknown, silent], lambda key, text, why: results.update({key: (text, why)}))  # type: ignore[arg-type]
    assert results[unknown.key][0] is None
    assert "no facts" in results[unknown.key][1]
    assert results[silent.key][0] is None
    assert "states no fact" in results[silent.key][1]


def test_a_value_too_rare_to_be_an_option_takes_what_others_have() -> None:
    class Others(Nothing):
        def records(self, split: str) -> list[Record]:
            return [request("", "", (Fact("category", "", "?", "cup", ("cup", "storage tank lid")),)).record]

    rare = request("What is this?", "A tank.", (Fact("category", "", "?", "tank", ("tank",)),))
    assert rewrite_with_seed(rare) is None
    assert rewrite_with_seed(rare, dataset=Others()) == "A cup."


def test_draws_depend_on_seed_and_texts_alone() -> None:
    first, second = request("Describe this.", CAPTION), request("Describe this.", CAPTION)
    assert rewrite_with_seed(first, 3) == rewrite_with_seed(second, 3)
    assert len({rewrite_with_seed(first, seed) for seed in range(9)}) > 1


def test_in_the_shapes_world_every_answer_gets_a_false_version() -> None:
    dataset = spa3d.create("dataset", "shapes")
    writer, kinds = RuleWriter(dataset, seed=0), Counter[str]()
    for record in dataset.records("train")[:100]:
        subjects = {fact.subject for fact in record.facts}
        for conversation in dataset.conversations(record, 0):
            for part in conversation.rounds:
                text = writer.rewrite_answer(RewriteRequest("", part.question, part.answer, record))
                assert text is not None
                assert text != part.answer
                lost = [
                    fact
                    for fact in record.facts
                    if asserts_fact(part.answer, fact, subjects) and not asserts_fact(text, fact, subjects)
                ]
                if conversation.kind == "simple_description":
                    assert len(lost) == 1, (part.answer, text)
                    kinds[lost[0].kind] += 1
    assert set(kinds) == {"category", "texture", "color", "count"}
