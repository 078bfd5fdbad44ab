"""Generation of answers, greedy or sampled, and the log p of given answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    SuppressTokensLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.generation.streamers import BaseStreamer

from spa3d.errors import DataError
from spa3d.inference.contrast import Contrast, ContrastLogits
from spa3d.model.llm import max_positions, stop_ids
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.tokens import IGNORED, Tokens, collate
from spa3d.runtime.rng import Draws

OnText = Callable[[str], object]
"""Receiver of an answer piece by piece, while it is generated."""


@dataclass(frozen=True)
class Decoding:
    """How an answer is generated.

    Attributes:
        max_tokens: most tokens of an answer; there are fewer where the LLM's positions end.
        temperature: 0 takes the most likely token; above, tokens are drawn with the logits divided by it.
        top_p: draw only among the most likely tokens that together have this probability.
        seed: of the draws. An answer depends on the seed and its own key, never on its neighbors in a batch.
        top_k: draw only among so many of the most likely tokens; 0: among all.
        sample: number of the answer to the same question; another number has other draws.
        contrast: contrastive decoding of prompts that have a noised cloud, too; None: from the shown cloud alone.

    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    top_k: int = 0
    sample: int = 0
    contrast: Contrast | None = None

    @property
    def description(self) -> dict[str, Any]:
        """How answers are picked or written, for reports; the same keys from runs and evaluations."""
        most: dict[str, Any] = {"most_tokens": self.max_tokens}
        if self.temperature:
            most |= {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k, "draws_seed": self.seed}
        if self.contrast:
            most |= {"contrast_alpha": self.contrast.alpha, "contrast_cutoff": self.contrast.cutoff}
        free, source = "drawn" if self.temperature else "greedy", " from contrasted logits" if self.contrast else ""
        return {"options": f"by likelihood{source}", "free_answers": f"{free}{source}", **most}

    @property
    def draws_key(self) -> tuple[int, ...]:
        """Key of the draws: the seed, and the number of the sample after the first one."""
        return (self.seed, self.sample) if self.sample else (self.seed,)


@dataclass(frozen=True)
class Prompt:
    """A prompt that is to be continued: its ids, and its cloud as encoder tokens ``(M, D)``.

    ``key`` makes the draws of its answer different from those of other prompts. ``noised`` is the noised cloud that
    contrastive decoding needs.
    """

    ids: list[int]
    cloud: Tensor | None = None
    key: str = ""
    noised: Tensor | None = None


@dataclass(frozen=True)
class AnswerIds:
    """Token ids of one answer; ``stopped`` if the last one is a token that ends an answer."""

    ids: list[int]
    stopped: bool

    @property
    def text_ids(self) -> list[int]:
        """The ids without the one that ends the answer."""
        return self.ids[:-1] if self.stopped else self.ids


