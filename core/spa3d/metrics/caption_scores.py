"""Scores of captions against reference captions: families of columns by name.

BLEU, ROUGE and METEOR are PointLLM's (its ``traditional_evaluator``), with its quirks; CIDEr-D and embedding similarity
stand beside them. The empty caption is scored as "##", as PointLLM does: all word scores are 0.

PointLLM's evaluator stops at a caption without a sentence (only dots) and at an empty reference. Here ROUGE has no
value there (None), the other columns do, and `average_captions` leaves such a pair out of all columns and counts it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from spa3d.errors import ConfigError, DataError, describe_unknown
from spa3d.metrics import bleu, rouge
from spa3d.metrics.cider import score_cider_d
from spa3d.metrics.embedding_similarity import EmbeddingSimilarity, check_embedding_model
from spa3d.metrics.meteor import Meteor

Family = Literal["bleu", "rouge", "meteor", "meteor_nosyn", "cider", "embedding"]
FAMILIES: tuple[Family, ...] = get_args(Family)
COLUMNS: Mapping[Family, tuple[str, ...]] = {
    "bleu": tuple(bleu.WEIGHTS),
    "rouge": rouge.NAMES,
    "meteor": ("meteor",),
    "meteor_nosyn": ("meteor_nosyn",),
    "cider": ("cider_d",),
    "embedding": ("embedding",),
}
"""Columns of each family."""
TITLES = {
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "meteor": "METEOR",
    "meteor_nosyn": "METEOR without synonyms",
    "cider_d": "CIDEr-D (split at white space)",
    "embedding": "embedding similarity",
}
"""Columns in words."""
EMPTY = "##"
"""Text that stands for the empty caption, as in PointLLM."""
Values = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class CaptionMeans:
    """Means over the captions that have all columns.

    Attributes:
        means: by column.
        scored: number of captions in the means.
        unscored: positions of the others, at which PointLLM's evaluator stops.

    """

    means: Mapping[str, float]
    scored: int
    unscored: tuple[int, ...]

    def format_as_pointllm(self) -> dict[str, str]:
        """The means times 100 with four decimals, as PointLLM prints them."""
        return {name: f"{100 * mean:.4f}" for name, mean in self.means.items()}


@dataclass(frozen=True)
class CaptionScorer:
    """Scorer of captions by chosen families; models and data are loaded at the first use.

    Attributes:
        families: of columns, in order.
        embedding_model: folder of a sentence-transformers model, for ``embedding``.
        device: where that model runs.

    """

    families: Sequence[str]
    embedding_model: str = ""
    device: str = "cpu"
    _loaded: dict[str, Meteor | EmbeddingSimilarity] = field(default_factory=dict, repr=False, compare=False)

    def check(self) -> None:
        """Check that everything is there; all errors are reported together.

        Raises:
            ConfigError: there is no such family, or its package, its data or its model is missing.

        """
        errors = [describe_unknown("score", name, FAMILIES) for name in self.families if name not in FAMILIES]
        for family in self.families:
            try:
                if family in ("meteor", "meteor_nosyn"):
                    self._open(family)
                elif family == "embedding":
                    check_embedding_model(self.embedding_model)
            except DataError as error:
                errors.append(f"{family}: {error}")
        if errors:
            raise ConfigError(errors)

    def score(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, list[float | None]]:
        """Score captions; returns the values by column, as `score_captions` does.

        Raises:
            ConfigError: as `check`.
            DataError: the numbers of captions and references differ.

        """
        if len(predictions) != len(references):
            raise DataError(f"{len(predictions)} captions, but {len(references)} references")
        self.check()
        texts = [text or EMPTY for text in predictions]
        columns: dict[str, list[float | None]] = {}
        for family in dict.fromkeys(self.families):
            columns |= self._score_family(family, texts, references)
        return columns

    def _score_family(
        self, family: str, predictions: Sequence[str], references: Sequence[str]
    ) -> dict[str, list[float | None]]:
        pairs = list(zip(predictions, references, strict=True))
        if family == "bleu":
            return _transpose(bleu.WEIGHTS, [bleu.score_bleu(*pair) for pair in pairs])
        if family == "rouge":
            return _transpose(rouge.NAMES, [rouge.score_rouge(*pair) for pair in pairs])
        if family == "cider":
            return {"cider_d": [*score_cider_d(predictions, [(text,) for text in references])]}
        scorer = self._open(family)
        if isinstance(scorer, Meteor):
            return {family: [scorer.score(*pair) for pair in pairs]}
        return {family: [*scorer.score(predictions, references)]}

    def _open(self, family: str) -> Meteor | EmbeddingSimilarity:
        """The scorer of METEOR or of embeddings, loaded once."""
        if family not in self._loaded:
            is_embedding = family == "embedding"
            self._loaded[family] = (
                EmbeddingSimilarity(self.embedding_model, device=self.device)
                if is_embedding
                else Meteor(synonyms=family == "meteor")
            )
        return self._loaded[family]


def score_captions(
    predictions: Sequence[str],
    references: Sequence[str],
    metrics: Sequence[str] = ("bleu", "rouge", "cider"),
    *,
    embedding_model: str = "",
) -> dict[str, list[float | None]]:
    """Score captions against one reference each; returns the values by column.

    Values are shares in [0, 1]; ``cider_d`` lies in [0, 10] and ``embedding`` in [-1, 1]. ROUGE is None where a text
    has no sentence.

    Args:
        predictions: the captions.
        references: one for each.
        metrics: families: bleu, rouge, meteor, meteor_nosyn, cider, embedding.
        embedding_model: folder of a sentence-transformers model, for ``embedding``.

    Raises:
        ConfigError: there is no such family, or its package, its data or its model is missing.
        DataError: the numbers of captions and references differ.

    """
    return CaptionScorer(metrics, embedding_model).score(predictions, references)


def average_captions(values: Values) -> CaptionMeans:
    """Average each column over the captions that have all columns, as PointLLM does."""
    count = max(map(len, values.values()), default=0)
    unscored = tuple(i for i in range(count) if any(column[i] is None for column in values.values()))
    means = {
        name: math.fsum(value for i, value in enumerate(column) if value is not None and i not in set(unscored))
        / max(1, count - len(unscored))
        for name, column in values.items()
    }
    return CaptionMeans(means, count - len(unscored), unscored)


def _transpose(
    names: Sequence[str] | Mapping[str, object], rows: Sequence[Mapping[str, float] | None]
) -> dict[str, list[float | None]]:
    return {name: [row[name] if row else None for row in rows] for name in names}
