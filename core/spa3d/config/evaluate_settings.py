"""Settings of the evaluation before and after post-training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spa3d.config.settings_model import LARGEST_COUNT, LARGEST_SEED, Settings


class EvaluateSettings(Settings):
    """Evaluation before and after post-training."""

    split: str = Field("test", min_length=1)
    """Split that is reported; tune on val."""
    limit: int = Field(0, ge=0, le=LARGEST_COUNT)
    """Largest number of questions per benchmark and split, sampled with a fixed seed; 0: all."""
    batch_size: int = Field(64, ge=1, le=10**6)
    """Questions per forward."""
    bootstrap: int = Field(2000, ge=100, le=10**5)
    """Resamples behind each interval."""
    calibration: bool = False
    """Whether reports have ECE and Brier score of the options' probabilities, where options are scored."""
    decode: Literal["greedy", "contrast"] = "greedy"
    """How answers are decoded: ``contrast`` takes the noised cloud's logits from those of the clean one (VCD)."""
    contrast_alpha: float = Field(1.0, ge=0, le=100)
    """Logits of ``contrast``: (1 + alpha) clean - alpha noised."""
    contrast_cutoff: float = Field(0.1, ge=0, le=1)
    """Least probability of a token of a free answer of ``contrast``, relative to the likeliest one."""
    blind_run: str = ""
    """Finished run with ``--blind`` on the same questions; its answers join the text floor."""
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    """Seed of the questions, independent of the run's seed, so that runs are compared on the same ones."""
