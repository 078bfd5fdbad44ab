"""Tensors out of a file nobody vouched for: torch pickles of any age, safetensors, and folders of shards.

What a file is shows in its first bytes, never in its name. A pickle goes through torch's restricted unpickler, which
calls nothing that is not on its list; what training runs are wont to store beside their tensors is on ours, as
stand-ins that keep nothing.
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

from spa3d.errors import CheckpointError

WRAPPERS = ("state_dict", "model_state_dict", "model", "base_model")
"""Entries under which training scripts keep a state dict."""
IN_A_FOLDER = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
"""What a folder of weights is looked through for, in this order."""
WEIGHTS = (".pt", ".pth", ".bin", ".safetensors", ".ckpt")
AGAIN = "get the file again, whole"
ASKED_FOR = re.compile(r"GLOBAL (\S+)")
REASON = re.compile(r"WeightsUnpickler error:\s*(.+)")


class Unread:
    """Stands for an object in a pickle that nobody here looks at: made of anything, keeps nothing."""

    def __new__(cls, *_: Any) -> Unread:
        """Take any arguments."""
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None:
        """Keep none of them."""

    def __setstate__(self, _: Any) -> None:
        """Keep no state either."""


UNREAD = (
    "argparse.Namespace",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray"),
    *(f"pathlib.{name}" for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
    *(f"pathlib._local.{name}" for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
)
"""What training runs store beside their tensors: their arguments, best scores, folders."""
STAND_INS: list[Any] = [*((Unread, name) for name in UNREAD), (OrderedDict, "easydict.EasyDict")]


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file or folder by name; where the format allows it, each is read when it is asked for.

    Args:
        path: a file of any of these formats; a folder of a saved model (or of a run, whose model is meant) is looked
            through for the names in `IN_A_FOLDER`.

    Raises:
        CheckpointError: it is not there, not whole, no such format, or a pickle that asks for more than tensors.

    """
    if path.is_dir():
        return _of_folder(path)
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path}: is no file and no folder; give a file of weights")
    try:
        start, size = _start(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); give a file of weights") from error
    if _is_safetensors(start, size):
        return _Safetensors(path)
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return _of_pickle(path, mapped=start.startswith(b"PK") and _can_be_mapped(path))
    raise CheckpointError(f"{path}: {_what_else(start, size)}")


def files_of(path: Path, tensors: Mapping[str, Tensor], names: Iterable[str]) -> tuple[Path, ...]:
    """The files that `names` came from, of the `tensors` that `read_tensors` found in `path`."""
    if isinstance(tensors, _Shards):
        return tuple(sorted({tensors.place(name) for name in names}))
    return (path if path.is_file() else _weights_in(path),)


def _start(path: Path) -> tuple[bytes, int]:
    with path.open("rb") as file:
        return file.read(512), path.stat().st_size


def _is_safetensors(start: bytes, size: int) -> bool:
    """Eight bytes of length, then that much JSON."""
    return start[8:9] == b"{" and len(start) > 8 and int.from_bytes(start[:8], "little") <= size - 8


def _what_else(start: bytes, size: int) -> str:
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
    """Whether torch can take the tensors of a zip from where they lie: packed ones it would take for numbers."""
    try:
        with ZipFile(path) as file:
            stored = all(part.compress_type == ZIP_STORED for part in file.infolist())
    except (BadZipFile, OSError, ValueError, NotImplementedError):
        return False  # what is wrong with it, torch tells
    return stored and path.suffix != ".safetensors"  # where torch would go by the name


