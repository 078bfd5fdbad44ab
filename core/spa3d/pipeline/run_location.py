"""The folder of a run: chosen by the user, new, or the latest of the same configuration."""

from __future__ import annotations

import time
from pathlib import Path

from spa3d.artifacts.run_folder import read_saved_config
from spa3d.config.settings import RunConfig
from spa3d.errors import ConfigError
from spa3d.runtime import distributed


def default_folder(config: RunConfig, *, time: str) -> Path:
    """``runs/<time>-<encoder>-<noise>-<objective>-s<seed>``."""
    names = "-".join((config.encoder.requested, config.noise.requested, config.objective.requested))
    return Path("runs") / f"{time}-{names}-s{config.seed}"


def run_folder(config: RunConfig, *, output: Path | None, resume: bool) -> Path:
    """The folder of a run: `output`, a new one, or with `resume` the latest of the same run.

    Raises:
        ConfigError: there is no run to resume, or several processes have no common `output`.

    """
    if output is not None:
        return output
    if distributed.world_size() > 1:
        raise ConfigError("--output: say where the run goes; several processes would each choose a folder of their own")
    if not resume:
        return default_folder(config, time=time.strftime("%Y%m%d-%H%M%S"))
    pattern, saved = default_folder(config, time="*"), config.model_dump(mode="json")
    for folder in sorted(pattern.parent.glob(pattern.name), reverse=True):
        if read_saved_config(folder) == saved:
            return folder
    raise ConfigError(f"--resume: no run of this configuration among {pattern}; name its folder with --output")
