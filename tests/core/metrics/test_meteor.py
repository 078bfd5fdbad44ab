"""METEOR: stages of matching, and WordNet that is there, missing or broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spa3d.metrics.meteor import Meteor

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "caption_scores.json").read_text(encoding="utf-8"))
PARTS = {"noun": ("n", "couch sofa"), "verb": ("v", "run"), "adj": ("a", "small"), "adv": ("r", "here")}
SCORE = (
    "from spa3d.metrics.caption_scores import score_captions; print(score_captions(*{texts}, ('meteor',))['meteor'])"
)


def has_wordnet() -> bool:
    import nltk

    try:
        nltk.data.find("corpora/wordnet")
    except LookupError:
        return False
    return True


def write_wordnet(folder: Path, *synsets: str) -> None:
    """Write a WordNet of one synset per part of speech, and more nouns, as wndb(5WN) says."""
    folder.mkdir(parents=True)
    names = [f"{number:02d}\tfile{number}\t1\n" for number in range(45)]
    (folder / "lexnames").write_text("".join(names))
    for name in ("cntlist.rev", *(f"{part}.exc" for part in PARTS)):
        (folder / name).write_text("")
    senses = []
    for part, (letter, words) in PARTS.items():
        data, index = "", dict[str, list[int]]()
        for text in (words, *(synsets if part == "noun" else ())):
            members = text.split()
            lemmas = " ".join(f"{word} 0" for word in members)
            for word in members:
                index.setdefault(word, []).append(len(data))
                senses.append(f"{word}%1:03:00:: {len(data):08d} 1 0\n")
            data += f"{len(data):08d} 03 {letter} {len(members):02x} {lemmas} 000 | a gloss\n"
        (folder / f"data.{part}").write_text(data)
        lines = [
            f"{word} {letter} {len(offsets)} 0 {len(offsets)} 0 {' '.join(f'{offset:08d}' for offset in offsets)}\n"
            for word, offsets in sorted(index.items())
        ]
        (folder / f"index.{part}").write_text("".join(lines))
    (folder / "index.sense").write_text("".join(sorted(senses)))


def run(folder: Path, predictions: list[str], references: list[str]) -> subprocess.CompletedProcess[str]:
    """Score captions in a process whose nltk looks for its data in `folder`."""
    environment = {**os.environ, "NLTK_DATA": str(folder), "HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCORE.format(texts=(predictions, references))]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("a red chair", "A RED chair", 1 - 0.5 / 27),  # one chunk of three words, in any case
        ("chair", "chair", 0.5),
        ("chair", "chairs", 0.5),  # equal stems
        ("a b", "b a", 0.5),  # two chunks of two words
        ("a", "a b", (1 - 0.5) * (1 * 0.5) / (0.9 + 0.1 * 0.5)),
        ("the the the", "the", 0.5 * (1 / 3) / (0.9 / 3 + 0.1)),  # only one of them matches
        ("sofa", "couch", 0.0),
        ("", "couch", 0.0),
        ("a", "", 0.0),
    ],
)
def test_meteor_without_synonyms(prediction: str, reference: str, expected: float) -> None:
    assert Meteor(synonyms=False).score(prediction, reference) == pytest.approx(expected)


def test_meteor_matches_the_last_words_first() -> None:
    # "a" of the prediction takes the second "a" of the reference, which is next to "lamp": one chunk, not two.
    value = Meteor(synonyms=False).score("a lamp", "a big a lamp")
    mean = 1 * 0.5 / (0.9 + 0.1 * 0.5)
    assert value == pytest.approx((1 - 0.5 / 8) * mean)


def test_meteor_matches_synonyms_and_refuses_data_that_are_not_there(tmp_path: Path) -> None:
    write_wordnet(tmp_path / "whole" / "corpora" / "wordnet", "chair seat_of_honor")
    done = run(tmp_path / "whole", ["a little couch", "sofa"], ["a small sofa", "chair"])
    synonym = next(pair for pair in GOLDEN["pairs"] if pair["name"] == "synonym")
    assert json.loads(done.stdout) == [pytest.approx(synonym["scores"]["meteor"] / 100), 0.0], done.stderr
    assert synonym["scores"]["meteor"] == pytest.approx(2 * synonym["scores"]["meteor_nosyn"])
    write_wordnet(tmp_path / "no-chair" / "corpora" / "wordnet")
    assert "lack the word chair" in run(tmp_path / "no-chair", [], []).stderr
    (tmp_path / "no-chair" / "corpora" / "wordnet" / "lexnames").write_text("broken")
    assert "nltk cannot read them" in run(tmp_path / "no-chair", [], []).stderr


def test_meteor_without_data_names_the_column_without_synonyms(tmp_path: Path) -> None:
    if has_wordnet():
        pytest.skip("nltk finds WordNet")
    assert "set NLTK_DATA=FOLDER" in run(tmp_path, [], []).stderr


@pytest.mark.skipif(not has_wordnet(), reason="needs WordNet 3.0 where nltk finds it")
def test_meteor_with_wordnet_equals_nltk() -> None:
    meteor = Meteor(synonyms=True)
    for pair in GOLDEN["pairs"]:
        if "prediction" in pair:
            value = meteor.score(pair["prediction"] or "##", pair["reference"])
            assert 100 * value == pytest.approx(pair["scores"]["meteor"], abs=1e-8), pair["name"]
