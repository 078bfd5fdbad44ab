"""Pretraining stages that replace public weights: the encoder on captions, the LLM on text.

The encoder learns to predict the words of the captions (multi-label), so any captioned data can be used. If the dataset
has facts, their values are predicted too. Each fact attends over the tokens with its own query, so that the tokens,
which the LLM will read, describe what is at their position.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.data import DataLoader

from spa3d.contracts.dataset import Record
from spa3d.contracts.encoder import Encoder
from spa3d.data.preparation import encoder_inputs
from spa3d.errors import DataError, error_context
from spa3d.inference.prepared_clouds import PreparedClouds
from spa3d.inference.samples import Sample
from spa3d.model.chat_templates import place_cloud
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.tokens import IGNORED, collate
from spa3d.model.trained_parts import find_batch_statistics
from spa3d.runtime.rng import Draws, keyed_generator
from spa3d.training.arguments import TrainingJob, as_batch
from spa3d.training.dataset import ConversationSampler, TrainingDataset
from spa3d.training.loss import Counts
from spa3d.training.trainer import StageTrainer

DESCRIBED = 0.6
"""Share of LLM-pretraining samples that hold the caption where the cloud will be; the rest teach the prior."""
WORD_WEIGHT = 8.0
"""Weight of the mean word loss beside the mean fact loss: most words are absent, so their mean loss is small."""
UNKNOWN = -1
TargetRow = tuple[np.ndarray, np.ndarray]
"""Words and facts of one record, as `Targets.row` gives them."""


class Targets:
    """Prediction targets of the encoder: one row of integers per record.

    Args:
        records: the training records, source of the vocabulary.
        max_words: size of the caption vocabulary.
        min_count: smallest number of captions with a word of the vocabulary.

    Raises:
        DataError: the records give no target.

    """

    def __init__(self, records: Sequence[Record], *, max_words: int = 400, min_count: int = 5) -> None:
        words, values = Counter[str](), dict[tuple[str, str], set[str]]()
        for record in records:
            words.update(_words(record))
            for fact in record.facts:
                values.setdefault((fact.kind, fact.subject), set()).add(fact.answer)
        # By count and then by name: the order of sets differs between processes.
        frequent = sorted(words, key=lambda word: (-words[word], word))[:max_words]
        common = [word for word in frequent if min_count <= words[word] < 0.95 * len(records)]
        self.words = {word: i for i, word in enumerate(sorted(common))}
        varied = {key: sorted(answers) for key, answers in values.items() if len(answers) > 1}
        self.facts = {key: {value: i for i, value in enumerate(answers)} for key, answers in sorted(varied.items())}
        if not (self.words or self.facts):
            raise DataError(
                f"the captions of the {len(records)} training records give an encoder nothing to learn: no word stands "
                f"in {min_count} of them or more but not in nearly all, and no fact differs; give more or fuller "
                "captions, facts, or a finished 3D LLM with --base"
            )

    def row(self, record: Record) -> TargetRow:
        """Words ``(W,)`` 0/1 and facts ``(K,)`` as index of the value; `UNKNOWN` without one."""
        words = np.zeros(len(self.words), dtype=np.float32)
        words[[self.words[word] for word in _words(record) if word in self.words]] = 1
        facts = np.full(len(self.facts), UNKNOWN, dtype=np.int64)
        answers = {(fact.kind, fact.subject): fact.answer for fact in record.facts}
        for number, (key, values) in enumerate(self.facts.items()):
            facts[number] = values.get(answers.get(key, ""), UNKNOWN)
        return words, facts


class EncoderPretraining(nn.Module):
    """Encoder with heads on its tokens: one for the words, and one query per fact."""

    possible: Tensor

    def __init__(self, encoder: Encoder, targets: Targets) -> None:
        super().__init__()
        self.encoder = encoder
        dim = encoder.dim
        self.words = nn.Linear(2 * dim, len(targets.words)) if targets.words else None
        self.sizes = [len(values) for values in targets.facts.values()]
        self.queries = nn.Parameter(torch.randn(len(self.sizes), dim) / math.sqrt(dim))
        self.norm = nn.LayerNorm(dim)
        self.values = nn.Linear(dim, dim)
        widest = max(self.sizes, default=1)
        self.answers = nn.Parameter(torch.randn(len(self.sizes), dim, widest) / math.sqrt(dim))
        places = torch.arange(widest)[None, :] < torch.tensor(self.sizes or [1])[:, None]
        self.register_buffer("possible", places, persistent=False)

    def forward(
        self, points: Float[Tensor, "B N C"], words: Float[Tensor, "B W"], facts: Int[Tensor, "B K"]
    ) -> Float[Tensor, " B"]:
        """Loss per cloud: binary cross-entropy of the words plus cross-entropy of the known facts."""
        tokens = self.norm(self.encoder(points).float())
        pooled = torch.cat([tokens.mean(dim=1), tokens.amax(dim=1)], dim=-1)
        loss = points.new_zeros(len(points))
        if self.words is not None:
            loss = loss + WORD_WEIGHT * F.binary_cross_entropy_with_logits(
                self.words(pooled), words, reduction="none"
            ).mean(dim=1)
        if facts.shape[1]:
            known = facts != UNKNOWN
            each = F.cross_entropy(
                self.fact_logits(tokens).flatten(0, 1), facts.clamp(min=0).flatten(), reduction="none"
            ).view_as(facts)
            loss = loss + (each * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
        return loss

    def fact_logits(self, tokens: Float[Tensor, "B M D"]) -> Float[Tensor, "B K V"]:
        """Logits of each fact's values, by attention over the tokens; -inf for impossible values."""
        attention = torch.softmax(
            torch.einsum("kd,bmd->bkm", self.queries, tokens) * math.sqrt(tokens.shape[-1]), dim=-1
        )
        read = torch.einsum("bkm,bmd->bkd", attention, self.values(tokens))
        logits = torch.einsum("bkd,kdv->bkv", read, self.answers)
        return logits.masked_fill(~self.possible, float("-inf"))