def _of_pickle(path: Path, *, mapped: bool) -> Mapping[str, Tensor]:
    try:
        with path.open("rb") as file, warnings.catch_warnings(), torch.serialization.safe_globals(STAND_INS):
            warnings.simplefilter("ignore")  # about protocols and storages that the reader cannot change
            held = torch.load(path if mapped else file, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # a hostile or broken pickle fails in every way there is
        raise CheckpointError(f"{path}: {_broken_pickle(error)}") from error
    return _flat(path, held)


def _broken_pickle(error: Exception) -> str:
    asked = ASKED_FOR.search(str(error))
    if asked:
        return (
            f"holds more than tensors: it asks for {shown(asked[1])}, which could run code, so nothing of it was "
            f"loaded; ask its authors for a state dict, or for safetensors"
        )
    reason = REASON.search(str(error))
    why = shown(reason[1].strip()) if reason else _first_line(error)
    return f"cannot be read as a file of torch ({why}); {AGAIN}, or ask for safetensors"


def _flat(path: Path, held: object) -> Mapping[str, Tensor]:
    """The state dict in what a pickle held, whatever it was wrapped in."""
    if isinstance(held, Mapping):
        inner = next((held[key] for key in WRAPPERS if isinstance(held.get(key), Mapping)), held)
        found = {name: value for name, value in inner.items() if isinstance(name, str) and isinstance(value, Tensor)}
        # A pickle may hang anything on a tensor; what is detached has nothing of that.
        tensors = {name: Tensor.detach(value) for name, value in found.items()}
        if tensors:
            return tensors
        keys = ", ".join(shown(str(key)) for key in list(held)[:5]) or "nothing"
        raise CheckpointError(f"{path}: holds no tensors; its entries: {keys}. Give a file with a state dict")
    raise CheckpointError(
        f"{path}: holds a {type(held).__name__} and no state dict; save module.state_dict() and give that"
    )


class _Safetensors(Mapping[str, Tensor]):
    """The tensors of a safetensors file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: Any = safe_open(path, framework="pt")
            self._names = dict.fromkeys(self._file.keys())
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: cannot be read as safetensors ({_first_line(error)}); {AGAIN}") from error

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        try:
            tensor: Tensor = self._file.get_tensor(name)
        except SafetensorError as error:
            raise CheckpointError(f"{self._path}: {shown(name)} cannot be read ({error}); {AGAIN}") from error
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Shards(Mapping[str, Tensor]):
    """The tensors of a model in several files; a file is opened when a tensor of it is asked for."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._places = _index_of(index)
        self._open: dict[str, Mapping[str, Tensor]] = {}

    def place(self, name: str) -> Path:
        """The file that `name` is in."""
        return self._index.parent / self._places[name]

    def __getitem__(self, name: str) -> Tensor:
        shard = self._places[name]
        if shard not in self._open:
            self._open[shard] = read_tensors(self.place(name))
        try:
            return self._open[shard][name]
        except KeyError as error:
            said = f"{shown(name)} is not in it, though {self._index.name} says so"
            raise CheckpointError(f"{self.place(name)}: {said}; {AGAIN}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _index_of(index: Path) -> dict[str, str]:
    """Which file each tensor is in; files lie beside the index and nowhere else."""
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        named = {str(name): str(file) for name, file in places.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index}: says not which tensor is in which file ({error!r}); {AGAIN}") from error
    away = next((file for file in named.values() if Path(file).name != file), None)
    if away is not None:
        raise CheckpointError(f"{index}: names {shown(away)}, which is no file beside it; {AGAIN}")
    return named


def _of_folder(folder: Path) -> Mapping[str, Tensor]:
    found = _weights_in(folder)
    return _Shards(found) if found.suffix == ".json" else read_tensors(found)


def _weights_in(folder: Path) -> Path:
    """The weights, or their index, in the folder of a model or of a run."""
    found = next(
        (place / name for place in (folder / "model", folder) for name in IN_A_FOLDER if (place / name).is_file()), None
    )
    if found is None:
        there = sorted(path.name for path in folder.iterdir() if path.suffix in WEIGHTS)
        hint = f"name one of its files: {', '.join(map(shown, there[:8]))}" if there else "give a file of weights"
        raise CheckpointError(f"{folder}: a folder without a saved model ({', '.join(IN_A_FOLDER)}); {hint}")
    return found


def shown(name: str) -> str:
    """A name out of a file, short and on one line."""
    name = name if len(name) <= 80 else f"{name[:77]}..."
    return name if name.isprintable() else repr(name)[1:-1]


def _first_line(error: Exception) -> str:
    said = shown(str(error).strip().partition("\n")[0])
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
