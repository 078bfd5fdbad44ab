"""A predictor that asks a model only what it has not answered before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from spa3d.artifacts.hashing import digest
from spa3d.contracts.benchmark import Prediction, Question
from spa3d.evaluation.answer_log import AnswerLog
from spa3d.evaluation.scored_units import BLIND
from spa3d.inference.generation import Decoding
from spa3d.inference.predictor import CLEAN, NOISED, Predictor
from spa3d.runtime.progress import Advance

LOGGED_VIEWS = (CLEAN, BLIND, NOISED)
"""Views whose answers are logged by key; those of other views are asked each time."""


@dataclass(frozen=True)
class AnswerKeys:
    """Keys of answers: hashes of everything that decides one, and of nothing else.

    Rank, run, batch and number of processes are left out, so an answer is found again whoever asked for it.

    Attributes:
        model: hash of weights, processor, arithmetic and code.
        hash_cloud: gives the hash of a record's cloud.
        noise: settings, code and seed of the noise; empty: there is none.
        decoding: of free answers.

    """

    model: str
    hash_cloud: Callable[[str], str]
    noise: str
    decoding: Decoding

    def make(self, question: Question, view: str) -> str:
        """Key of the answer to a question under ``clean``, ``blind`` or ``noised``."""
        shown: list[str] = [] if view == BLIND else [question.record_id, self.hash_cloud(question.record_id)]
        if view == NOISED:
            shown.append(self.noise)
        options = question.options and list(question.options)
        return digest([self.model, view, shown, question.prompt, options, self._decoding(question, view)])

    def _decoding(self, question: Question, view: str) -> dict[str, Any]:
        """What of the decoding decides the answer."""
        decoding, decisive = self.decoding, dict[str, Any]()
        if question.options is None:
            decisive["most"] = decoding.max_tokens
            if decoding.temperature:
                decisive |= asdict(replace(decoding, contrast=None)) | {"drawn for": question.record_id}
        if decoding.contrast and view == CLEAN:
            decisive["contrast"] = [asdict(decoding.contrast), self.noise]
        return decisive


class CachedPredictor:
    """Predictor whose answers are logged by key.

    Equal keys are asked once, such as the same question without a cloud about many records.

    Args:
        open_predictor: loads the model; called at the first question that the log does not have.
        keys: of the answers.
        log: of the answers.

    Attributes:
        new: number of the answers that the model gave.

    """

    def __init__(self, open_predictor: Callable[[], Predictor], keys: AnswerKeys, log: AnswerLog) -> None:
        self._open, self.keys, self.log = open_predictor, keys, log
        self.new = 0

    def open(self) -> Predictor:
        """The predictor that asks the model each time."""
        return replace(self._open(), decoding=self.keys.decoding)

    def ask(self, questions: Sequence[Question], view: str, advance: Advance) -> list[str]:
        """Ask what the log does not have, batch by batch; returns the keys of all answers in order."""
        keys = [self.keys.make(question, view) for question in questions]
        missing: dict[str, Question] = {}
        for key, question in zip(keys, questions, strict=True):
            if key not in missing and not (key in self.log and _fits(self.log[key], question)):
                missing[key] = question
        advance(len(questions) - len(missing))
        if missing:
            names, asking = [*missing], [*missing.values()]
            for indices, predictions in self.open().answer_batches(asking, view):
                self.log.add({names[index]: each for index, each in zip(indices, predictions, strict=True)})
                self.new += len(indices)
                advance(len(indices))
        return keys

    def answer(self, questions: Sequence[Question], view: str, advance: Advance) -> list[Prediction]:
        """Predict the answer to each question, in order, under the named view."""
        if view not in LOGGED_VIEWS:
            self.new += len(questions)
            return self.open().answer(questions, view, advance)
        return [self.log[key] for key in self.ask(questions, view, advance)]


def _fits(prediction: Prediction, question: Question) -> bool:
    """Whether a logged answer can be that to `question`; a damaged line may still be JSON."""
    options = question.options or ()
    return len(prediction.option_logp) == len(options) and (not options or prediction.text in options)