class EncoderTrainer(StageTrainer):
    """Trainer of `EncoderPretraining`, on clouds rotated about the up axis by a keyed angle."""

    def __init__(
        self,
        job: TrainingJob,
        *,
        model: EncoderPretraining,
        samples: TrainingDataset[Any],
        clouds: PreparedClouds,
        rows: Mapping[str, TargetRow],
    ) -> None:
        super().__init__(job, model=model, samples=samples)
        self.clouds, self.rows = clouds, rows
        self.up_axis = clouds.dataset.up_axis

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Transformers' hook: with batch statistics every process gets whole batches."""
        whole: Any = self.model
        if self.accelerator.num_processes == 1 or not find_batch_statistics(whole.encoder):
            return super().get_train_dataloader()
        samples: Any = self.train_dataset
        size = self.job.settings.batch_size // self.job.settings.accumulation
        return DataLoader(samples, batch_size=size, collate_fn=as_batch)

    def loss(self, model: nn.Module, batch: Any, counts: Counts) -> Tensor:
        """Mean loss per cloud over the whole step."""
        samples: Sequence[Sample] = batch["samples"]
        ids = [sample.record_id for sample in samples]
        device = self.args.device
        points = torch.from_numpy(self.clouds.get(ids)).to(device)
        draws = Draws([(self.args.seed, sample.epoch, sample.record_id, "yaw") for sample in samples], device)
        points = rotate(points, 2 * math.pi * draws.uniform(), self.up_axis)
        encoder: Any = self.accelerator.unwrap_model(model)
        words = torch.from_numpy(np.stack([self.rows[i][0] for i in ids])).to(device)
        facts = torch.from_numpy(np.stack([self.rows[i][1] for i in ids])).to(device)
        losses = model(encoder_inputs(points, encoder.encoder.inputs, self.up_axis), words, facts)
        return losses.sum() / counts["sequence"]


class LanguageTrainer(StageTrainer):
    """Trainer of the LLM: next-token loss on text alone, for all tokens."""

    def __init__(self, job: TrainingJob, *, model: nn.Module, samples: TrainingDataset[Any], pad: int) -> None:
        super().__init__(job, model=model, samples=samples)
        self.pad = pad

    def count(self, batches: Sequence[Any]) -> Counts:
        """Supervised tokens of the step."""
        samples = [sample for batch in batches for sample in batch["samples"]]
        return {"token": float(sum(sample.texts["chosen", "blind"].answer_count for sample in samples))}

    def loss(self, model: nn.Module, batch: Any, counts: Counts) -> Tensor:
        """Mean NLL per token over the whole step, nats."""
        rows = [sample.texts["chosen", "blind"] for sample in batch["samples"]]
        inputs = collate(rows, self.pad, self.args.device)
        inputs.pop("rounds")
        return -model(**inputs).answer_logp.sum() / counts["token"]


def language_text(
    processor: Spa3dProcessor, sampler: ConversationSampler, seed: int
) -> Callable[[Record, int], Sample]:
    """Make samples for `LanguageTrainer`: a conversation, with or without the caption before it."""

    def text(record: Record, epoch: int) -> Sample:
        described = keyed_generator("described", seed, epoch, record.id).random() < DESCRIBED
        conversation = sampler(record, epoch)
        if described and record.caption:
            first, *rest = conversation.rounds
            described_turn = replace(first, question=place_cloud(first.question, f"{record.caption}\n"))
            conversation = replace(conversation, rounds=(described_turn, *rest))
        with error_context(record.id):
            tokens = processor.tokenize(conversation, cloud=False)
        supervised = [IGNORED, *tokens.ids[1:]]
        tokens = replace(tokens, labels=supervised)
        return Sample(record.id, epoch, {("chosen", "blind"): tokens}, has_cloud=False)

    return text


def rotate(points: Float[Tensor, "B N C"], angle: Float[Tensor, " B"], up_axis: str) -> Float[Tensor, "B N C"]:
    """The clouds rotated by `angle` (radians) about the up axis; other channels stay."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[up_axis]
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    rotated = points.clone()
    rotated[..., first] = cos * points[..., first] - sin * points[..., second]
    rotated[..., second] = sin * points[..., first] + cos * points[..., second]
    return rotated


def _words(record: Record) -> set[str]:
    return set(re.findall(r"[a-z]+", (record.caption or "").lower()))
