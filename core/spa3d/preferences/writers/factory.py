"""Writers by name: ``rule``, ``model`` and ``endpoint``."""

from __future__ import annotations

import torch

from spa3d.config.settings import PairsSettings
from spa3d.contracts.dataset import Dataset
from spa3d.errors import ConfigError
from spa3d.preferences.writers.contract import Writer
from spa3d.preferences.writers.endpoint import EndpointWriter
from spa3d.preferences.writers.local import LocalWriter
from spa3d.preferences.writers.rule import RuleWriter


def make_writer(settings: PairsSettings, *, dataset: Dataset, seed: int, device: torch.device | str) -> Writer:
    """Make the writer named in `settings`.

    Args:
        settings: ``writer`` is the name; ``llm`` and ``url`` locate the model of the other two.
        dataset: source of other values for facts whose own options have none.
        seed: seed of the rule's draws.
        device: where a local model runs, with ``batch_size`` of `settings`.

    Raises:
        ConfigError: a setting that the writer needs is missing.

    """
    if settings.writer == "rule":
        return RuleWriter(dataset, seed=seed)
    if not settings.llm:
        what = "the folder or hub name of a causal LM" if settings.writer == "model" else "the endpoint's model name"
        raise ConfigError(f"--pairs.writer {settings.writer} needs --pairs.llm: {what}")
    if settings.writer == "model":
        return LocalWriter(settings.llm, device=device, batch_size=settings.batch_size)
    if not settings.url:
        raise ConfigError(
            "--pairs.writer endpoint needs --pairs.url, the base URL of an OpenAI-compatible endpoint, such as "
            "http://localhost:8000/v1; its key, if it wants one, is read from OPENAI_API_KEY"
        )
    return EndpointWriter(settings.url, settings.llm)
