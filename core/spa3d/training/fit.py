"""Runs one stage of training to its end, from its last complete checkpoint if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.errors import DivergenceError
from spa3d.model.finite import not_finite_weights
from spa3d.runtime.progress import Reporter
from spa3d.training.arguments import last_checkpoint
from spa3d.training.trainer import MetricsCallback, StageTrainer


def fit(
    trainer: StageTrainer, metrics_log: MetricsLog, reporter: Reporter, callbacks: Sequence[TrainerCallback] = ()
) -> int:
    """Train the trainer's model in place to the last step; return the number of steps.

    Args:
        trainer: of the stage.
        metrics_log: log of the metrics.
        reporter: where progress goes.
        callbacks: more observers, such as the held-out watchdog.

    Raises:
        DivergenceError: a loss, a weight or a held-out score is not finite.

    """
    job = trainer.job
    checkpoint = last_checkpoint(job.checkpoints)
    step = int(checkpoint.name.split("-")[1]) if checkpoint else 0
    metrics_log.truncate_after(job.stage, step)
    with reporter.track(job.steps, job.stage) as advance:
        advance(step)
        trainer.add_callback(MetricsCallback(trainer, metrics_log, advance))
        for callback in callbacks:
            trainer.add_callback(callback)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    model: Any = trainer.model
    last, broken = trainer.state.global_step, not_finite_weights(model)
    if broken:
        raise DivergenceError(
            f"{job.stage} diverged: after step {last} {len(broken)} weights are not finite, such as {broken[0]}"
        )
    if trainer.samples.cut:
        reporter.warn(
            f"{job.stage}: {len(trainer.samples.cut)} answers are longer than --llm.max_length and are cut; the report "
            "lists them"
        )
    return last
