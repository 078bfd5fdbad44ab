import pytest

from spa3d.metrics.reasoning import strip_thoughts


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (" a chair ", " a chair "),
        ("<think>Red? No.</think>\nA blue chair.", "A blue chair."),
        ("Red? No.</think> A blue chair.", "A blue chair."),  # the template opened the thought
        ("<think>x</think>A <think>y</think>chair", "A chair"),
        ("<think>a<think>b</think>c</think>chair", "chair"),
        ("<THINK>x</Think>chair", "chair"),
        ("<think></think>", ""),
        ("<think>It may be a chair", None),
        ("chair <think>or a table", None),
        ("<think>x</think>chair<think>", None),
    ],
)
def test_strip_thoughts(reply: str, answer: str | None) -> None:
    assert strip_thoughts(reply) == answer
