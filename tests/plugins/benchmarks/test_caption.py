import numpy as np
import pytest

from spa3d.contracts.benchmark import Prediction, Question
from spa3d.contracts.dataset import CAPTION, Conversation, Dataset, Fact, Record, Round
from spa3d_plugins.benchmarks.caption import Caption

SWORD = "A smooth sword with a white blade, a yellow guard and two purple rings."
FACTS = (
    Fact("category", "", "What is this?", "sword", ("sword", "knife")),
    Fact("texture", "", "Its surface?", "smooth", ()),
    Fact("use", "", "Its use?", "fighting", ()),
    Fact("color", "blade", "The blade?", "white", ()),
    Fact("color", "guard", "The guard?", "yellow", ()),
    Fact("color", "rings", "The rings?", "purple", ()),
    Fact("count", "rings", "How many?", "two", ()),
)


def nothing() -> np.ndarray:
    raise AssertionError("a benchmark reads no cloud")


class Made(Dataset):
    splits = ("test",)

    def __init__(self, *records: Record) -> None:
        super().__init__()
        self.made = records

    def records(self, split: str) -> tuple[Record, ...]:
        return self.made

    def record(self, record_id: str) -> Record:
        return next(record for record in self.made if record.id == record_id)

    def fingerprint(self) -> str:
        return "made"


def record(number: int, caption: str | None, facts: tuple[Fact, ...] = ()) -> Record:
    kind = CAPTION if caption else "multi_round"
    chat = Conversation(kind, (Round("Describe it.", caption or "Yes."),))
    return Record(f"o{number}", f"o{number}", f"g{number}", nothing, (chat,), facts)


def question(caption: str, facts: tuple[Fact, ...] = ()) -> Question:
    return Caption().questions(Made(record(0, caption, facts)), "test", 0)[0]


def test_the_reference_decides_which_facts_are_expected() -> None:
    item = question(SWORD, FACTS)
    assert (item.prompt, item.answer, item.options, item.kind) == ("Describe it.", SWORD, None, "caption")
    assert item.facts == tuple(fact for fact in FACTS if fact.kind != "use")
    assert Caption().score(item, Prediction(SWORD)).value == 1
    assert Caption().chance(item) == 0


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("A smooth sword.", 2),
        ("A rough knife with a white blade, a yellow guard and two purple rings.", 4),
        ("A smooth sword with a yellow blade, a white guard and three purple rings.", 3),
        ("white yellow purple", 0),
        ("It has 2 rings.", 1),
    ],
)
def test_the_value_is_the_share_of_facts_with_their_part(text: str, right: int) -> None:
    assert Caption().score(question(SWORD, FACTS), Prediction(text)).value == pytest.approx(right / 6)


def test_without_facts_the_words_are_compared() -> None:
    item = question("A red chair")
    assert item.facts == ()
    assert Caption().score(item, Prediction("a red table")).value == pytest.approx(0.5)
    # Facts that the reference does not state are not expected either.
    assert Caption().score(question("A thing.", FACTS), Prediction("a thing")).value == 1


def test_answer_without_a_word_is_invalid() -> None:
    for item in (question(SWORD, FACTS), question("A chair.")):
        verdict = Caption().score(item, Prediction(" \n?"))
        assert (verdict.value, verdict.valid) == (0, False)


def test_questions_are_a_keyed_sample_of_captioned_records() -> None:
    data = Made(*(record(i, None if i == 3 else f"Thing {i}.") for i in range(20)))
    assert "o3/caption" not in [item.id for item in Caption().questions(data, "test", 0)]
    some = Caption(limit=5).questions(data, "test", 0)
    assert len(some) == 5
    assert some == Caption(limit=5).questions(data, "test", 0)
    assert some != Caption(limit=5).questions(data, "test", 1)


def test_markup_in_a_caption_is_only_text() -> None:
    item = question("[/red]<script>|")
    assert Caption().score(item, Prediction("[/red]<script>|")).value == 1
