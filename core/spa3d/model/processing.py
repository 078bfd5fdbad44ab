"""The processor: tokenizer, point preparation and conversation template of one 3D LLM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerFast, ProcessorMixin

from spa3d.contracts.dataset import POINT, Conversation, Round
from spa3d.data.cloud_checks import Colors, from_array
from spa3d.data.conversations import from_turns
from spa3d.data.preparation import Preparation, prepare
from spa3d.errors import DataError
from spa3d.llm_clients.prompt_ids import encode_prompt
from spa3d.model.chat_templates import FRAMES, Prompt, Template, chat, chat_end, make_template
from spa3d.model.jinja_template import render_jinja
from spa3d.model.special_tokens import reject_special_tokens, special_tokens_of
from spa3d.model.tokens import IGNORED, Tokens, find_rounds

SENTENCEPIECE = "tokenizer.model"
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
        point_tokens: names of start, patch and end token; start and end may be empty.
        max_length: longest prompt with answer, in tokens.

    Attributes:
        sentencepiece: content of the file that `tokenizer` was made of; kept for an export to PointLLM's layout.

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
        self.sentencepiece: bytes | None = None

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Self:
        """Read a saved processor; its tokenizer never brings code of its own."""
        processor: Self = super().from_pretrained(
            pretrained_model_name_or_path, *args, **{**kwargs, "trust_remote_code": False}
        )
        file = Path(pretrained_model_name_or_path) / SENTENCEPIECE
        processor.sentencepiece = file.read_bytes() if file.is_file() else None
        return processor

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        """Save as every processor of transformers, with the `sentencepiece` file if there is one."""
        result = super().save_pretrained(save_directory, *args, **kwargs)
        if self.sentencepiece is not None:
            (Path(save_directory) / SENTENCEPIECE).write_bytes(self.sentencepiece)
        return result

    @property
    def chat_template(self) -> str | dict[str, str] | None:
        """Chat template of the conversations, in Jinja, for programs that do not know spa3d."""
        if self.conversation == "chat":
            return self.tokenizer.chat_template
        starts = self.tokenizer("").input_ids[:1] == [self.tokenizer.bos_token_id]
        start, end = self.tokenizer.bos_token if starts else "", self.tokenizer.eos_token
        frames = FRAMES[self.conversation]
        return render_jinja(frames, start=start, end=end, system=self.system, points=self.point_block)

    @chat_template.setter
    def chat_template(self, template: object) -> None:
        """Ignore what transformers read from the file."""

    @property
    def point_ids(self) -> list[int]:
        """Token ids of start, patch and end token; that of the patch for a token without a name."""
        vocabulary, patch = self.tokenizer.get_vocab(), self.point_tokens[1]
        return [vocabulary.get(name or patch, -1) for name in self.point_tokens]

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
        rows = [self.question_ids(question, cloud=clouds is not None) for question in questions]
        batch = self.pad(rows, side="left")
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

    @property
    def special_tokens(self) -> set[str]:
        """Special tokens of the tokenizer and the point tokens, which no text may contain."""
        return special_tokens_of(self.tokenizer) | {*filter(None, self.point_tokens)}

    @property
    def point_block(self) -> str:
        """The point tokens of one cloud, start and end token included."""
        start, patch, end = self.point_tokens
        return start + patch * self.num_point_tokens + end

    def prompt(self, rounds: Sequence[Round], *, cloud: bool) -> Prompt:
        """Format the conversation in the template, with `cloud` with the point block.

        Raises:
            DataError: a question or an answer contains a special token, or there are more marks than one.

        """
        reject_special_tokens(rounds, self.special_tokens)
        for number, turn in enumerate(rounds):
            if turn.question.count(POINT) > (number == 0):
                raise DataError(f"the question {turn.question[:80]!r}: {POINT} may occur once, in the first question")
            if cloud and POINT in turn.answer:
                raise DataError(f"the answer {turn.answer[:80]!r}: {POINT} may occur once, in the first question")
        return self._template()(rounds, f"{self.point_block}\n" if cloud else "", self.system)

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

    def tokenize(self, conversation: Conversation | Sequence[Mapping[str, str]], *, cloud: bool) -> Tokens:
        """Tokenize a conversation, with labels on the answers; cut at ``max_length`` tokens.

        Args:
            conversation: a conversation, or PointLLM's turns ``{"from": "human" or "gpt", "value": text}``.
            cloud: show the cloud, if the conversation is about one.

        """
        if not isinstance(conversation, Conversation):
            conversation = from_turns(conversation)
        whole, kept = self._tokens(conversation, cloud=cloud), slice(self.max_length)
        tokens = Tokens(whole.ids[kept], whole.labels[kept], whole.rounds[kept])
        return replace(tokens, cut=whole.answer_count - tokens.answer_count)

    def question_ids(self, question: str, *, cloud: bool) -> list[int]:
        """Token ids of one question up to its answer; raises `DataError` if there are too many."""
        return self._check_length(self.prompt_ids((), question, cloud=cloud))

    def prompt_ids(self, history: Sequence[Round], question: str, *, cloud: bool) -> list[int]:
        """Token ids of a conversation of any length up to the answer to `question`.

        They are cut before an answer, because some tokenizers read the last line break otherwise where a text ends.
        """
        conversation = Conversation("question", (*history, Round(question, ANSWER)))
        tokens = self._tokens(conversation, cloud=cloud)
        return tokens.ids[: tokens.rounds.index(len(history))]

    def option_ids(self, question: str, options: Sequence[str], *, cloud: bool) -> tuple[list[int], list[list[int]]]:
        """Token ids of the common prompt, and of the rest with each option and its end token.

        Each option is tokenized inside its prompt, as in training; prompt and rest together are the ids of that text.
        The common prompt ends before the first answer token, or earlier where an option changes the tokens before it.
        Raises `DataError` if an option does not fit, because a cut option would get the score of its beginning.
        """
        rounds = ((Round(question, option),) for option in options)
        texts = [self._tokens(Conversation("option", each), cloud=cloud) for each in rounds]
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

    def _tokens(self, conversation: Conversation, *, cloud: bool) -> Tokens:
        shown = cloud and conversation.has_cloud
        prompt = self.prompt(conversation.rounds, cloud=shown)
        add_start = self.conversation != "chat"  # a chat template writes its own start token
        ids, offsets = encode_prompt(self.tokenizer, prompt.text, add_start=add_start)
        rounds = find_rounds(offsets, prompt.answers)
        labels = [token if index >= 0 else IGNORED for token, index in zip(ids, rounds, strict=True)]
        return Tokens(ids, labels, rounds)

    def _check_length(self, ids: list[int]) -> list[int]:
        if len(ids) > self.max_length:
            raise DataError(
                f"a question of {len(ids)} tokens, and the model was made for {self.max_length} (--llm.max_length); "
                "shorten it"
            )
        return ids

    def _template(self) -> Template:
        if self.conversation == "chat":
            return chat(self.tokenizer)
        return make_template(FRAMES[self.conversation], self.tokenizer.eos_token)


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
