"""The folder of a run: given, new, or the latest of the same configuration."""

from __future__ import annotations

import time
from pathlib import Path

import yaml

from spa3d.config.settings import RunConfig
from spa3d.errors import ConfigError
from spa3d.runtime import distributed


def default_folder(config: RunConfig, *, time: str) -> Path:
    """``runs/<time>-<encoder>-<noise>-<objective>-s<seed>``."""
    names = "-".join((config.encoder.asked, config.noise.asked, config.objective.asked))
    return Path("runs") / f"{time}-{names}-s{config.seed}"


def run_folder(config: RunConfig, *, output: Path | None, resume: bool) -> Path:
    """The folder of a run: `output`, or a new one under runs/, or, to resume, the latest of the same run.

    Raises:
        ConfigError: there is nothing to resume, or several processes would each choose a folder.

    """
    if output is not None:
        return output
    if distributed.world_size() > 1:
        raise ConfigError("--output: say where the run goes; several processes would each choose a folder of their own")
    if not resume:
        return default_folder(config, time=time.strftime("%Y%m%d-%H%M%S"))
    pattern = default_folder(config, time="*")
    for folder in sorted(pattern.parent.glob(pattern.name), reverse=True):
        if _holds(folder, config):
            return folder
    raise ConfigError(f"--resume: no run of this configuration among {pattern}; name its folder with --output")


def _holds(folder: Path, config: RunConfig) -> bool:
    """Whether `folder` holds a run of exactly this configuration."""
    try:
        saved = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return bool(saved == config.model_dump(mode="json"))
