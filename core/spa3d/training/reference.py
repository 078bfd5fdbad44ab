"""Scores of the reference model: the policy as it was before the first step.

There are three ways with equal results. The scores are computed before training and saved (`PrecomputedReference`), or
a model computes them in every step (`LiveReference`): a frozen copy, or the policy with its adapters switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from spa3d.artifacts.hashing import digest
from spa3d.contracts.objective import Need, Score, Scores
from spa3d.errors import CheckpointError
from spa3d.inference.samples import Sample
from spa3d.inference.scoring import score
from spa3d.inference.views import Views
from spa3d.model.tokens import IGNORED, Tokens, collate
from spa3d.runtime.progress import Advance
from spa3d.runtime.row_store import Rows, RowStore

Key = tuple[str, str, str]
ABSENT = Tokens([0], [IGNORED], [-1])
"""Stands in the layout for a sample that has no such text or view."""
EXACT = 1e-5
"""Largest difference of a token between policy and reference before the first step: nats, and nats per nat of log p."""
ROUNDED = 0.5
"""The same under bfloat16, in nats: its logits between 16 and 32 lie 0.125 apart, and in a batch of another shape a
token moves by a few such steps. A reference of another text, cloud or model is further off."""


class Reference(Protocol):
    """Source of the scores of the reference model."""

    def scores(self, needs: Sequence[Need], batch: Sequence[Sample]) -> Mapping[Key, Score]:
        """The scores of `needs`, all of the model ``reference``, without gradient."""


class LiveReference:
    """Reference model that scores in every step: a copy, or the policy without its adapters.

    Args:
        views: views of the reference model.
        bf16: forward under bfloat16 autocast.
        switched: context that switches the adapters of the policy off; not needed for a copy.

    """

    def __init__(
        self, views: Views, *, bf16: bool, switched: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self.views, self.bf16, self.switched = views, bf16, switched

    def scores(self, needs: Sequence[Need], batch: Sequence[Sample]) -> Mapping[Key, Score]:
        """Score in one forward in eval mode without gradient; then restore the model's mode."""
        model = self.views.model
        was = model.training
        model.eval()

        def forward(**inputs: Any) -> Any:
            # As in a training step, autocast applies to this forward and not to the encoding of the clouds.
            with torch.autocast(model.device.type, torch.bfloat16, enabled=self.bf16):
                return model(**inputs)

        try:
            with torch.no_grad(), self.switched():
                return score(forward, [replace(need, grad=False) for need in needs], batch, self.views).scores
        finally:
            model.train(was)


