import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from spa3d.contracts.benchmark import Prediction, Question
from spa3d.contracts.dataset import CAPTION, Conversation, Dataset, Fact, Record, Round
from spa3d.errors import ConfigError
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


COLORS = ("red", "blue", "light blue", "white")
SEEN = (
    Fact("category", "", "What is this?", "chair", ("chair", "table")),
    Fact("color", "seat", "The seat?", "light blue", COLORS),
    Fact("color", "legs", "The legs?", "red", COLORS),
)


@pytest.mark.parametrize(
    ("text", "value", "false"),
    [
        ("A chair with a light blue seat and red legs.", 1.0, 0.0),  # blue alone is not stated
        ("A table with a light blue seat and red legs.", 2 / 3, 1 / 3),
        ("A chair with a blue seat and white legs.", 1 / 3, 2 / 3),
        ("A chair with red, white legs.", 1 / 3, 1 / 2),  # a comma ends a phrase
        ("A chair with red white legs.", 2 / 3, 1 / 3),  # two colors, one of them false
        ("A chair.", 1 / 3, 0.0),
    ],
)
def test_score_measures_false_facts(text: str, value: float, false: float) -> None:
    item = question("A chair with a light blue seat and red legs.", SEEN)
    verdict = Caption().score(item, Prediction(text))
    assert verdict.value == pytest.approx(value)
    assert verdict.measures["false_facts"] == pytest.approx(false)


def test_score_measures_nothing_where_no_fact_is_stated() -> None:
    assert Caption().score(question("A red chair.", SEEN), Prediction("Something nice.")).measures == {}


def test_questions_have_pinned_prompts_by_name() -> None:
    data = Made(record(0, "A red chair."))
    texts = {"": "Describe it.", "detail": "Caption this 3D model in detail.", "What is it, in short?": None}
    ids = set()
    for prompt, expected in texts.items():
        item = Caption(prompt=prompt).questions(data, "test", 0)[0]
        assert item.prompt == (expected or prompt)
        ids.add(item.id)
    assert "20 words" in Caption(prompt="short").questions(data, "test", 0)[0].prompt
    assert "o0/caption" in ids
    assert "o0/caption-detail" in ids
    assert len(ids) == 3  # answers to different prompts are never paired
    with pytest.raises(ValidationError, match="did you mean 'detail'"):
        Caption(prompt="detial")


def test_measure_set_scores_captions_on_request() -> None:
    data = Made(record(0, "A red chair."), record(1, "A blue lamp."), record(2, "A cup."))
    caption = Caption(scores=("bleu", "rouge", "cider"))
    items = caption.questions(data, "test", 0)
    scored = caption.measure_set(items, [Prediction("A red chair."), Prediction("..."), Prediction("")])
    assert scored[0]["bleu_1"] == 1.0
    assert scored[0]["cider_d"] == pytest.approx(7.5)  # three words: no n-gram of order 4
    assert scored[1] == dict.fromkeys(scored[0], 0.0)  # dots alone are no sentence
    assert scored[2] == dict.fromkeys(scored[0], 0.0)
    assert Caption().measure_set(items, [Prediction("x")] * 3) == [{}, {}, {}]


def test_measure_set_leaves_rouge_out_where_the_reference_has_no_sentence() -> None:
    data = Made(record(0, "..."), record(1, "A lamp."))
    caption = Caption(scores=("bleu", "rouge"))
    scored = caption.measure_set(caption.questions(data, "test", 0), [Prediction("A lamp.")] * 2)
    assert "rouge_l" not in scored[0]
    assert scored[0]["bleu_1"] == 0.0
    assert scored[1]["rouge_l"] == pytest.approx(1.0)


def test_scores_that_lack_a_model_or_a_package_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ValidationError, match="needs embedding_model"):
        Caption(scores=("embedding",))
    monkeypatch.setitem(sys.modules, "nltk.stem.porter", None)
    with pytest.raises(ConfigError) as error:
        Caption(scores=("meteor_nosyn", "embedding"), embedding_model=str(tmp_path))
    assert [line.split(":")[1] for line in error.value.errors] == [" meteor_nosyn", " embedding"]
