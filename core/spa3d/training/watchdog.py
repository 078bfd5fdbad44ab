"""Watchdog on a held-out slice: warns if log p(y|x) of the right answers drops.

A contrastive margin can grow while log p falls on both sides; the margin does not show that. So a held-out slice is
scored during post-training. When its log p(y|x) per token has fallen by more than 0.03 nats and by
more than three standard errors (paired over records), a warning is raised; it is shown at once and in the report.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.contracts.objective import Need
from spa3d.errors import DivergenceError, OutputError, first_line
from spa3d.inference.samples import Sample
from spa3d.inference.scoring import score
from spa3d.inference.views import Views
from spa3d.runtime import distributed
from spa3d.runtime.atomic_files import write_whole
from spa3d.training.best_checkpoint import BestCheckpoint
from spa3d.training.preference_metrics import mean_metrics, preference_metrics

FALL = 0.03
"""Nats per token by which held-out log p(y|x) must fall; 0.02 to 0.03 separated harmless from harmful runs."""
STANDARD_ERRORS = 3.0


@dataclass(frozen=True)
class WatchdogSettings:
    """Settings of the watchdog.

    Attributes:
        every: steps between scorings.
        batch_size: samples per forward.
        start: file of the scores before the first step, for a resumed run.
        early_stop: end training at the warning.

    """

    every: int
    batch_size: int
    start: Path
    early_stop: bool = False


class HeldOutWatchdog(TrainerCallback):
    """Callback that scores the slice before the first step and regularly, and warns of a drop.

    Args:
        views: of the model that is being trained.
        samples: the held-out slice.
        settings: of the watchdog.
        metrics_log: log of the curve.
        warn: shows a warning.
        best: checkpoint of the weights with the highest held-out log p(y|x), restored at the end; None: the last
            weights stay.

    """

    def __init__(
        self,
        views: Views,
        samples: Sequence[Sample],
        settings: WatchdogSettings,
        *,
        metrics_log: MetricsLog,
        warn: Callable[[str], None],
        best: BestCheckpoint | None = None,
    ) -> None:
        self.views, self.samples, self.settings = views, samples, settings
        self.needs = [Need("chosen", view) for view in ("clean", "noised") if view in views]
        self.metrics_log, self.warn, self.best = metrics_log, warn, best
        self.warned = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Score the slice before the first step, or read these scores in a resumed run."""
        self.warned = any("warning" in row for row in self.metrics_log.rows())
        if state.global_step:
            self._read_start()
        else:
            scores = self._measure(0).tolist()  # by every process: a sharded model needs them all
            distributed.run_in_first(lambda: write_whole(self.settings.start, json.dumps(scores)))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Score the slice every `every` steps and after the last one."""
        if state.global_step % self.settings.every and state.global_step != state.max_steps:
            return
        # Every process sees the same slice and comes to the same decision.
        drop = significant_drop(self._read_start(), self._measure(state.global_step))
        if drop is None:
            return
        if not self.warned:
            self.warned = True
            text = watchdog_text(state.global_step, *drop)
            self.metrics_log.write(stage="post-train", step=state.global_step, warning=text)
            if distributed.is_first():
                self.warn(text)
        if self.settings.early_stop:
            self.metrics_log.write(stage="post-train", step=state.global_step, stopped=state.global_step)
            control.should_training_stop = True
            control.should_save = False  # a resumed run would continue from it, beyond the stop

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Restore the best weights, if `best` is set."""
        kept = self.best.read_saved() if self.best is not None else None
        if self.best is not None and kept is not None:
            self.best.restore()
            self.metrics_log.write(stage="post-train", step=state.global_step, kept=kept[0])

    def _read_start(self) -> np.ndarray:
        """Log p(y|x) per token of each sample before the first step."""
        path = self.settings.start
        try:
            scores = np.array(json.loads(path.read_text(encoding="utf-8")), dtype=float)
        except (OSError, ValueError, TypeError) as error:
            raise OutputError(
                f"{path}: the held-out scores before the first step cannot be read ({first_line(error)}), and the "
                "trained model cannot make them again; choose another --output"
            ) from error
        if scores.shape != (len(self.samples),):
            raise OutputError(
                f"{path}: holds {scores.size} held-out scores for {len(self.samples)} records; choose another --output"
            )
        return scores

    def _measure(self, step: int) -> np.ndarray:
        """Log p(y|x) per token of each sample, nats; one row for the metrics log.

        Raises:
            DivergenceError: one is not finite.

        """
        model, per_sample, rows = self.views.model, [], []
        training = model.training
        model.eval()
        with torch.no_grad():
            for first in range(0, len(self.samples), self.settings.batch_size):
                batch = self.samples[first : first + self.settings.batch_size]
                scores = score(model, self.needs, batch, self.views).scores
                clean = scores["chosen", "clean"]
                per_sample.append((clean.logp / clean.length).cpu().numpy())
                rows.append(preference_metrics(scores, self.views.negatives))
        model.train(training)
        self.metrics_log.write(stage="post-train", step=step, probe=True, **mean_metrics(rows))
        logp_per_sample = np.concatenate(per_sample)
        lost = int((~np.isfinite(logp_per_sample)).sum())
        if lost:
            raise DivergenceError(
                f"post-train diverged: at step {step} log p of {lost} of {len(logp_per_sample)} held-out answers is "
                "not finite"
            )
        if self.best is not None:
            self.best.update(step, float(logp_per_sample.mean()))
        return logp_per_sample


def significant_drop(before: np.ndarray, now: np.ndarray) -> tuple[float, float] | None:
    """Drop of the mean from `before` to `now` and its standard error, if significant; else None.

    Both ``(B,)``, nats per token, of the same samples.
    """
    difference = before - now
    error = float(difference.std(ddof=1) / math.sqrt(len(difference)))
    size = float(difference.mean())
    return (size, error) if size > FALL and size > STANDARD_ERRORS * error else None


def watchdog_text(step: int, size: float, error: float) -> str:
    """Text of the warning."""
    return (
        f"held-out log p(y|x) fell by {size:.3f} ± {error:.3f} nats per token by step {step}: the model is becoming "
        f"worse at the right answers while the objective improves. Lower --train.learning_rate or anchor the objective"
    )
