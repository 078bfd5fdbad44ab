"""A loaded 3D LLM that is asked about clouds: one question, a batch of them, or a chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from spa3d.checkpoints.load import load
from spa3d.contracts.benchmark import Prediction, Question
from spa3d.contracts.dataset import Round
from spa3d.data.cloud_checks import Colors
from spa3d.data.preparation import Preparation
from spa3d.inference.answers import Answer, BlindAnswer, CloudQuestion
from spa3d.inference.cloud_encoder import CloudEncoder, CloudSource, load_encoder
from spa3d.inference.generation import Decoding, Generator, OnText, Prompt
from spa3d.inference.predictor import Predictor
from spa3d.inference.views import BlindView, Shown, View, ViewTokens
from spa3d.model.modeling import Spa3dModel
from spa3d.model.precision import move_model, uses_bf16
from spa3d.model.processing import Spa3dProcessor
from spa3d.runtime.device import choose_device

GREEDY = Decoding()


class Session:
    """A 3D LLM that answers questions about clouds.

    Args:
        model: the 3D LLM, on its device.
        processor: its processor.
        bf16: run under bfloat16 autocast.

    """

    def __init__(self, model: Spa3dModel, processor: Spa3dProcessor, *, bf16: bool = False) -> None:
        self.model, self.processor = model.eval(), processor
        self.generator = Generator(model, processor, bf16)
        preparation = Preparation(**processor.points)
        self.encoder = CloudEncoder(model.encoder, preparation, up_axis=model.config.up_axis)

    def ask(
        self,
        cloud: CloudSource | None,
        question: str,
        *,
        options: Sequence[str] = (),
        blind: bool = False,
        decoding: Decoding = GREEDY,
        on_text: OnText | None = None,
    ) -> Answer:
        """Ask one question.

        Args:
            cloud: a file, an array, or None for a question without a cloud.
            question: its text.
            options: candidate answers, of which the most likely is taken; empty: a free answer.
            blind: also ask without the cloud.
            decoding: of free answers; greedy by default.
            on_text: gets a free answer piece by piece.

        Raises:
            DataError: the cloud cannot be used, or the question is too long.

        """
        shown = None if cloud is None else self.encode(cloud)
        item = CloudQuestion(question, shown, tuple(options))
        return self.answer([item], blind=blind, decoding=decoding, on_text=on_text)[0]

    def chat(self, cloud: CloudSource | None, *, colors: Colors = "0-1") -> Chat:
        """Begin a conversation of several rounds about one cloud, or without one."""
        return Chat(self, None if cloud is None else self.encode(cloud, colors=colors))

    def encode(self, cloud: CloudSource, *, colors: Colors = "0-1") -> Tensor:
        """Read, check, prepare and encode one cloud: tokens ``(M, D)`` on the model's device.

        Raises:
            DataError: it is no cloud, or one that the encoder cannot take; the message names the file.

        """
        return self.encoder.encode([cloud], colors=colors)[0]

    def check(self, question: str, options: Sequence[str], *, cloud: bool, most: int) -> None:
        """Raise `DataError` if a question is too long for an answer, or holds a special token.

        Args:
            question: its text.
            options: candidate answers; empty: a free answer.
            cloud: whether it is asked with a cloud.
            most: most tokens of a free answer.

        """
        if options:
            self.processor.option_ids(question, options, cloud=cloud)
        else:
            self.generator.room(self.processor.prompt_ids((), question, cloud=cloud), most)

    def answer(
        self,
        questions: Sequence[CloudQuestion],
        *,
        blind: bool = False,
        decoding: Decoding = GREEDY,
        on_text: OnText | None = None,
    ) -> list[Answer]:
        """Answer a batch of questions, in order; the arguments are those of `ask`."""
        answers: dict[int, Answer] = {}
        free = [i for i, item in enumerate(questions) if not item.options]
        if free:
            written = self._answer_freely([questions[i] for i in free], blind, decoding, on_text)
            answers.update(zip(free, written, strict=True))
        choices = [i for i, item in enumerate(questions) if item.options]
        if choices:
            answers.update(zip(choices, self._choose([questions[i] for i in choices], blind), strict=True))
        return [answers[i] for i in range(len(questions))]

    def _answer_freely(
        self, questions: Sequence[CloudQuestion], blind: bool, decoding: Decoding, on_text: OnText | None
    ) -> list[Answer]:
        prompts = [self._prompt(question) for question in questions]
        written = self.generator.generate(prompts, decoding, on_text=on_text)
        answers = [
            Answer(self.generator.decode(ids), logp, len(ids.ids), ids.stopped)
            for ids, logp in zip(written, self.generator.score(prompts, written), strict=True)
        ]
        shown = [i for i, question in enumerate(questions) if blind and question.cloud is not None]
        if shown:
            hidden = [self._prompt(replace(questions[i], cloud=None)) for i in shown]
            scores = self.generator.score(hidden, [written[i] for i in shown])
            others = map(self.generator.decode, self.generator.generate(hidden, decoding))
            for i, text, logp in zip(shown, others, scores, strict=True):
                answers[i] = replace(answers[i], blind=BlindAnswer(text, logp))
        return answers

    def _choose(self, questions: Sequence[CloudQuestion], blind: bool) -> list[Answer]:
        """Choose the most likely option of each question; ties go to the first."""
        clouds = {str(i): item.cloud for i, item in enumerate(questions) if item.cloud is not None}
        views: dict[str, View] = {"shown": _GivenTokens(clouds), "blind": BlindView()}
        predictor = Predictor(self.model, self.processor, views, len(questions), self.generator.bf16)
        items = [Question(str(i), str(i), item.question, item.options, "", "") for i, item in enumerate(questions)]
        predictions = dict[tuple[str, str], Prediction]()
        for view, some in (
            ("shown", [item for item in items if item.id in clouds]),
            ("blind", [item for item in items if blind or item.id not in clouds]),
        ):
            answers = predictor.answer(some, view, lambda units: None)
            predictions.update({(item.id, view): answer for item, answer in zip(some, answers, strict=True)})
        return [
            _describe_choice(item, predictions[item.id, "shown"], predictions.get((item.id, "blind")))
            if item.id in clouds
            else _describe_choice(item, predictions[item.id, "blind"], None)
            for item in items
        ]

    def _prompt(self, question: CloudQuestion) -> Prompt:
        ids = self.processor.prompt_ids(question.history, question.question, cloud=question.cloud is not None)
        return Prompt(ids, question.cloud, question.id)


class Chat:
    """A conversation of several rounds about one cloud.

    Args:
        session: of the model.
        cloud: encoder tokens of the cloud; None: a conversation without one.

    Attributes:
        rounds: questions and answers so far.

    """

    def __init__(self, session: Session, cloud: Tensor | None) -> None:
        self.session, self.cloud = session, cloud
        self.rounds: list[Round] = []

    def ask(
        self, question: str, *, blind: bool = False, decoding: Decoding = GREEDY, on_text: OnText | None = None
    ) -> Answer:
        """Ask the next question; `Session.ask` has the arguments.

        The blind answer is that to the same conversation without the cloud, with the same earlier answers. A question
        that cannot be asked leaves the conversation as it was.
        """
        item = CloudQuestion(question, self.cloud, history=tuple(self.rounds), id=str(len(self.rounds)))
        answer = self.session.answer([item], blind=blind, decoding=decoding, on_text=on_text)[0]
        self.rounds.append(Round(question, answer.text))
        return answer


@dataclass(frozen=True)
class ModelSource:
    """A saved 3D LLM and how to load it.

    Attributes:
        path: the folder of a run or of a model; `spa3d.load` explains it, `plugins` and `registry`.
        device: ``auto`` takes CUDA, then MPS, then the CPU.
        dtype: the arithmetic: float32, or bfloat16 by autocast; ``auto`` takes bfloat16 on CUDA.
        plugins: unpackaged plugins that the model's parts come from.
        registry: the file of ``--registry`` that the model's parts come from.

    """

    path: str | Path
    device: str = "auto"
    dtype: str = "auto"
    plugins: Sequence[str] = ()
    registry: str | Path | None = None

    def open(self) -> Session:
        """Load the model.

        Raises:
            CheckpointError: the folder holds no finished model, or a plugin that it needs is missing.
            ConfigError: there is no such device.

        """
        device = choose_device(self.device)
        bf16 = uses_bf16(self.dtype, device)
        model, processor = load(self.path, plugins=self.plugins, registry=self.registry)
        return Session(move_model(model, device, bf16=bf16), processor, bf16=bf16)

    def open_encoder(self) -> CloudEncoder:
        """Load the encoder alone; raises as `open`."""
        device = choose_device(self.device)
        loaded = load_encoder(self.path, plugins=self.plugins, registry=self.registry)
        loaded.encoder.to(device)
        return loaded


def session(
    path: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    plugins: Sequence[str] = (),
    registry: str | Path | None = None,
) -> Session:
    """Load a 3D LLM to ask it questions; `ModelSource` has the arguments and the errors."""
    return ModelSource(path, device, dtype, plugins, registry).open()


class _GivenTokens(View):
    """Clouds that were encoded before, by record id."""

    name = "shown"

    def __init__(self, clouds: dict[str, Tensor]) -> None:
        self.clouds = clouds

    def key(self, record_id: str, epoch: int) -> str:
        """The record's id."""
        return record_id

    def tokens(self, batch: Sequence[Shown]) -> ViewTokens:
        """The given tokens."""
        return ViewTokens(torch.stack([self.clouds[record_id] for record_id, _ in batch]))


def _describe_choice(question: Question, shown: Prediction, blind: Prediction | None) -> Answer:
    """The answer to a question with options: the first of the most likely ones."""
    index = (question.options or ()).index(shown.text)
    answer = Answer(shown.text, shown.option_logp[index], shown.option_lengths[index], option_logp=shown.option_logp)
    if blind is None:
        return answer
    return replace(answer, blind=BlindAnswer(blind.text, blind.option_logp[index], blind.option_logp))
