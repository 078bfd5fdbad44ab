import pytest

from spa3d.contracts.dataset import CAPTION, Fact
from spa3d_plugins.datasets.shapes_world.objects import Spec
from spa3d_plugins.datasets.shapes_world.text import caption_of, conversations_of, facts_of

SWORD = Spec("sword", ("white", "yellow", "orange"), (0, 0, 0), "smooth")
CHAIR = Spec("chair", ("red", "blue", "black"), (0, 0, 5), "striped")
PLANE = Spec("airplane", ("white", "green", "orange"), (0, 0, 1), "rough")


@pytest.mark.parametrize(
    ("spec", "caption"),
    [
        (SWORD, "A smooth sword with a white blade, a yellow guard and an orange grip."),
        (CHAIR, "A striped chair with a red seat, a blue back and five black legs."),
        (PLANE, "A rough airplane with a white fuselage, green wings and one orange engine."),
    ],
)
def test_captions(spec: Spec, caption: str) -> None:
    assert caption_of(spec) == caption


def test_facts() -> None:
    facts = [(fact.kind, fact.subject, fact.question, fact.answer) for fact in facts_of(CHAIR)]
    assert facts == [
        ("category", "", "What is this?", "chair"),
        ("texture", "", "What is its surface like?", "striped"),
        ("use", "", "What is it used for?", "sitting"),
        ("color", "seat", "What color is the seat?", "red"),
        ("color", "back", "What color is the back?", "blue"),
        ("color", "legs", "What color are the legs?", "black"),
        ("count", "legs", "How many legs does it have?", "five"),
    ]
    assert facts_of(CHAIR)[-1].options == ("three", "four", "five", "six")


def answers(spec: Spec, share: float) -> dict[str, set[str]]:
    """Everything that is answered to each question, over many conversations."""
    result: dict[str, set[str]] = {}
    for number in range(200):
        for conversation in conversations_of(facts_of(spec), caption_of(spec), "test", number, choice_share=share):
            for turn in conversation.rounds:
                result.setdefault(turn.question.split(" A) ")[0], set()).add(turn.answer)
    return result


def test_open_questions_are_answered_in_a_sentence() -> None:
    result = answers(PLANE, 0.0)
    assert {question: one for question, (one,) in result.items()} == {
        "Describe this object.": caption_of(PLANE),
        "What does this object look like?": caption_of(PLANE),
        "Give a short description of this object.": caption_of(PLANE),
        "What do you see here?": caption_of(PLANE),
        "What is this?": "An airplane.",
        "What is its surface like?": "It is rough.",
        "What is it used for?": "It is used for traveling.",
        "What color is the fuselage?": "It is white.",
        "What color are the wings?": "They are green.",
        "What color are the engines?": "They are orange.",
        "How many engines does it have?": "It has one engine.",
    }
    assert answers(CHAIR, 0.0)["How many legs does it have?"] == {"It has five legs."}


def test_questions_with_options_are_answered_with_the_option() -> None:
    result = answers(PLANE, 1.0)
    for fact in facts_of(PLANE):
        assert result[fact.question] == {fact.answer}


def test_a_conversation_is_a_caption_a_question_and_three_different_rounds() -> None:
    for number in range(50):
        conversations = conversations_of(facts_of(SWORD), caption_of(SWORD), number, choice_share=0.5)
        assert [(conversation.kind, len(conversation.rounds)) for conversation in conversations] == [
            (CAPTION, 1),
            ("single_round", 1),
            ("multi_round", 3),
        ]
        assert len({turn.question.split(" A) ")[0] for turn in conversations[2].rounds}) == 3
    assert conversations == conversations_of(facts_of(SWORD), caption_of(SWORD), number, choice_share=0.5)


def test_a_fact_with_too_few_options_is_asked_openly() -> None:
    lonely = (Fact("color", "lid", "What color is the lid?", "red", ("red", "blue")),) * 3
    conversations = conversations_of(lonely, "A lid.", "key", choice_share=1.0)
    assert all(" A) " not in turn.question for conversation in conversations for turn in conversation.rounds)
