"""The request to make preference pairs without training: checked before anything slow is imported."""

from __future__ import annotations

from pathlib import Path

from spa3d.config.settings import RunConfig
from spa3d.errors import ConfigError, OutputError

MODES = (
    "--pairs.mode augmentation (rejected: the model's own answers to noised clouds) or "
    "--pairs.mode corruption (rejected: true answers rewritten into wrong ones)"
)


def check_pairs_request(config: RunConfig, path: Path) -> None:
    """Refuse settings that make no pairs, and a file that cannot be a new one.

    Raises:
        ConfigError: the settings read pairs, or do not say how they are made.
        OutputError: `path` is there, is a folder, or lies in none.

    """
    if config.pairs.path:
        raise ConfigError(f"pairs.path {config.pairs.path}: it is where a run reads pairs; leave it out here")
    if not config.pairs.mode:
        raise ConfigError(f"--pairs.mode: say how the pairs are made: {MODES}")
    if path.is_dir():
        raise OutputError(f"{path}: a folder; name the file to write, such as {path / 'pairs.jsonl'}")
    if path.exists():
        raise OutputError(f"{path}: there is one already; name another file, or delete it")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it first")
