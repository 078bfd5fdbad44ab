"""Text about an object: its facts, its caption, and conversations drawn from both.

Open questions are answered in a short sentence ("It is red."); a question with options is answered with exactly the
option's text ("red"), because that is how the likelihood of an option is scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spa3d.contracts.dataset import CAPTION, Conversation, Fact, Round
from spa3d.data.questions import append_options, draw_options
from spa3d.runtime.rng import keyed_generator
from spa3d_plugins.datasets.shapes_world.categories import BY_NAME, CATEGORIES, COLORS, TEXTURES, USES
from spa3d_plugins.datasets.shapes_world.category import Part, plural
from spa3d_plugins.datasets.shapes_world.objects import Spec

ROUNDS = 3
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
DESCRIBE = (
    "Describe this object.",
    "What does this object look like?",
    "Give a short description of this object.",
    "What do you see here?",
)
NAMES = tuple(category.name for category in CATEGORIES)


def facts_of(spec: Spec) -> tuple[Fact, ...]:
    """All facts about an object.

    Category, texture, use, the color of each part, the count of each counted part.
    """
    category = BY_NAME[spec.category]
    facts = [
        Fact("category", "", "What is this?", spec.category, NAMES),
        Fact("texture", "", "What is its surface like?", spec.texture, TEXTURES),
        Fact("use", "", "What is it used for?", category.use, USES),
    ]
    for part, color in zip(category.parts, spec.colors, strict=True):
        verb = "are" if plural(part.name) else "is"
        facts.append(Fact("color", part.name, f"What color {verb} the {part.name}?", color, tuple(COLORS)))
    for part, count in zip(category.parts, spec.counts, strict=True):
        if part.counts:
            possible = tuple(NUMBERS[value] for value in part.counts)
            facts.append(Fact("count", part.name, f"How many {part.name} does it have?", NUMBERS[count], possible))
    return tuple(replace(fact, sentence=_sentence(fact)) for fact in facts)


def caption_of(spec: Spec) -> str:
    """One sentence with all facts except the use.

    For example ``A smooth sword with a white blade, a yellow guard and a ...``.
    """
    parts = zip(BY_NAME[spec.category].parts, spec.colors, spec.counts, strict=True)
    *most, last = [_phrase(part, color, count) for part, color, count in parts]
    return f"A {spec.texture} {spec.category} with {', '.join(most)} and {last}."


def conversations_of(
    facts: Sequence[Fact], caption: str, *key: str | int, choice_share: float
) -> tuple[Conversation, ...]:
    """Draw a caption conversation, a single question and three rounds, keyed by `key`.

    `choice_share` of the questions about a fact come with four options.
    """
    stream = keyed_generator(*key, "questions")
    prompt = DESCRIBE[int(stream.integers(len(DESCRIBE)))]
    # The caption is one topic among the facts: None.
    topics: list[Fact | None] = [*facts, None]
    many = [topics[i] for i in stream.permutation(len(topics))[:ROUNDS]]
    single = facts[int(stream.integers(len(facts)))]
    rounds = [_round(topic, caption, stream, choice_share, (*key, i)) for i, topic in enumerate([single, *many])]
    return (
        Conversation(CAPTION, (Round(prompt, caption),)),
        Conversation("single_round", (rounds[0],)),
        Conversation("multi_round", tuple(rounds[1:])),
    )


def _round(
    topic: Fact | None, caption: str, stream: np.random.Generator, choice_share: float, key: tuple[str | int, ...]
) -> Round:
    chance, draw = stream.random(2)
    if topic is None:
        return Round(DESCRIBE[int(draw * len(DESCRIBE))], caption)
    options = draw_options(topic, *key) if chance < choice_share else None
    if options is None:
        return Round(topic.question, topic.full_answer)
    return Round(append_options(topic.question, options), topic.answer)


def _sentence(fact: Fact) -> str:
    if fact.kind == "category":
        return f"{_article(fact.answer)} {fact.answer}.".capitalize()
    if fact.kind == "use":
        return f"It is used for {fact.answer}."
    if fact.kind == "count":
        return f"It has {fact.answer} {_fix_number(fact.subject, fact.answer)}."
    return f"They are {fact.answer}." if plural(fact.subject) else f"It is {fact.answer}."


def _phrase(part: Part, color: str, count: int) -> str:
    if part.counts:
        return f"{NUMBERS[count]} {color} {_fix_number(part.name, NUMBERS[count])}"
    return f"{color} {part.name}" if plural(part.name) else f"{_article(color)} {color} {part.name}"


def _fix_number(parts: str, count: str) -> str:
    return parts.removesuffix("s") if count == "one" else parts


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
