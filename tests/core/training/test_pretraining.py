"""Targets of the small pretraining of an encoder."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from spa3d.contracts.dataset import CAPTION, Conversation, Fact, Record, Round
from spa3d.errors import DataError
from spa3d.training.pretraining import UNKNOWN, Targets


def record(number: int, caption: str, *facts: Fact) -> Record:
    conversation = Conversation(CAPTION, (Round("What is this?", caption),))
    return Record(f"r{number}", f"r{number}", f"r{number}", load=_no_cloud, conversations=(conversation,), facts=facts)


def _no_cloud() -> Any:
    raise AssertionError("targets are made of text alone")


def test_targets_are_informative_words_and_varying_facts() -> None:
    color = [Fact("color", "", "Which color?", value, ("red", "blue")) for value in ("red", "blue")]
    material = Fact("material", "", "Which material?", "wood", ("wood",))
    records = [record(i, "thing chair" if i < 6 else "thing table", color[i % 2], material) for i in range(10)]
    targets = Targets(records)
    assert list(targets.words) == ["chair"]  # `thing` is in all ten, `table` in four
    assert targets.facts == {("color", ""): {"blue": 0, "red": 1}}
    words, facts = targets.row(records[0])
    np.testing.assert_array_equal(words, [1])
    np.testing.assert_array_equal(facts, [1])
    words, facts = targets.row(record(99, "table", material))
    np.testing.assert_array_equal(words, [0])
    np.testing.assert_array_equal(facts, [UNKNOWN])


def test_targets_refuse_captions_without_information() -> None:
    with pytest.raises(DataError, match="captions of the 6 training records give an encoder nothing to learn"):
        Targets([record(i, "A thing.") for i in range(6)])


WHICH_WORDS = """
from spa3d.contracts.dataset import CAPTION, Conversation, Record, Round
from spa3d.training.pretraining import Targets
text = "a red chair with four brown legs and one tall straight back"
conversations = [(Conversation(CAPTION, (Round("?", text if i % 2 else "b"),)),) for i in range(20)]
records = [Record(str(i), str(i), str(i), None, conversation) for i, conversation in enumerate(conversations)]
print(sorted(Targets(records, max_words=5).words))
"""


@pytest.mark.slow
def test_targets_vocabulary_is_equal_in_every_process(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", WHICH_WORDS],
        env={**environment, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    exec(WHICH_WORDS, {})  # this process has another hash seed
    here = capsys.readouterr().out
    assert here == done.stdout == "['a', 'and', 'b', 'back', 'brown']\n"
