"""The processor: tokenizer, point preparation and conversation template of one 3D LLM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, Literal, Self

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerFast, ProcessorMixin

from spa3d.contracts.dataset import POINT, Conversation, Round
from spa3d.data.cloud_checks import Colors, from_array
from spa3d.data.preparation import Preparation, prepare
from spa3d.errors import DataError
from spa3d.llm_clients.prompt_ids import Offsets, encode_prompt
from spa3d.model.chat_templates import Prompt, Template, chat, chat_end, plain, vicuna
from spa3d.model.special_tokens import reject_special_tokens, special_tokens_of
from spa3d.model.tokens import IGNORED, PromptPrefix, Tokens

ANSWER = "A"
"""Stand-in for an answer that is to be generated."""


class Spa3dInputs(BatchFeature):
    """Inputs of `Spa3dModel`; ``to`` keeps ``points`` in float32, because rounding moves points."""

    def to(self, *args: Any, **kwargs: Any) -> Spa3dInputs:
        """Move and cast as `BatchFeature.to`, but keep ``points`` in float32."""
        points = self.data.get("points")
        super().to(*args, **kwargs)
        if points is not None:
            self.data["points"] = points.to(self.data["points"].device)
        return self


class Spa3dProcessor(ProcessorMixin):
    """Processor of clouds and questions into inputs of `Spa3dModel`.

    Args:
        tokenizer: a fast tokenizer that knows the point tokens.
        num_point_tokens: embeddings per cloud.
        points: preparation of clouds, the arguments of `spa3d.data.preparation.prepare`.
        conversation: ``vicuna``, ``plain`` or ``chat`` (the tokenizer's own chat template).
        system: system prompt.
        point_tokens: names of start, patch and end token.
        max_length: longest prompt with answer, in tokens.

    """

    attributes = ["tokenizer"]  # noqa: RUF012 - transformers' own protocol
    tokenizer_class = "AutoTokenizer"

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        num_point_tokens: int = 0,
        points: dict[str, Any] | None = None,
        conversation: str = "vicuna",
        system: str = "",
        point_tokens: Sequence[str] = ("<point_start>", "<point_patch>", "<point_end>"),
        max_length: int = 512,
        **kwargs: Any,
    ) -> None:
        super().__init__(tokenizer)
        self.num_point_tokens = num_point_tokens
        self.points = points or {}
        self.conversation = conversation
        self.system = system
        self.point_tokens = list(point_tokens)
        self.max_length = max_length

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Self:
        """Read a saved processor; its tokenizer never brings code of its own."""
        processor: Self = super().from_pretrained(*args, **{**kwargs, "trust_remote_code": False})
        return processor

    def __call__(
        self,
        text: str | Sequence[str],
        clouds: Sequence[np.ndarray] | np.ndarray | None = None,
        colors: Colors = "0-1",
    ) -> Spa3dInputs:
        """Make inputs of ``generate``, padded on the left, from questions with or without clouds.

        Args:
            text: one question or a list of them; a cloud stands at the mark ``<point>``, or before the question.
            clouds: one array, or one per question: ``(N, 6)`` xyz in any unit and rgb, or ``(N, 3)`` without color;
                floating point. float64 is normalized before it is rounded to float32.
            colors: the range of rgb; values are divided by 255 only for 0-255.

        Raises:
            DataError: a question is no text, a cloud is no array or no valid cloud (a path is not read), or there are
                more or fewer clouds than questions.

        """
        questions = _questions(text)
        prefix: PromptPrefix = "blind" if clouds is None else "cloud"
        batch = self.pad([self.question_ids(question, prefix) for question in questions], side="left")
        if clouds is not None:
            points = [self._prepare_array(array, i, colors) for i, array in enumerate(_arrays(clouds))]
            if len(points) != len(questions):
                raise DataError(
                    f"{len(questions)} questions and {len(points)} clouds; give one cloud for each question, or none"
                )
            batch["points"] = torch.from_numpy(np.stack(points))
        return Spa3dInputs(batch)

    def _prepare_array(self, array: np.ndarray, number: int, colors: Colors) -> Float32[np.ndarray, "N 6"]:
        cloud = from_array(array, where=f"cloud {number}", colors=colors)
        try:
            return self.prepare(cloud, "call", number, has_color=array.shape[1] == 6)
        except DataError as error:
            raise DataError(f"cloud {number}: {error}") from error

    def prepare(self, cloud: np.ndarray, *key: str | int, has_color: bool = True) -> Float32[np.ndarray, "N 6"]:
        """Prepare one cloud: resampled, normalized, with a color in every point."""
        return prepare(cloud, Preparation(**self.points), key=key, has_color=has_color)

    def prompt_prefix(self, prefix: PromptPrefix) -> str:
        """Prefix of the first question: the point block, or the empty string."""
        if prefix == "blind":
            return ""
        start, patch, end = self.point_tokens
        return start + patch * self.num_point_tokens + end + "\n"

    def prompt(self, rounds: Sequence[Round], before: str, *, open_ended: bool) -> Prompt:
        """Format the conversation in the template, with `before` at the mark of the first question.

        Raises:
            DataError: a question or an answer contains a special token, or more marks than one.

        """
        reject_special_tokens(rounds, special_tokens_of(self.tokenizer) | {*self.point_tokens})
        for number, turn in enumerate(rounds):
            if turn.question.count(POINT) > (number == 0):
                raise DataError(f"the question {turn.question[:80]!r}: {POINT} may occur once, in the first question")
        return self._template()(rounds, before, self.system, open_ended)

    @property
    def pad_id(self) -> int:
        """Token id of padding, which is masked, so that any id serves."""
        ids = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, 0)
        return next(int(token) for token in ids if token is not None)

    @property
    def stop_ids(self) -> list[int]:
        """Token ids that end an answer: of the tokenizer, and of the chat template if it is used."""
        result = {self.tokenizer.eos_token_id} - {None}
        if self.conversation == "chat":
            result.add(self.tokenizer.convert_tokens_to_ids(chat_end(self.tokenizer)))
        return sorted(result)

    def tokenize(self, conversation: Conversation, before: str) -> Tokens:
        """Tokenize a conversation, with labels on the answers; cut at ``max_length`` tokens."""
        whole, kept = self._tokens(conversation, before), slice(self.max_length)
        tokens = Tokens(whole.ids[kept], whole.labels[kept], whole.rounds[kept])
        return replace(tokens, cut=whole.answer_count - tokens.answer_count)

    def question_ids(self, question: str, prefix: PromptPrefix) -> list[int]:
        """Token ids of one question up to its answer; raises `DataError` if there are too many.

        They are cut before an answer, because some tokenizers read the last line break otherwise where a text ends.
        """
        conversation = Conversation("question", (Round(question, ANSWER),))
        tokens = self._tokens(conversation, self.prompt_prefix(prefix))
        return self._check_length(tokens.ids[: tokens.rounds.index(0)])

    def option_ids(
        self, question: str, options: Sequence[str], prefix: PromptPrefix
    ) -> tuple[list[int], list[list[int]]]:
        """Token ids of the common prompt, and of the rest with each option and its end token.

        Each option is tokenized inside its prompt, as in training; prompt and rest together are the ids of that text.
        The common prompt ends before the first answer token, or earlier where an option changes the tokens before it.
        Raises `DataError` if an option does not fit, because a cut option would get the score of its beginning.
        """
        before = self.prompt_prefix(prefix)
        texts = [self._tokens(Conversation("option", (Round(question, option),)), before) for option in options]
        rows = [self._check_length(tokens.up_to_end()) for tokens in texts]
        shared = min((tokens.rounds.index(0) for tokens in texts), default=0)
        columns = zip(*(row[:shared] for row in rows), strict=True)
        common = sum(1 for _ in takewhile(lambda column: len({*column}) == 1, columns))
        return [*rows[0][:common]] if rows else [], [row[common:] for row in rows]

    def pad(self, rows: Sequence[Sequence[int]], *, side: Literal["left", "right"]) -> dict[str, Tensor]:
        """Pad rows of ids to ``input_ids`` and ``attention_mask``, ``(B, T)`` int64."""
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), self.pad_id)
        mask = torch.zeros_like(ids)
        for index, row in enumerate(rows):
            columns = slice(width - len(row), width) if side == "left" else slice(len(row))
            ids[index, columns] = torch.tensor(row)
            mask[index, columns] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def decode_answer(self, ids: Sequence[int] | Tensor) -> str:
        """Decode generated ids to text without special tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _tokens(self, conversation: Conversation, before: str) -> Tokens:
        prompt = self.prompt(conversation.rounds, before, open_ended=False)
        ids, offsets = self._encode(prompt.text)
        rounds = _rounds_of(offsets, prompt.answers)
        labels = [token if index >= 0 else IGNORED for token, index in zip(ids, rounds, strict=True)]
        return Tokens(ids, labels, rounds)

    def _check_length(self, ids: list[int]) -> list[int]:
        if len(ids) > self.max_length:
            raise DataError(
                f"a question of {len(ids)} tokens; raise --llm.max_length ({self.max_length}) or shorten it"
            )
        return ids

    def _encode(self, text: str) -> tuple[list[int], Offsets]:
        """Tokenize a prompt; a chat template writes its own start token."""
        return encode_prompt(self.tokenizer, text, add_start=self.conversation != "chat")

    def _template(self) -> Template:
        if self.conversation == "chat":
            return chat(self.tokenizer)
        return {"vicuna": vicuna, "plain": plain}[self.conversation](self.tokenizer.eos_token)


def _questions(text: str | Sequence[str]) -> list[str]:
    """The questions of a call; raises `DataError` if there is none, or one is no text."""
    questions: list[Any] = list(text) if isinstance(text, list | tuple) else [text]
    wrong = [type(question).__name__ for question in questions if not isinstance(question, str)]
    if wrong or not questions:
        what = f"got {wrong[0]}, which is no text" if wrong else "the list is empty"
        raise DataError(f"text: {what}; give a question or a list of questions")
    return questions


def _arrays(clouds: Sequence[np.ndarray] | np.ndarray) -> list[Any]:
    """The clouds of a call: those of a list or of a batch, otherwise `clouds` as the only one."""
    is_batch = isinstance(clouds, np.ndarray) and (clouds.ndim == 3 or (clouds.ndim == 1 and clouds.dtype == object))
    return list(clouds) if is_batch or isinstance(clouds, list | tuple) else [clouds]


def _rounds_of(offsets: Offsets, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Index of the answer of each token; -1 outside.

    An answer has all tokens from the first to the last with one of its characters. Some tokenizers leave spaces out of
    the offsets (``trim_offsets``), so tokens in between may have none.
    """
    rounds = [-1] * len(offsets)
    for index, (first, last) in enumerate(spans):
        inside = [position for position, (start, end) in enumerate(offsets) if end > first and start < last]
        if not inside:
            continue
        begin = inside[0]
        while begin and offsets[begin - 1] == (first, first):  # the space mark of sentencepiece
            begin -= 1
        rounds[begin : inside[-1] + 1] = [index] * (inside[-1] + 1 - begin)
    return rounds
