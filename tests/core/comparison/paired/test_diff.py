"""Two models on the same questions, counted by hand."""

import json

import pytest

import spa3d
from spa3d.comparison.paired.diff import DiffSettings, diff
from spa3d.errors import DataError

FIRST = [1] * 10 + [0] * 10
SECOND = [1] * 9 + [0] + [1] * 8 + [0] * 2
"""Of twenty questions one is lost (q09) and eight are gained (q10 to q17)."""


@pytest.fixture
def pair(save, rows):
    return save("first", {"choice": rows(FIRST)}), save("second", {"choice": rows(SECOND, blind=1)})


def test_diff_scores_and_discordant_questions(pair):
    document = diff(*pair)
    result = document.benchmarks["choice"].sets["test"]
    assert (result.first, result.second, result.n, result.groups) == (0.5, 0.85, 20, 20)
    assert result.difference.score == 0.35
    assert result.difference.mcnemar.model_dump() == {"gained": 8, "lost": 1, "p": 0.039062}  # 2 (1 + 9) / 512
    assert result.difference.p == pytest.approx(0.039062, abs=1e-6), "one question per group: sign flips are McNemar's"
    assert result.difference.p_holm == result.difference.p
    assert result.difference.ci95[0] < 0.35 < result.difference.ci95[1]
    assert 0 < result.difference.mde < 1
    assert (result.first_blind, result.second_blind, result.difference.blind.score) == (0, 1, 1)
    assert spa3d.diff(*pair) == document, "the same call gives the same figures"


def test_diff_is_antisymmetric(pair):
    there, back = (diff(*sides).benchmarks["choice"] for sides in (pair, pair[::-1]))
    assert back.sets["test"].difference.score == -there.sets["test"].difference.score
    assert (back.gained, back.lost) == (there.lost, there.gained)
    assert back.sets["test"].difference.p == there.sets["test"].difference.p


def test_diff_lists_flipped_questions_with_texts(pair):
    block = diff(*pair, settings=DiffSettings(examples=3)).benchmarks["choice"]
    assert block.lost == ("q09",)
    assert block.gained == tuple(f"q{number}" for number in range(10, 18))
    assert [flip.id for flip in block.examples] == ["q10", "q09", "q11"], "gained and lost in turn"
    assert (block.examples[1].first_text, block.examples[1].second_text) == ("red", "blue")
    assert block.examples[1].prompt == "What color is q09?"


def test_diff_verdict(pair, save, rows):
    (sentence,) = diff(*pair).verdict
    assert sentence.startswith("choice: the second is 35.0 points higher (95 % interval +")
    assert sentence.endswith(" 9 questions changed: 8 up, 1 down.")
    (even,) = diff(pair[0], save("same", {"choice": rows(FIRST)})).verdict
    assert even.startswith("choice: no measurable difference, 0.0 points (95 % interval ")
    assert "; could have seen ±" in even


def test_diff_counts_questions_of_one_side_and_leaves_them_out(save, rows):
    first = save("first", {"choice": rows([1, 1, 0, 0]), "old": rows([1])})
    second = save("second", {"choice": rows([1, 1, 0, 0, 1, 1]), "new": rows([1])})
    document = diff(first, second)
    assert document.benchmarks["choice"].sets["test"].n == 4
    assert document.benchmarks["choice"].only_second == 2
    assert document.left_out == (
        f"old: only in {first}, left out",
        f"new: only in {second}, left out",
        "choice: left out: 2 only in the second",
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"prompt": "Name it."}, "with the prompt 'What color is q01?' in one and 'Name it.' in the other"),
        ({"options": ["red", "blue"]}, "with the options ['red', 'blue', 'black', 'white'] in one"),
        ({"answer": "blue"}, "with the reference answer 'red' in one and 'blue' in the other"),
        ({"record": "another"}, "with the record 'q01' in one and 'another' in the other"),
    ],
)
def test_diff_refuses_other_questions_under_the_same_id(pair, save, rows, change, expected):
    other = [row | change if row["id"] == "q01" else row for row in rows(SECOND)]
    changed = save("changed", {"choice": other})
    with pytest.raises(DataError) as caught:
        diff(pair[0], changed)
    assert "choice: 1 of 20 questions differ under the same id; the first is 'q01', " in str(caught.value)
    assert expected in str(caught.value)
    block = diff(pair[0], changed, settings=DiffSettings(on_changed="skip")).benchmarks["choice"]
    assert (block.changed, block.sets["test"].n) == (1, 19)


