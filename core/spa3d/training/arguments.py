"""Training jobs: stages, the Trainer's arguments for them, and their last checkpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from spa3d.config.settings import StageSettings
from spa3d.runtime import distributed


@dataclass
class StageArguments(TrainingArguments):
    """Trainer's arguments that restrict a process to the chosen device, without DataParallel.

    DataParallel would multiply the batch by the number of GPUs, and scatter texts and clouds independently.
    """

    chosen_device: str = "cpu"

    @property
    def device(self) -> torch.device:
        """Device of the Trainer."""
        default: torch.device = super().device
        if self.distributed_state is not None and self.distributed_state.num_processes > 1:
            return default
        return torch.device(self.chosen_device)

    @property
    def n_gpu(self) -> int:
        """Number of GPUs: at most one."""
        return min(1, super().n_gpu)


@dataclass(frozen=True)
class TrainingJob:
    """One stage of training: settings, length, device and folder.

    Attributes:
        stage: its name in the metrics.
        settings: batch size, learning rate and the rest.
        steps: optimizer steps.
        folder: checkpoints go to ``folder/checkpoints``.
        seed: seeds the Trainer (dropout of a part that trains, fresh heads).
        device: of the model.
        bf16: train under bfloat16 autocast.

    """

    stage: str
    settings: StageSettings
    steps: int
    folder: Path
    seed: int
    device: torch.device
    bf16: bool = False

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"


def training_arguments(job: TrainingJob) -> TrainingArguments:
    """Make the arguments of transformers' Trainer for a stage."""
    settings = job.settings
    arguments = StageArguments(
        chosen_device=str(job.device),
        output_dir=str(job.checkpoints),
        max_steps=job.steps,
        per_device_train_batch_size=settings.batch_size // (settings.accumulation * distributed.world_size()),
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=round(settings.warmup * job.steps),
        weight_decay=settings.weight_decay,
        adam_beta2=settings.beta2,
        max_grad_norm=settings.max_grad_norm,
        logging_steps=settings.log_every,
        logging_nan_inf_filter=False,
        save_steps=settings.save_every,
        save_total_limit=2,
        seed=job.seed,
        bf16=job.bf16,
        use_cpu=job.device.type == "cpu",
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    if arguments.device.type == "cuda" and arguments.device.index is not None:
        torch.cuda.set_device(arguments.device)  # detection of devices made the first one current
    return arguments


def as_batch(samples: list[Any]) -> dict[str, list[Any]]:
    """Collator that returns the samples unchanged; the step collates what it needs."""
    return {"samples": samples}


def last_checkpoint(folder: Path) -> Path | None:
    """Find the newest complete checkpoint; a kill may leave an incomplete one."""
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    for path in checkpoints:
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            continue
        return path
    return None
