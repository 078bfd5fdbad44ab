"""The processor: tokenizer, point preparation and conversation template of one 3D LLM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerFast, ProcessorMixin

from spa3d.contracts.dataset import Conversation, Round
from spa3d.data.cloud_checks import Colors, from_array
from spa3d.data.preparation import Preparation, prepare
from spa3d.errors import DataError
from spa3d.model.chat_templates import Prompt, Template, plain, vicuna
from spa3d.model.special_tokens import reject_special_tokens
from spa3d.model.tokens import IGNORED, PromptPrefix, Tokens


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

    def __call__(
        self,
        text: str | Sequence[str],
        clouds: Sequence[np.ndarray] | np.ndarray | None = None,
        colors: Colors = "0-1",
        **kwargs: Any,
    ) -> Spa3dInputs:
        """Make inputs of ``generate``, padded on the left, from questions with or without clouds.

        Args:
            text: one question or several.
            clouds: ``(N, 6)`` xyz in any unit and rgb, or ``(N, 3)`` without color; floating point. float64 is
                normalized before it is rounded to float32.
            colors: the range of rgb; values are divided by 255 only for 0-255.
            kwargs: arguments that transformers passes; ignored.

        Raises:
            DataError: an array is not a valid cloud.

        """
        questions = [text] if isinstance(text, str) else list(text)
        prefix: PromptPrefix = "blind" if clouds is None else "cloud"
        batch = self.pad([self.question_ids(question, prefix) for question in questions], side="left")
        if clouds is not None:
            arrays = [clouds] if isinstance(clouds, np.ndarray) and clouds.ndim == 2 else list(clouds)
            batch["points"] = torch.from_numpy(
                np.stack([self._prepare_array(array, i, colors) for i, array in enumerate(arrays)])
            )
        return Spa3dInputs(batch)

    def _prepare_array(self, array: np.ndarray, number: int, colors: Colors) -> Float32[np.ndarray, "N 6"]:
        cloud = from_array(array, where=f"cloud {number}", colors=colors)
        return self.prepare(cloud, "call", number, has_color=array.shape[1] == 6)

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
        """Format the conversation in the template, with `before` in front of the first question.

        Raises:
            DataError: a question or an answer contains a special token.

        """
        reject_special_tokens(rounds, {*self.tokenizer.all_special_tokens, *self.point_tokens})
        if self.conversation == "chat":
            return self._chat(rounds, before, open_ended)
        templates: dict[str, Template] = {
            "vicuna": vicuna(self.tokenizer.eos_token),
            "plain": plain(self.tokenizer.eos_token),
        }
        return templates[self.conversation](rounds, before, self.system, open_ended)

    def tokenize(self, conversation: Conversation, before: str) -> Tokens:
        """Tokenize a conversation, with labels on the answers; cut at ``max_length`` tokens."""
        whole, kept = self._tokens(conversation, before), slice(self.max_length)
        tokens = Tokens(whole.ids[kept], whole.labels[kept], whole.rounds[kept])
        return replace(tokens, cut=whole.answer_count - tokens.answer_count)

    def question_ids(self, question: str, prefix: PromptPrefix) -> list[int]:
        """Token ids of one question up to its answer; raises `DataError` if there are too many."""
        prompt = self.prompt([Round(question, "")], self.prompt_prefix(prefix), open_ended=True)
        return self._check_length(self._encode(prompt.text)["input_ids"])

    def option_ids(
        self, question: str, options: Sequence[str], prefix: PromptPrefix
    ) -> tuple[list[int], list[list[int]]]:
        """Token ids of the common prompt, and of each option with the end token.

        Each option is tokenized inside its prompt, as in training, and split at the start of the answer. Raises
        `DataError` if one does not fit, because a cut option would get the score of its beginning.
        """
        before = self.prompt_prefix(prefix)
        head, tails = list[int](), list[list[int]]()
        for option in options:
            tokens = self._tokens(Conversation("option", (Round(question, option),)), before)
            start = tokens.rounds.index(0)
            head, tail = self._check_length(tokens.ids)[:start], tokens.ids[start:]
            tails.append(tail)
        return head, tails

    def pad(self, rows: Sequence[Sequence[int]], *, side: Literal["left", "right"]) -> dict[str, Tensor]:
        """Pad rows of ids to ``input_ids`` and ``attention_mask``, ``(B, T)`` int64."""
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), int(self.tokenizer.pad_token_id))
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
        encoded = self._encode(prompt.text, return_offsets_mapping=True)
        ids, rounds = encoded["input_ids"], _rounds_of(encoded["offset_mapping"], prompt.answers)
        labels = [token if index >= 0 else IGNORED for token, index in zip(ids, rounds, strict=True)]
        return Tokens(ids, labels, rounds)

    def _check_length(self, ids: list[int]) -> list[int]:
        if len(ids) > self.max_length:
            raise DataError(
                f"a question of {len(ids)} tokens; raise --llm.max_length ({self.max_length}) or shorten it"
            )
        return ids

    def _encode(self, text: str, **options: Any) -> Any:
        """Tokenize a prompt; a chat template writes its own start token."""
        return self.tokenizer(text, add_special_tokens=self.conversation != "chat", **options)

    def _chat(self, rounds: Sequence[Round], before: str, open_ended: bool) -> Prompt:
        messages = [{"role": "system", "content": self.system}] if self.system else []
        text, spans = "", []
        for number, turn in enumerate(rounds):
            question = before + turn.question if number == 0 else turn.question
            messages.append({"role": "user", "content": question})
            text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            if open_ended and number == len(rounds) - 1:
                break
            start = len(text)
            messages.append({"role": "assistant", "content": turn.answer})
            text = self.tokenizer.apply_chat_template(messages, tokenize=False)
            spans.append((start, len(text.rstrip())))
        return Prompt(text, tuple(spans))


def _rounds_of(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[int]:
    """Index of the answer span around each token; -1 outside, and for tokens without characters."""
    rounds = []
    for start, end in offsets:
        inside = [i for i, (first, last) in enumerate(spans) if end > start and start >= first and end <= last]
        rounds.append(inside[0] if inside else -1)
    return rounds