def test_diff_pairs_minimal_pairs(save, row, rows):
    def pairs(name, values):
        members = [("a", 0), ("a-twin", 0), ("b", 1), ("b-twin", 1)]
        flip = [
            row(member, value, view=view, set="flip", pair=f"p{pair}")
            for (member, pair), value in zip(members, values, strict=True)
            for view in ("clean", "blind")
        ]
        return save(name, {"choice": [*rows([1, 0]), *flip]})

    first, second = pairs("first", [1, 0, 1, 1]), pairs("second", [1, 1, 1, 0])
    result = diff(first, second).benchmarks["choice"].sets["flip"]
    assert (result.first, result.second, result.n) == (0.5, 0.5, 2)
    assert (result.difference.mcnemar.gained, result.difference.mcnemar.lost) == (1, 1)
    path = second / "predictions" / "choice.jsonl"
    path.write_text("".join(line for line in path.open() if '"b-twin"' not in line))
    block = diff(first, second).benchmarks["choice"]
    assert (block.sets["flip"].n, block.only_first, block.changed) == (1, 1, 1), "its partner is left out, too"


def test_diff_notes_other_conditions(pair, save, rows):
    report = {"config": {"seed": 1}, "passport": {"data": "d2"}, "decoding": {"options": "by letter"}}
    other = save("other", {"choice": rows(SECOND)}, report)
    document = diff(pair[0], other)
    assert document.notes[0].startswith("the data differ")
    assert document.notes[1] == "the decoding differs, first → second: options: 'logp' → 'by letter'"
    assert document.settings == ("seed: 0 → 1",)
    assert diff(*pair).notes == ()
    (other / "report.json").unlink()
    assert "no report.json, so data, decoding and settings are not compared" in diff(pair[0], other).notes[0]


def test_diff_of_evaluations(pair, save, rows):
    conditions = {"records": "d1", "seed": 0, "model": "m1"}
    draws = [each | {"valid": 2 / 3, "value": 1 / 3, "samples": [{}] * 3} for each in rows(SECOND)]
    greedy = save("greedy", {"choice": rows(FIRST)}, {"conditions": conditions, "decoding": {"options": "logp"}})
    drawn = save(
        "drawn",
        {"choice": draws},
        {"conditions": conditions | {"model": "m2"}, "decoding": {"options": "logp", "temperature": 1.0}},
    )
    document = diff(greedy, drawn)
    assert document.settings == ("model: 'm1' → 'm2'",)
    assert document.notes == (
        "the decoding differs, first → second: temperature: None → 1.0",
        f"{drawn}: several answers to a question (choice 3); their mean value counts",
    )
    beside_a_run = diff(pair[0], greedy)
    assert beside_a_run.settings == ()
    assert beside_a_run.notes == (
        "one is a run and the other an evaluation, so their settings are not compared one by one",
    ), "both say in the same words how they decode"


def test_diff_of_a_model_without_clouds(pair, save, rows):
    blind = save("blind", {"choice": [row for row in rows(SECOND, blind=0) if row["view"] == "blind"]})
    document = diff(pair[0], blind)
    assert document.benchmarks["choice"].sets["test"].second == 0
    assert document.notes == (f"{blind}: was never shown a cloud, so its score is its blind score",)


def test_diff_averages_several_answers_to_a_question(pair, save, rows):
    sampled = save("sampled", {"choice": [*rows(SECOND), *rows(FIRST)]})
    document = diff(pair[0], sampled)
    result = document.benchmarks["choice"].sets["test"]
    assert result.second == pytest.approx((0.85 + 0.5) / 2)
    assert result.difference.mcnemar is None
    assert document.notes == (f"{sampled}: several answers to a question (choice 2); their mean value counts",)


