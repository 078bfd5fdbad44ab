"""Answers questions with a 3D LLM: options by likelihood, free text by generation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from spa3d.contracts.benchmark import Prediction, Question
from spa3d.data.questions import OPTIONS
from spa3d.errors import CheckpointError, error_context
from spa3d.inference.contrast import Contrast
from spa3d.inference.generation import AnswerIds, Decoding, Generator, Prompt
from spa3d.inference.views import View
from spa3d.model.llm import keeps_keys_and_values
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.runtime.progress import Advance

LONGEST_ANSWER = 64
"""Tokens after which a free answer is cut."""
GREEDY = Decoding(max_tokens=LONGEST_ANSWER)
CLEAN, NOISED = "clean", "noised"
"""The views that contrastive decoding compares; all other views are decoded without it."""


@dataclass(frozen=True)
class Predictor:
    """Predictor of a 3D LLM under its views.

    Attributes:
        model, processor: the 3D LLM.
        views: views of the model; noise is that of the first epoch.
        batch_size: questions per forward; fewer where a question has more than four options.
        bf16: run under bfloat16 autocast.
        decoding: of free answers; its contrast also scores the options.

    """

    model: Spa3dModel
    processor: Spa3dProcessor
    views: Mapping[str, View]
    batch_size: int = 64
    bf16: bool = False
    decoding: Decoding = GREEDY

    @property
    def generator(self) -> Generator:
        """The generator of free answers."""
        return Generator(self.model, self.processor, self.bf16)

    def answer(self, questions: Sequence[Question], view: str, advance: Advance) -> list[Prediction]:
        """Predict the answer to each question, in order, under the named view."""
        predictions_by_index: dict[int, Prediction] = {}
        for indices, predictions in self.answer_batches(questions, view):
            predictions_by_index.update(zip(indices, predictions, strict=True))
            advance(len(indices))
        return [predictions_by_index[index] for index in range(len(questions))]

    def answer_batches(
        self, questions: Sequence[Question], view: str
    ) -> Iterator[tuple[Sequence[int], list[Prediction]]]:
        """Yield the answers batch by batch, with the indices of their questions."""
        self.model.eval()
        for indices in self._batches(questions):
            batch = [questions[index] for index in indices]
            ask = self._score_options if batch[0].options else self._generate
            with torch.no_grad(), self.generator.precision():
                predictions = ask(batch, self.views[view])
            yield indices, predictions

    def _batches(self, questions: Sequence[Question]) -> Iterator[list[int]]:
        """Yield batches of indices: questions with the same number of options and similar length."""
        shapes = {len(question.options or ()) for question in questions}
        for shape in sorted(shapes):
            indices = [i for i, question in enumerate(questions) if len(question.options or ()) == shape]
            indices.sort(key=lambda index: len(questions[index].prompt))
            size = max(1, self.batch_size * OPTIONS // max(shape, OPTIONS))
            for first in range(0, len(indices), size):
                yield indices[first : first + size]

    def _score_options(self, batch: Sequence[Question], view: View) -> list[Prediction]:
        """Sum of answer-token log p per option, end token included; ties go to the first."""
        encoded = []
        for question in batch:
            with error_context(question.record_id):
                options, cloud = question.options or (), view.prefix == "cloud"
                encoded.append(self.processor.option_ids(question.prompt, options, cloud=cloud))
        prefixes, tails = [prefix for prefix, _ in encoded], [tail for _, options in encoded for tail in options]
        shown = self._tokens(batch, view)
        if self._contrasts(view):
            logp = self._contrast_logp(prefixes, tails, shown, self._tokens(batch, self.views[NOISED]))
        elif keeps_keys_and_values(self.model.language_model):
            logp = self._tail_logp(prefixes, tails, shown)
        else:
            logp = self.generator.score(*self._whole_rows(prefixes, tails, shown))
        predictions = []
        for i, question in enumerate(batch):
            options = question.options or ()
            scores = logp[i * len(options) : (i + 1) * len(options)]
            predictions.append(
                Prediction(
                    text=options[max(range(len(options)), key=scores.__getitem__)],
                    option_logp=tuple(scores),
                    option_lengths=tuple(len(tail) for tail in encoded[i][1]),
                )
            )
        return predictions

    def _contrasts(self, view: View) -> bool:
        return self.decoding.contrast is not None and view.name == CLEAN

    def _tail_logp(
        self, prefixes: Sequence[list[int]], tails: Sequence[list[int]], point_tokens: Tensor | None
    ) -> list[float]:
        """Log p of each tail after its prefix, nats; tails share one forward over their prefix."""
        device, share = self.model.device, len(tails) // len(prefixes)
        prompt = {name: value.to(device) for name, value in self.processor.pad(prefixes, side="left").items()}
        mask = prompt["attention_mask"]
        first = self.model(
            **prompt,
            point_tokens=point_tokens,
            position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
            logits_to_keep=1,
            use_cache=True,
        )
        cache: Any = first.past_key_values
        if not hasattr(cache, "batch_repeat_interleave"):
            raise CheckpointError(
                "the LLM keeps no cache of keys and values, with which options are scored; choose one that does"
            )
        cache.batch_repeat_interleave(share)
        answer = {name: value.to(device) for name, value in self.processor.pad(tails, side="right").items()}
        ids, real = answer["input_ids"], answer["attention_mask"]
        start = mask.sum(dim=1).repeat_interleave(share)[:, None]
        rest = self.model(
            input_ids=ids,
            attention_mask=torch.cat([mask.repeat_interleave(share, dim=0), real], dim=1),
            position_ids=start + torch.arange(ids.shape[1], device=device),
            past_key_values=cache,
        )
        logits = torch.cat([first.logits.repeat_interleave(share, dim=0), rest.logits[:, :-1]], dim=1).float()
        logp = torch.log_softmax(logits, dim=-1).gather(2, ids.unsqueeze(2)).squeeze(2)
        sums: list[float] = (logp * real).sum(dim=1).tolist()  # one copy from the device, not one per element
        return sums

    def _contrast_logp(
        self,
        prefixes: Sequence[list[int]],
        tails: Sequence[list[int]],
        shown: Tensor | None,
        noised: Tensor | None,
    ) -> list[float]:
        """Log p of each tail under the contrasted logits, nats, with a forward over every whole row."""
        contrast = self.decoding.contrast or Contrast()
        clean, other = (
            self.generator.score_vocabulary(*self._whole_rows(prefixes, tails, clouds)) for clouds in (shown, noised)
        )
        logp = torch.log_softmax(contrast.combine(clean, other), dim=-1)
        ids = torch.tensor([token for tail in tails for token in tail], device=logp.device)
        rows = logp.gather(1, ids.unsqueeze(1)).squeeze(1).split([len(tail) for tail in tails])
        return [float(row.sum()) for row in rows]

    def _whole_rows(
        self, prefixes: Sequence[list[int]], tails: Sequence[list[int]], point_tokens: Tensor | None
    ) -> tuple[list[Prompt], list[AnswerIds]]:
        """Prompt and answer of each tail."""
        share = len(tails) // len(prefixes)
        clouds = [None] * len(prefixes) if point_tokens is None else [*point_tokens]
        prompts = [Prompt(prefix, cloud) for prefix, cloud in zip(prefixes, clouds, strict=True) for _ in range(share)]
        return prompts, [AnswerIds(tail, stopped=True) for tail in tails]

    def _generate(self, batch: Sequence[Question], view: View) -> list[Prediction]:
        """Generate free answers; greedily, equal questions get equal answers."""
        clouds, noised, prompts = self._tokens(batch, view), None, list[Prompt]()
        decoding = self.decoding if self._contrasts(view) else replace(self.decoding, contrast=None)
        if decoding.contrast:
            noised = self._tokens(batch, self.views[NOISED])
        for i, question in enumerate(batch):
            with error_context(question.record_id):
                ids = self.processor.question_ids(question.prompt, cloud=view.prefix == "cloud")
                self.generator.room(ids, decoding.max_tokens)
            shown, other = (None if each is None else each[i] for each in (clouds, noised))
            prompts.append(Prompt(ids, shown, f"{question.record_id}\n{question.prompt}", other))
        answers = self.generator.generate(prompts, decoding)
        return [Prediction(self.generator.decode(answer)) for answer in answers]

    def _tokens(self, batch: Sequence[Question], view: View) -> Float[Tensor, "B M D"] | None:
        return view.tokens([(question.record_id, 0) for question in batch]).tokens
