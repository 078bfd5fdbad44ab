"""Reads tensors from untrusted files: torch pickles, safetensors, folders of shards.

The first bytes of a file show its format; its name is ignored. A pickle goes through torch's restricted unpickler,
which calls only listed functions. Other objects that training runs often store beside their tensors are replaced by
stand-ins without content.
"""

from __future__ import annotations

import json
import re
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from spa3d.errors import CheckpointError, first_line

WRAPPERS = ("state_dict", "model_state_dict", "model", "base_model")
"""Entries under which training scripts keep a state dict."""
IN_A_FOLDER = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
"""Names searched for in a folder of weights, in this order."""
WEIGHTS = (".pt", ".pth", ".bin", ".safetensors", ".ckpt")
AGAIN = "get the file again, complete"
FORBIDDEN = re.compile(r"GLOBAL (\S+)")
REASON = re.compile(r"WeightsUnpickler error:\s*(.+)")


class UnreadObject:
    """Stand-in for an unused object in a pickle; accepts any arguments and stores nothing."""

    def __new__(cls, *_: Any) -> UnreadObject:
        """Take any arguments."""
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None:
        """Store none of them."""

    def __setstate__(self, _: Any) -> None:
        """Store no state."""


UNREAD = (
    "argparse.Namespace",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray"),
    *(f"pathlib.{name}" for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
    *(f"pathlib._local.{name}" for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
)
"""Classes of objects that training runs store beside tensors: arguments, best scores, folders."""
STAND_INS: list[Any] = [*((UnreadObject, name) for name in UNREAD), (OrderedDict, "easydict.EasyDict")]


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """Tensors of a file or folder by name, read on access if the format allows it.

    Args:
        path: a file of any of these formats, or the folder of a saved model or run, which is searched for the names
            in `IN_A_FOLDER`.

    Raises:
        CheckpointError: it is missing, incomplete, of another format, or a pickle with more than tensors.

    """
    if path.is_dir():
        return _read_folder(path)
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path}: is no file and no folder; give a file of weights")
    try:
        start, size = _read_start(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); give a file of weights") from error
    if _is_safetensors(start, size):
        return _Safetensors(path)
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return _read_pickle(path, mapped=start.startswith(b"PK") and _can_be_mapped(path))
    raise CheckpointError(f"{path}: {_describe_other(start, size)}")


def files_of(path: Path, tensors: Mapping[str, Tensor], names: Iterable[str]) -> tuple[Path, ...]:
    """Files that hold the tensors `names`; `tensors` is what `read_tensors` returned for `path`."""
    if isinstance(tensors, _Shards):
        return tuple(sorted({tensors.file_of(name) for name in names}))
    return (path if path.is_file() else _find_weights(path),)


def _read_start(path: Path) -> tuple[bytes, int]:
    with path.open("rb") as file:
        return file.read(512), path.stat().st_size


def _is_safetensors(start: bytes, size: int) -> bool:
    """Whether the file starts with an 8-byte length and JSON of that length."""
    return start[8:9] == b"{" and len(start) > 8 and int.from_bytes(start[:8], "little") <= size - 8


def _describe_other(start: bytes, size: int) -> str:
    text = start.lstrip().lower()
    if not size:
        return f"is empty; {AGAIN}"
    if text.startswith(b"version https://git-lfs"):
        return "is a pointer of git-lfs and not the file it stands for; fetch that with: git lfs pull"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "is a web page, as servers send when a download needs a login or a click; download the file itself"
    if start[8:9] == b"{":
        return f"is a safetensors file that was cut short ({size:,} bytes); {AGAIN}"
    begins = start[:16]
    return f"is no file of weights (it begins with {begins!r}); possible: a torch file (.pt, .pth, .bin) or safetensors"


def _can_be_mapped(path: Path) -> bool:
    """Whether torch can memory-map the tensors of a zip; it would misread compressed ones."""
    try:
        with ZipFile(path) as file:
            stored = all(part.compress_type == ZIP_STORED for part in file.infolist())
    except (BadZipFile, OSError, ValueError, NotImplementedError):
        return False  # torch reports the error
    return stored and path.suffix != ".safetensors"  # torch chooses the reader by this suffix


def _read_pickle(path: Path, *, mapped: bool) -> Mapping[str, Tensor]:
    try:
        with path.open("rb") as file, warnings.catch_warnings(), torch.serialization.safe_globals(STAND_INS):
            warnings.simplefilter("ignore")  # about protocols and storages
            content = torch.load(path if mapped else file, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # a hostile or broken pickle may raise anything
        raise CheckpointError(f"{path}: {_describe_pickle_error(error)}") from error
    return _unwrap_state_dict(path, content)


def _describe_pickle_error(error: Exception) -> str:
    forbidden = FORBIDDEN.search(str(error))
    if forbidden:
        return (
            f"holds more than tensors: it asks for {shorten_name(forbidden[1])}, which could run code, so nothing "
            f"of it was loaded; ask its authors for a state dict, or for safetensors"
        )
    reason = REASON.search(str(error))
    why = shorten_name(reason[1].strip()) if reason else _describe(error)
    return f"cannot be read as a file of torch ({why}); {AGAIN}, or ask for safetensors"


def _unwrap_state_dict(path: Path, content: object) -> Mapping[str, Tensor]:
    """Find the state dict in the content of a pickle, also inside the entries `WRAPPERS`."""
    if isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
        entries = {name: value for name, value in inner.items() if isinstance(name, str) and isinstance(value, Tensor)}
        # A pickle may set attributes on a tensor; detach() drops them.
        tensors = {name: Tensor.detach(value) for name, value in entries.items()}
        if tensors:
            return tensors
        keys = ", ".join(shorten_name(str(key)) for key in list(content)[:5]) or "nothing"
        raise CheckpointError(f"{path}: holds no tensors; its entries: {keys}. Give a file with a state dict")
    raise CheckpointError(
        f"{path}: holds a {type(content).__name__} and no state dict; save module.state_dict() and give that"
    )


class _Safetensors(Mapping[str, Tensor]):
    """Tensors of a safetensors file, each read on access."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: Any = safe_open(path, framework="pt")
            self._names = dict.fromkeys(self._file.keys())
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: cannot be read as safetensors ({_describe(error)}); {AGAIN}") from error

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        try:
            tensor: Tensor = self._file.get_tensor(name)
        except SafetensorError as error:
            raise CheckpointError(f"{self._path}: {shorten_name(name)} cannot be read ({error}); {AGAIN}") from error
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Shards(Mapping[str, Tensor]):
    """Tensors of a sharded model; a file is opened when one of its tensors is read."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._files = _read_index(index)
        self._open: dict[str, Mapping[str, Tensor]] = {}

    def file_of(self, name: str) -> Path:
        """File that holds tensor `name`."""
        return self._index.parent / self._files[name]

    def __getitem__(self, name: str) -> Tensor:
        shard = self._files[name]
        if shard not in self._open:
            self._open[shard] = read_tensors(self.file_of(name))
        try:
            return self._open[shard][name]
        except KeyError as error:
            problem = f"{shorten_name(name)} is not in it, though {self._index.name} lists it"
            raise CheckpointError(f"{self.file_of(name)}: {problem}; {AGAIN}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _read_index(index: Path) -> dict[str, str]:
    """Read the file name of each tensor; all files must lie beside the index."""
    try:
        entries = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = {str(name): str(file) for name, file in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index}: does not list the file of each tensor ({error!r}); {AGAIN}") from error
    outside = next((file for file in files.values() if Path(file).name != file), None)
    if outside is not None:
        raise CheckpointError(f"{index}: names {shorten_name(outside)}, which is no file beside it; {AGAIN}")
    return files


def _read_folder(folder: Path) -> Mapping[str, Tensor]:
    weights = _find_weights(folder)
    return _Shards(weights) if weights.suffix == ".json" else read_tensors(weights)


def _find_weights(folder: Path) -> Path:
    """Find the weights, or their index, in the folder of a model or of a run."""
    weights = next(
        (parent / name for parent in (folder / "model", folder) for name in IN_A_FOLDER if (parent / name).is_file()),
        None,
    )
    if weights is None:
        candidates = sorted(path.name for path in folder.iterdir() if path.suffix in WEIGHTS)
        hint = (
            f"name one of its files: {', '.join(map(shorten_name, candidates[:8]))}"
            if candidates
            else "give a file of weights"
        )
        raise CheckpointError(f"{folder}: a folder without a saved model ({', '.join(IN_A_FOLDER)}); {hint}")
    return weights


def shorten_name(name: str) -> str:
    """Name from a file, shortened and on one line."""
    name = name if len(name) <= 80 else f"{name[:77]}..."
    return name if name.isprintable() else repr(name)[1:-1]


def _describe(error: Exception) -> str:
    text = shorten_name(first_line(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
