"""The table of training answers as an answerer of benchmarks."""

from spa3d.evaluation.evaluate import evaluate_text_table, make_answer_table
from spa3d.evaluation.question_sets import collect_questions
from spa3d.registry import create


def test_evaluate_text_table_answers_every_question(toy_dataset):
    # "Which side?": left and right are equally frequent among the training answers, and left was the second one.
    table = make_answer_table(toy_dataset, toy_dataset.records("train"))
    choice = create("benchmark", "choice")
    items = collect_questions(choice, toy_dataset, split="test", seed=0, limit=0)
    rows = evaluate_text_table(table, choice, items, split="test")
    assert [row["id"] for row in rows] == [item.question.id for item in items]
    assert {row["view"] for row in rows} == {"text-table"}
    assert {row["text"] for row in rows} <= {"left", "right"}
    assert all(row["value"] == float(row["text"] == row["answer"]) for row in rows)


def test_evaluate_text_table_reads_letters_as_options(toy_dataset):
    table = make_answer_table(toy_dataset, toy_dataset.records("train"))
    letters = create("benchmark", "choice", answer_style="letter")
    texts = create("benchmark", "choice")
    picked = []
    for benchmark in (letters, texts):
        items = collect_questions(benchmark, toy_dataset, split="test", seed=0, limit=0)
        picked.append([row["value"] for row in evaluate_text_table(table, benchmark, items, split="test")])
    assert picked[0] == picked[1]


def test_collect_questions_names_the_group_of_each_record(toy_dataset):
    items = collect_questions(create("benchmark", "choice"), toy_dataset, split="test", seed=0, limit=0)
    assert [item.group for item in items] == [item.question.record_id for item in items]