@dataclass(frozen=True)
class Generator:
    """Generator of the answers of a 3D LLM.

    Attributes:
        model, processor: the 3D LLM.
        bf16: run under bfloat16 autocast.

    """

    model: Spa3dModel
    processor: Spa3dProcessor
    bf16: bool = False

    def room(self, prompt: Sequence[int], most: int) -> int:
        """Most tokens of an answer: `most`, or fewer where the LLM's positions end.

        Raises:
            DataError: there is no position left.

        """
        positions = max_positions(self.model.config.text_config) or len(prompt) + most
        if positions <= len(prompt):
            raise DataError(
                f"a question of {len(prompt)} tokens leaves no room for an answer in the {positions} positions of the "
                "LLM; shorten it"
            )
        return min(most, positions - len(prompt))

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, *, on_text: OnText | None = None
    ) -> list[AnswerIds]:
        """Continue each prompt up to a token that ends an answer, in order.

        Args:
            prompts: with or without clouds.
            decoding: greedy decoding gives equal answers to equal prompts.
            on_text: gets the answer to a single prompt as it grows.

        Raises:
            DataError: a prompt leaves no room for an answer.

        """
        rooms = [self.room(prompt.ids, decoding.max_tokens) for prompt in prompts]
        answers: dict[int, AnswerIds] = {}
        for room in sorted({*rooms}):
            places = [position for position, other in enumerate(rooms) if other == room]
            some = self._continue([prompts[position] for position in places], room, decoding, on_text)
            answers.update(zip(places, some, strict=True))
        return [answers[position] for position in range(len(prompts))]

    def score(self, prompts: Sequence[Prompt], answers: Sequence[AnswerIds]) -> list[float]:
        """Log p of each answer after its prompt, the end token included, in nats."""
        sums: list[float] = self._score(prompts, answers).answer_logp.sum(dim=1).tolist()
        return sums

    def score_vocabulary(self, prompts: Sequence[Prompt], answers: Sequence[AnswerIds]) -> Float[Tensor, "A V"]:
        """Log p of the whole vocabulary at each answer token, prompt by prompt, in nats."""
        whole: Tensor = self._score(prompts, answers, vocabulary=True).answer_vocabulary
        return whole

    def _score(self, prompts: Sequence[Prompt], answers: Sequence[AnswerIds], **options: Any) -> Any:
        """Run one forward over prompts with their answers."""
        rows = [
            Tokens(prompt.ids + answer.ids, [IGNORED] * len(prompt.ids) + answer.ids, [])
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        patch = self.model.config.point_ids[1]
        inputs = collate(rows, self.processor.pad_id, self.model.device)
        with torch.no_grad(), self.precision():
            return self.model(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                labels=inputs["labels"],
                point_tokens=_stack(prompts),
                patch_count=sum(row.ids.count(patch) for row in rows),
                **options,
            )

    def decode(self, answer: AnswerIds) -> str:
        """The text of an answer."""
        return self.processor.decode_answer(answer.text_ids)

    def precision(self) -> AbstractContextManager[object]:
        """Context of the arithmetic: bfloat16 autocast, or nothing."""
        return torch.autocast(self.model.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def _continue(
        self, prompts: Sequence[Prompt], room: int, decoding: Decoding, on_text: OnText | None
    ) -> list[AnswerIds]:
        """Continue each prompt by at most `room` tokens."""
        count = len(prompts)
        if decoding.contrast:
            prompts = [*prompts, *(replace(prompt, cloud=prompt.noised) for prompt in prompts)]
        rows = self.processor.pad([prompt.ids for prompt in prompts], side="left")
        inputs = {name: value.to(self.model.device) for name, value in rows.items()}
        model: Any = self.model
        stops = stop_ids(model, *self.processor.stop_ids)
        options: dict[str, Any] = {"logits_processor": LogitsProcessorList()}
        if decoding.contrast:
            options["logits_processor"].append(ContrastLogits(decoding.contrast))
        patch = [self.model.config.point_ids[1]]  # stands for a cloud, and there is none in an answer
        options["logits_processor"].append(SuppressTokensLogitsProcessor(patch, str(self.model.device)))
        if decoding.temperature:
            draws = Draws([("answer", *decoding.draws_key, prompt.key) for prompt in prompts], self.model.device)
            options["logits_processor"].append(_KeyedSampling(decoding, draws))
        if on_text is not None:
            options["streamer"] = _TextStreamer(self.processor, stops, on_text)
        with torch.no_grad(), self.precision():
            written = model.generate(
                **inputs,
                point_tokens=_stack(prompts),
                max_new_tokens=room,
                do_sample=False,
                eos_token_id=stops or None,
                pad_token_id=self.processor.pad_id,
                **options,
            )
        return [_cut(answer, stops) for answer in written[:count, inputs["input_ids"].shape[1] :].tolist()]


def _cut(ids: Sequence[int], stops: Sequence[int]) -> AnswerIds:
    """Cut what stands behind the first of `stops`."""
    count = sum(1 for _ in takewhile(lambda token: token not in stops, ids))
    return AnswerIds([*ids[: count + 1]], count < len(ids))


def _stack(prompts: Sequence[Prompt]) -> Tensor | None:
    """The clouds of the prompts that have one, ``(C, M, D)``; None if none has."""
    clouds = [prompt.cloud for prompt in prompts if prompt.cloud is not None]
    return torch.stack(clouds) if clouds else None


class _KeyedSampling(LogitsProcessor):
    """Draws one token per row and leaves it alone possible, so that greedy decoding takes it.

    The draws come from keyed generators: transformers' own sampling takes the global one, with which an answer would
    depend on its neighbors in the batch.
    """

    def __init__(self, decoding: Decoding, draws: Draws) -> None:
        self.temperature, self.draws = decoding.temperature, draws
        self.limits = LogitsProcessorList()
        if decoding.top_k:
            self.limits.append(TopKLogitsWarper(decoding.top_k))
        if decoding.top_p < 1:
            self.limits.append(TopPLogitsWarper(decoding.top_p))

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Logits ``(B, V)`` in which only the drawn token is finite."""
        logits: Any = self.limits(input_ids, scores.float() / self.temperature)
        total = torch.softmax(logits, dim=-1).double().cumsum(dim=-1)
        drawn = torch.searchsorted(total, self.draws.uniform(1).double() * total[:, -1:], right=True)
        chosen = drawn.clamp(max=logits.shape[-1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(1, chosen, 0.0)


class _TextStreamer(BaseStreamer):
    """Passes on the text of a growing answer; the pieces together are the answer.

    Args:
        processor: decodes the ids.
        stops: ids that end an answer.
        on_text: gets each new piece.

    """

    def __init__(self, processor: Spa3dProcessor, stops: Sequence[int], on_text: OnText) -> None:
        self.processor, self.stops, self.on_text = processor, stops, on_text
        self.ids: list[int] | None = None
        self.shown = ""

    def put(self, value: Tensor) -> None:
        """Take the prompt, and then one token at a time."""
        if self.ids is None:
            self.ids = []
            return
        self.ids += value.flatten().tolist()
        self._show(final=False)

    def end(self) -> None:
        """Pass on what was held back."""
        self._show(final=True)

    def _show(self, *, final: bool) -> None:
        ids = takewhile(lambda token: token not in self.stops, self.ids or [])
        text = self.processor.decode_answer([*ids])
        incomplete = text.endswith("\N{REPLACEMENT CHARACTER}")  # bytes of one character come one by one
        if text.startswith(self.shown) and len(text) > len(self.shown) and (final or not incomplete):
            self.on_text(text[len(self.shown) :])
            self.shown = text