def test_diff_by_kind_and_holm(save, rows):
    def save_kinds(name, shift):
        test = rows([1, 0] * 10, kind="color") + [each | {"id": f"s{each['id']}", "kind": "size"} for each in rows([0])]
        unusual = [each | {"set": "counterfactual"} for each in rows([shift] * 12)]
        return save(name, {"choice": test + unusual})

    block = diff(save_kinds("first", 0), save_kinds("second", 1)).benchmarks["choice"]
    assert {kind: result.n for kind, result in block.kinds.items()} == {"color": 20, "size": 1}
    assert block.kinds["color"].difference.p_holm is None
    unusual = block.sets["counterfactual"].difference
    assert (unusual.score, unusual.p) == (1.0, pytest.approx(2 / 2000, abs=6e-4))
    assert unusual.p_holm == pytest.approx(2 * unusual.p, abs=2e-6)


def test_diff_of_two_phases_of_a_run(save, rows):
    run = save("run", {"choice.before": rows(FIRST), "choice.after": rows(SECOND)})
    document = diff(run, run, phases=("before", "after"))
    assert document.benchmarks["choice"].sets["test"].difference.score == 0.35
    assert (document.first.phase, document.second.phase) == ("before", "after")
    with pytest.raises(DataError, match="both are the same answers"):
        diff(run, run / "report.json")


def test_diff_json_is_complete(pair):
    report = json.loads(diff(*pair).json_text())
    assert report["schema"] == 1
    assert report["benchmarks"]["choice"]["sets"]["test"]["difference"]["mcnemar"]["gained"] == 8
    assert report["first"]["seeds"] == {"run": 0}


def test_diff_refuses_what_cannot_be_paired(pair, save, rows, tmp_path):
    with pytest.raises(DataError, match="no such folder; give the folder of a run or of an evaluation"):
        diff(pair[0], tmp_path / "gone")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="has no answers"):
        diff(pair[0], empty)
    with pytest.raises(DataError, match=r"no benchmark is in both: .* has choice; .* has caption"):
        diff(pair[0], save("caption", {"caption": rows([1])}))
    foreign = [row | {"id": f"z{row['id']}"} for row in rows(SECOND)]
    with pytest.raises(DataError, match=r"choice: no question is in both: .* has 20 .such as 'q00'.*'zq00'"):
        diff(pair[0], save("strangers", {"choice": foreign}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "line 2: this is no JSON"),
        ("[1]", "line 2: is no answer of a run or an evaluation: expected an object"),
        ('{"id": 3}', "'id' is no text"),
        ({"text": None}, "'text' is no text"),
        ({"value": 1.5}, "'value' is 1.5, expected a number from 0 to 1"),
        ({"value": float("nan")}, "'value' is nan"),
        ({"valid": "yes"}, "'valid' is 'yes', expected true or false"),
        ({"options": "ABCD"}, "'options' is 'ABCD'"),
        ({"set": "flip"}, "'pair' is None, expected the name of a minimal pair"),
        ({"group": 3}, "'group' is 3, expected a name"),
        ({"set": "train"}, "'set' is 'train', expected one of test, counterfactual, flip"),
    ],
)
def test_diff_names_the_line_of_a_malformed_answer(pair, save, row, text, expected):
    broken = save("broken", {"choice": [row("q00", 1)]})
    line = text if isinstance(text, str) else json.dumps(row("q01", 1) | text)
    path = broken / "predictions" / "choice.jsonl"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError) as caught:
        diff(pair[0], broken)
    assert f"{path}, line 2" in str(caught.value)
    assert expected in str(caught.value)


def test_diff_refuses_a_question_without_its_blind_answer(pair, save, rows):
    half = save("half", {"choice": rows(SECOND)[:-1]})
    with pytest.raises(DataError, match="choice: the answers cannot be paired: 1 questions have rows in one view only"):
        diff(pair[0], half)
