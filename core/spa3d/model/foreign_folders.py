"""Guard around everything that reads a model of somebody else.

Only weights, settings and tokenizers are read: no code of a model runs, no question is asked, nothing outside of its
folder is opened, and no hub is contacted unless the user named an id on it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from huggingface_hub import constants, hf_hub_download, snapshot_download
from transformers.utils import logging

from spa3d.config.hub_ids import is_hub_id
from spa3d.errors import CheckpointError, Note, SpaError, first_line
from spa3d.runtime.plain_text import escape_controls

SAFELY: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
"""Arguments of every ``from_pretrained`` of a foreign folder."""
SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken")
"""Files of a hub repository that are no weights; its subfolders are not needed."""
AGAIN = "get the folder again, complete"
LONGEST = 300
"""Characters of a foreign error message that are quoted."""


@contextmanager
def foreign_folder(path: str | Path, *, weights: bool, where: str, problem: str, hint: str) -> Iterator[Path]:
    """Context for reading a model folder: no output, no network, one kind of error.

    It gives the folder: `path`, or for a hub id its files on this machine, downloaded before if they are missing.

    Args:
        path: a folder, or an id on the hub.
        weights: whether the weights are read; else the settings of a hub id are enough.
        where: beginning of an error message: the flag and its value, or the folder.
        problem: what has failed if transformers raises any error.
        hint: what to do then.

    Raises:
        CheckpointError: anything failed inside; errors of spa3d pass unchanged.

    """
    before = constants.HF_HUB_OFFLINE, logging.get_verbosity(), logging.is_progress_bar_enabled()
    try:
        folder = _find_folder(str(path), weights=weights)
        constants.HF_HUB_OFFLINE = True
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        _check_folder(folder, where, weights=weights)
        yield folder
    except (SpaError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in a library of Rust is no Exception
        raise CheckpointError(f"{where}: {problem} ({_describe(error)}); {hint}") from error
    finally:
        constants.HF_HUB_OFFLINE, verbosity, bars = before
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@cache
def hub_commit(hub_id: str) -> str:
    """Commit of a hub id; the hub is asked once per process, after a note to the user."""
    warnings.warn(Note(f"{hub_id}: no folder here has this name; asking the Hugging Face hub"), stacklevel=2)
    return Path(hf_hub_download(hub_id, "config.json")).parent.name


def read_weight_index(index: Path) -> dict[str, str]:
    """Read the file name of each tensor; `CheckpointError` unless it is beside the index."""
    try:
        entries = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = {str(name): str(file) for name, file in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{index}: does not list the file of each tensor ({_describe(error)}); {AGAIN}"
        ) from error
    outside = next((file for file in files.values() if Path(file).name != file), None)
    if outside is not None:
        raise CheckpointError(f"{index}: names {_shorten(outside)}, which is no file beside it; {AGAIN}")
    return files


def refuse_partial(info: Mapping[str, Any], problem: str) -> None:
    """Refuse a model of which some weights were missing, left over, or of another shape.

    Args:
        info: what ``from_pretrained`` returns for ``output_loading_info``.
        problem: beginning of the error message: the flag or folder, and what the weights do not fit.

    Raises:
        CheckpointError: with the number of such weights, and the names of a few.

    """
    groups = {
        "missing": info["missing_keys"],
        "left over": info["unexpected_keys"],
        "of another shape": [_compare_shapes(*entry) for entry in info["mismatched_keys"]],
    }
    parts = [f"{len(keys)} {what}, such as {_list(keys)}" for what, keys in groups.items() if keys]
    if parts:
        raise CheckpointError(f"{problem}: {'; '.join(parts)}; {AGAIN}")


def _compare_shapes(name: str, *shapes: Any) -> str:
    """Name of a weight, with its shape in the file and in the model."""
    there, here = (tuple(shape) for shape in shapes)
    return f"{_shorten(name)} ({there} there, {here} here)"


def _find_folder(path: str, *, weights: bool) -> Path:
    if not is_hub_id(path):
        if not Path(path).is_dir():
            raise FileNotFoundError("there is no such folder")
        return Path(path)
    commit = hub_commit(path)
    folder = Path(snapshot_download(path, revision=commit, allow_patterns=[*SETTINGS], ignore_patterns=["*/*"]))
    for pattern in ("*.safetensors", "*.bin") if weights else ():
        snapshot_download(path, revision=commit, allow_patterns=[pattern], ignore_patterns=["*/*"])
        if any(folder.glob(pattern)):
            break
    return folder


def _check_folder(folder: Path, where: str, *, weights: bool) -> None:
    """Refuse files that would make transformers wait, or read less or more than this folder."""
    for path in sorted(folder.iterdir()):
        if path.exists() and not path.is_file() and not path.is_dir():  # reading a pipe waits for its writer
            raise CheckpointError(f"{where}: {path.name} is no regular file; {AGAIN}")
    for index in sorted(folder.glob("*.index.json")):
        try:
            files = {*read_weight_index(index).values()}
        except CheckpointError as error:
            raise CheckpointError(f"{where}: {error}") from error
        missing = sorted(file for file in files if not (folder / file).is_file())
        if weights and missing and index == _index_of(folder):
            raise CheckpointError(
                f"{where}: {len(missing)} of its {len(files)} files of weights are missing, such as "
                f"{_shorten(missing[0])}; {AGAIN}"
            )
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(
            f"{where}: holds adapters (adapter_config.json) of a model that may lie anywhere; merge them into it, and "
            f"give the folder of the whole model"
        )
    if (folder / "config.json").exists():
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        for key, value in _entries(values):
            if key.endswith("_implementation") and "/" in str(value):
                raise CheckpointError(
                    f"{where}: its config.json asks for code from a hub ({key}: {_shorten(str(value))}); delete that "
                    f"entry, and the model runs with the code of transformers"
                )


def _index_of(folder: Path) -> Path | None:
    """The index that transformers follows in `folder`; None if the weights are in one file."""
    names = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
    first = next((folder / name for name in names if (folder / name).is_file()), None)
    return first if first is not None and first.suffix == ".json" else None


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Keys and values of a JSON value at every depth."""
    if isinstance(value, Mapping):
        yield from value.items()
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _entries(inner)


def _describe(error: BaseException) -> str:
    if isinstance(error, UnpicklingError):
        return "its weights are a pickle with more than tensors, which could run code; nothing of it was loaded"
    line = first_line(error)
    if line.endswith(":"):  # the reason is on the next line
        line = " ".join(str(error).strip().split("\n", 2)[:2])
    text = _shorten(line, LONGEST)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _list(keys: Any) -> str:
    names = sorted(map(str, keys))
    return ", ".join(_shorten(name, 160) for name in names[:3]) + (", …" if len(names) > 3 else "")


def _shorten(text: str, most: int = 80) -> str:
    text = text if len(text) <= most else f"{text[: most - 3]}..."
    return escape_controls(text).replace("\n", "\\n")
