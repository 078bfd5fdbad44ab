"""Checks a request to make preference pairs, before slow imports."""

from __future__ import annotations

from pathlib import Path

from spa3d.artifacts.run_folder import refuse_unwritable
from spa3d.config.settings import RunConfig
from spa3d.errors import ConfigError, OutputError

MODES = (
    "--pairs.mode augmentation (rejected: the model's own answers to noised clouds) or "
    "--pairs.mode corruption (rejected: true answers rewritten into wrong ones)"
)


def check_pairs_request(config: RunConfig, path: Path) -> None:
    """Refuse settings that make no pairs, and a file that cannot be created.

    Raises:
        ConfigError: the settings read pairs, or do not say how to make them.
        OutputError: `path` exists, is a folder, or its folder does not exist.

    """
    if config.pairs.path:
        raise ConfigError(
            f"pairs.path {config.pairs.path}: a run reads pairs from this file; leave it out to make pairs"
        )
    if not config.pairs.mode:
        raise ConfigError(f"--pairs.mode: say how the pairs are made: {MODES}")
    refuse_unwritable(path, "")
    if path.is_dir():
        raise OutputError(f"{path}: a folder; name the file to write, such as {path / 'pairs.jsonl'}")
    if path.exists():
        raise OutputError(f"{path}: there is one already; name another file, or delete it")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it first")
