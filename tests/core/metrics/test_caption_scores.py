"""Scores of captions: golden values of PointLLM's evaluator, and what it stops at."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from spa3d.errors import ConfigError, DataError
from spa3d.metrics.caption_scores import COLUMNS, CaptionScorer, average_captions, score_captions
from spa3d.metrics.embedding_similarity import EmbeddingSimilarity, check_embedding_model

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "caption_scores.json").read_text(encoding="utf-8"))


def text(pair: dict[str, Any], key: str) -> str:
    """A text of a golden pair; a long one is a sentence that is repeated."""
    if "repeated" in pair:
        sentence, times = pair["repeated"][key]
        return " ".join([sentence] * times)
    return str(pair[key])


PREDICTIONS, REFERENCES = ([text(pair, key) for pair in GOLDEN["pairs"]] for key in ("prediction", "reference"))


def test_score_captions_equals_pointllm_on_every_pair() -> None:
    scores = score_captions(PREDICTIONS, REFERENCES, ("bleu", "rouge", "meteor_nosyn"))
    assert list(scores) == [*COLUMNS["bleu"], *COLUMNS["rouge"], "meteor_nosyn"]
    for index, pair in enumerate(GOLDEN["pairs"]):
        for name in scores:
            expected, value = pair["scores"].get(name), scores[name][index]
            if expected is None:
                assert value is None, (pair["name"], name)
                assert pair["raises"].startswith("ValueError")
            else:
                assert value is not None
                assert 100 * value == pytest.approx(expected, abs=1e-8), (pair["name"], name)


def test_average_captions_leaves_out_and_counts_what_pointllm_stops_at() -> None:
    predictions, references = ["a red chair", "...", "a chair", ""], ["a red chair", "a lamp", "", "a lamp"]
    result = average_captions(score_captions(predictions, references, ("bleu", "rouge")))
    assert (result.scored, result.unscored) == (2, (1, 2))
    assert result.means["bleu_1"] == 0.5
    assert result.format_as_pointllm()["rouge_l"] == "50.0000"  # 0.999999995 and 0
    assert average_captions(score_captions(predictions, references, ("bleu",))).scored == 4


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        # One sentence each: the common subsequence is "red chair"; 2 of 3 and of 4 words.
        ("a red chair", "the red big chair", 2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2 + 1e-8)),
        # The words of both common subsequences count once: {red, chair, lamp} of 4 and of 3 distinct words.
        ("red chair. red lamp. x", "red chair red lamp", 2 * (3 / 4) * 1 / (3 / 4 + 1 + 1e-8)),
        ("3.5", "3 5", 0.0),  # cut into "3" and "5"; the first match is "3", then "5": 2 of 2
    ],
)
def test_score_captions_takes_the_union_of_the_sentences_in_rouge_l(
    prediction: str, reference: str, expected: float
) -> None:
    value = score_captions([prediction], [reference], ("rouge",))["rouge_l"][0]
    assert value == pytest.approx(expected or 2 / (2 + 1e-8))


def test_score_captions_scores_sentences_at_which_recursion_would_end() -> None:
    long = " ".join(f"w{i}" for i in range(1500))
    assert score_captions([long], [long], ("rouge",))["rouge_l"] == [pytest.approx(1.0)]


def test_score_captions_refuses_what_cannot_be_scored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 captions, but 1 references"):
        score_captions(["a", "b"], ["a"], ("bleu",))
    monkeypatch.setitem(sys.modules, "nltk.stem.porter", None)
    with pytest.raises(ConfigError) as error:
        score_captions([], [], ("bluu", "meteor_nosyn", "embedding"), embedding_model=str(tmp_path / "none"))
    unknown, package, model = error.value.errors
    assert "did you mean 'bleu'" in unknown
    assert "pip install 'spa3d[captions]'" in package
    assert "no folder" in model


def test_check_embedding_model_says_what_a_folder_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs a model"):
        check_embedding_model("")
    with pytest.raises(DataError, match=r"neither modules.json nor config.json"):
        check_embedding_model(tmp_path)
    (tmp_path / "modules.json").write_text("[]")
    with pytest.raises(DataError, match="embeddings"):
        check_embedding_model(tmp_path)


class Letters:
    """Model whose embedding of a text counts its a and b."""

    def __init__(self, path: str, **_: Any) -> None:
        if not (Path(path) / "modules.json").read_text():
            raise ValueError("empty file\nand more")

    def encode(self, texts: list[str], **_: Any) -> Any:
        import numpy as np

        rows = np.array([[each.count("a"), each.count("b")] for each in texts], dtype=float)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_score_captions_by_the_cosine_of_embeddings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = type(sys)("sentence_transformers")
    module.SentenceTransformer = Letters  # type: ignore[attr-defined]
    module.__spec__ = sys.__spec__
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    (tmp_path / "modules.json").write_text("[]")
    scorer = CaptionScorer(["embedding"], str(tmp_path))
    assert scorer.score(["ab", "aaa"], ["a", "ab"])["embedding"] == [pytest.approx(0.5**0.5)] * 2
    assert scorer.score([], []) == {"embedding": []}
    (tmp_path / "modules.json").write_text("")
    with pytest.raises(DataError, match=r"cannot be loaded \(ValueError: empty file\)"):
        EmbeddingSimilarity(tmp_path)
