"""Questions about a scene by rule: things at places, and places of things."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spa3d.evaluation.question_builder.caption_rules import Statement, is_plural
from spa3d.evaluation.question_builder.lexicon import RELATION_WORDS, RELATIONS

PLACED = {other: relation for relation, others in RELATION_WORDS.items() for other in (relation, *others)}
"""Words for a position → the position."""
_PLACES = "|".join(sorted(map(re.escape, PLACED), key=len, reverse=True))
_THING = r"(?:a|an|the|one|two|three|four|some|several) (?:[a-z][\w-]* ){0,2}?[a-z][\w-]*"
_SENTENCE = re.compile(
    rf"\b(?P<thing>{_THING}),? (?:(?:which|that) )?(?:(?:is|are|stands?|sits?|lies?|hangs?|located|placed|positioned|"
    rf"situated|standing|sitting|lying|hanging|directly|right) )*(?P<position>{_PLACES}) (?P<other>{_THING})"
    r"(?=[.,;]| (?:and|with|that|which|in the room|in the)\b|$)",
    re.IGNORECASE,
)
_PLACE = "place of "
_DETERMINER = re.compile(r"^(?:a|an|the|one|two|three|four|some|several) ", re.IGNORECASE)


def find_scene_statements(caption: str, category: str) -> Iterator[Statement]:
    """Find the statements of a category in the sentences of a scene's caption."""
    for match in _SENTENCE.finditer(caption):
        position = PLACED[match["position"].lower()]
        thing, other = (_DETERMINER.sub("", match[name].lower()) for name in ("thing", "other"))
        verb = "are" if is_plural(thing) else "is"
        if category == "grounding":
            yield Statement(f"What {verb} {position} the {other}?", thing, "thing", (thing,))
        elif category == "relation":
            evidence = tuple(f"{word} {match['other']}" for word in (position, *RELATION_WORDS[position]))
            yield Statement(f"Where {verb} the {thing}, seen from the {other}?", position, f"{_PLACE}{other}", evidence)


def list_other_places(statement: Statement) -> list[Statement]:
    """List the places where a thing is not if it is where the statement says."""
    family, other = statement.family, statement.family.removeprefix(_PLACE)
    return [
        Statement("", position, family, tuple(f"{word} the {other}" for word in (position, *RELATION_WORDS[position])))
        for position in RELATIONS[statement.answer]
    ]
