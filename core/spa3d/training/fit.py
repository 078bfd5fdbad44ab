"""Runs one stage of training to its end, from its last complete checkpoint if there is one."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import TrainerCallback

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.runtime.progress import Reporter
from spa3d.training.arguments import last_checkpoint
from spa3d.training.trainer import MetricsCallback, StageTrainer


def fit(
    trainer: StageTrainer, metrics_log: MetricsLog, reporter: Reporter, callbacks: Sequence[TrainerCallback] = ()
) -> None:
    """Train the trainer's model in place, to the last step of its job.

    Args:
        trainer: of the stage.
        metrics_log: log of the metrics.
        reporter: where progress goes.
        callbacks: more observers, such as the held-out watchdog.

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
    if trainer.samples.cut:
        reporter.warn(
            f"{job.stage}: {len(trainer.samples.cut)} answers are longer than --llm.max_length and are cut; the report "
            "lists them"
        )