class PrecomputedReference:
    """Reference scores that were computed before training, by text and view.

    A row holds log p of the answer tokens of one text. Its width is the next power of two, and each width has its own
    store, so a run with longer answers can still use the rows of another run.

    Args:
        store: store of the rows; its folder is named after everything that determines a score except text and view.
        views: views of the policy; they give the keys of the shown clouds.

    """

    def __init__(self, store: RowStore, views: Views) -> None:
        self.store, self.views = store, views
        self.widths: dict[int, RowStore] = {}

    def fill(
        self,
        samples: Iterable[Sample],
        needs: Sequence[Need],
        model: Reference,
        *,
        batch_size: int,
        advance: Advance,
    ) -> None:
        """Let `model` score the samples without saved scores, `batch_size` of them at once."""
        waiting: list[Sample] = []
        awaited: set[str] = set()
        for sample in samples:
            lacking = {name for name, text in self._texts(needs, sample) if name not in self._rows(text)} - awaited
            if lacking:
                waiting.append(sample)
                awaited |= lacking
            if len(waiting) == batch_size:
                self._keep(waiting, needs, model)
                waiting, awaited = [], set()
            advance(1)
        if waiting:
            self._keep(waiting, needs, model)

    def scores(self, needs: Sequence[Need], batch: Sequence[Sample]) -> Mapping[Key, Score]:
        """Saved scores at the answer positions of the texts of `batch`."""
        return {need.key: self._score(need, batch) for need in needs}

    def _score(self, need: Need, batch: Sequence[Sample]) -> Score:
        device = self.views.model.device
        texts = [(name, text) for sample in batch for name, text in self._texts([need], sample)]
        values = [self._rows(text).fetch([name], _reject_missing)[0, : text.answer_count] for name, text in texts]
        view = self.views[need.view]
        layout = collate([sample.tokens(need.text, view) or ABSENT for sample in batch], 0, device)
        mask = layout["labels"] != IGNORED
        token_logp = torch.zeros(mask.shape, device=device)
        if values:
            token_logp[mask] = torch.from_numpy(np.concatenate(values)).to(device)
        return Score(token_logp, mask, layout["rounds"])

    def _keep(self, samples: Sequence[Sample], needs: Sequence[Need], model: Reference) -> None:
        """Score `samples` and save their rows, each width in one write."""
        scores = model.scores(needs, samples)
        rows_by_store: dict[RowStore, dict[str, Rows]] = {}
        for need in needs:
            for index, sample in enumerate(samples):
                for name, text in self._texts([need], sample):
                    rows, scored = self._rows(text), scores[need.key]
                    row = np.zeros(rows.shape, dtype=np.float32)
                    row[: text.answer_count] = scored.token_logp[index][scored.answer_mask[index]].cpu().numpy()
                    rows_by_store.setdefault(rows, {})[name] = row
        for rows, by_name in rows_by_store.items():
            rows.fetch(list(by_name), partial(_stack_rows, list(by_name.values())))

    def _texts(self, needs: Sequence[Need], sample: Sample) -> list[tuple[str, Tokens]]:
        """Texts of `sample` that `needs` require, each with the key of its row."""
        texts = []
        for need in needs:
            view = self.views[need.view]
            text = sample.tokens(need.text, view)
            if text is not None:
                has_cloud = view.prefix == "cloud" and sample.has_cloud
                shown = view.key(sample.record_id_for(view), sample.epoch) if has_cloud else ""
                texts.append((digest([need.text, need.view, shown, text.ids, text.labels]), text))
        return texts

    def _rows(self, text: Tokens) -> RowStore:
        """Store of rows with the width for `text`."""
        width = 1 << (text.answer_count - 1).bit_length()
        if width not in self.widths:
            self.widths[width] = self.store.substore(str(width), (width,))
        return self.widths[width]


def check_matches_policy(policy: Scores, reference: Mapping[Key, Score], *, bf16: bool) -> None:
    """Check before the first step that policy and reference have equal scores.

    Raises:
        CheckpointError: they differ at a token by more than rounding.

    """
    for (text, view, _), expected in reference.items():
        scored = policy[text, view]
        policy_logp, reference_logp = scored.token_logp[scored.answer_mask], expected.token_logp[expected.answer_mask]
        what = f"--train.reference: before the first step the reference scores {text} answers under the view {view}"
        hint = (
            "the saved scores may be of other code: remove the folder .reference beside the bases, or take "
            "--train.reference copy"
        )
        if policy_logp.shape != reference_logp.shape:
            raise CheckpointError(
                f"{what} at {len(reference_logp)} tokens and the policy at {len(policy_logp)}; {hint}"
            )
        difference: Tensor = (policy_logp - reference_logp).abs()
        allowed = torch.full_like(difference, ROUNDED) if bf16 else EXACT * (1 + policy_logp.abs())
        if not bool(
            ((difference <= allowed) | (policy_logp == reference_logp)).all()
        ):  # a nan is a difference, equal infinities are none
            raise CheckpointError(
                f"{what} differently from the policy, by up to {float(difference.max()):.3g} nats at one token where "
                f"{float(allowed.max()):.1g} is rounding; {hint}"
            )


def _stack_rows(rows: Sequence[Rows], indices: list[int]) -> Rows:
    return np.stack([rows[index] for index in indices])


def _reject_missing(missing: list[int]) -> Rows:
    raise LookupError("the reference's score of a sample was not computed before training began")
