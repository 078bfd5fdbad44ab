"""Reader of pickles that hold numpy arrays, lists and numbers, without running anything.

Python's own unpickler calls what the file names, and allocates what the file declares. This one knows only the opcodes
and the functions that numpy's arrays need, calls none of them, and leaves the numbers of the arrays in the file until
they are asked for. Protocols 2 to 5, written by Python 2 or 3 with any numpy.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spa3d.data.formats.byte_cursor import ByteCursor
from spa3d.data.formats.stored_arrays import Payload, StoredArray
from spa3d.errors import DataError
from spa3d.runtime.paths import open_file

MOST_STEPS = 5_000_000
"""Most opcodes of a file; ModelNet40 needs 250,000. They bound the memory, about 100 bytes for each."""
_LONGEST_TEXT = 4096
_LONGEST_NAME = 200
_NUMBER_TYPE = re.compile(r"[<>=|]?([fiu][1248]|b1)")
_ARRAYS, _NUMERIC = ("numpy.core.multiarray", "numpy._core.multiarray"), ("numpy.core.numeric", "numpy._core.numeric")
_ALLOWED = {
    **{(module, name): name for module in _ARRAYS for name in ("_reconstruct", "scalar")},
    **{(module, "_frombuffer"): "_frombuffer" for module in _NUMERIC},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
}
_STARTS = {
    b"PK": "a zip archive (.npz, or .pt of torch)",
    b"\x93NUMPY": "a .npy file",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with git lfs pull",
    b"<": "a web page; download the file again",
}
"""First bytes of other files that are taken for pickles."""


def read_pickle(path: Path) -> Any:
    """Read lists, tuples, dicts, numbers, texts and `StoredArray` from a pickle.

    Raises:
        DataError: the file is missing, truncated or no pickle, or needs anything else; nothing was run.

    """
    with open_file(path, str(path), DataError) as file:
        start = file.read(32)
        if start[:1] != b"\x80":
            raise DataError(f"{path}: {_describe_start(start)}.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Machine(data, str(path)).run()


@dataclass
class _NumberType:
    """A dtype; its byte order comes after its name."""

    dtype: np.dtype[Any]


@dataclass
class _Building:
    """An array that gets its content later; lists may hold it already."""

    array: StoredArray | None = None


@dataclass(frozen=True)
class _Function:
    """A name that the file calls, one of `_ALLOWED`."""

    name: str


class _Machine(ByteCursor):
    """Stack and memo of a pickle."""

    def __init__(self, data: mmap.mmap, where: str) -> None:
        super().__init__(data, where)
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MOST_STEPS):
            code = self.take(1)[0]
            if code == ord("."):
                return _finish(self.pop())
            step = _STEPS.get(code)
            if step is None:
                raise DataError(
                    f"{self.where}: no file of arrays: opcode {code:#04x} at byte {self.at - 1} of the pickle; nothing "
                    "of it was run."
                )
            step(self)
        raise DataError(f"{self.where}: more than {MOST_STEPS:,} parts; this is no file of clouds and labels.")

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise self.broken("takes a value that is not there")
        return self.stack.pop()

    def pop_marked(self) -> list[Any]:
        if not self.marks:
            raise self.broken("ends a list that does not begin")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def last(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise self.broken(f"adds to something that is no {kind.__name__}")
        return self.stack[-1]

    def broken(self, what: str) -> DataError:
        return DataError(f"{self.where}: not a valid pickle of arrays: it {what}, at byte {self.at}; copy it again.")

    def text(self, size: int) -> None:
        if size > _LONGEST_TEXT:
            self.stack.append(Payload(self.skip(size), size, as_text=True))
            return
        try:
            self.stack.append(self.take(size).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError as error:
            raise self.broken("holds a text that is not UTF-8") from error

    def payload(self, size: int) -> None:
        self.stack.append(Payload(self.skip(size), size))

    def name(self) -> str:
        return self.line(_LONGEST_NAME).decode("latin-1")

    def function(self, module: Any, name: Any) -> None:
        if (allowed := _ALLOWED.get((module, name))) is None:
            raise DataError(
                f"{self.where}: the pickle calls {module}.{name}, which could run code; nothing of it was run. Only "
                "numpy arrays in lists are read."
            )
        self.stack.append(_Function(allowed))

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise self.broken(f"refers to part {index}, which it does not have")
        self.stack.append(self.memo[index])

    def remember(self, index: int) -> None:
        self.memo[index] = self.last(object)

    def tuple(self, size: int) -> None:
        items = [self.pop() for _ in range(size)]
        self.stack.append((*reversed(items),))

    def set_items(self, items: list[Any]) -> None:
        target = self.last(dict)
        if len(items) % 2 or any(not isinstance(key, str | int) for key in items[::2]):
            raise self.broken("holds a dict whose keys are no texts")
        target.update(zip(items[::2], items[1::2], strict=True))

    def short(self, value: Any) -> str:
        """Text of a short value; Python 2 has no other texts than bytes."""
        if isinstance(value, Payload) and value.size <= _LONGEST_NAME and value.content is None:
            return self.data[value.start : value.start + value.size].decode("latin-1")
        return value if isinstance(value, str) else ""

    def call(self) -> None:
        args, function = self.pop(), self.pop()
        match (function, args):
            case (_Function("_reconstruct"), (_Function("ndarray"), *_)):
                self.stack.append(_Building())
            case (_Function("dtype"), (code, *_)) if _NUMBER_TYPE.fullmatch(self.short(code)):
                self.stack.append(_NumberType(np.dtype(self.short(code))))
            case (_Function("dtype"), (code, *_)):
                raise DataError(f"{self.where}: an array of type {self.short(code) or '?'!r}; only numbers are read.")
            case (_Function("scalar"), (_NumberType(dtype), Payload() as payload)):
                self.stack.append(self.scalar(self.array(dtype, (), payload, fortran=False)))
            case (_Function("_frombuffer"), (Payload() as payload, _NumberType(dtype), shape, order)):
                self.stack.append(self.array(dtype, shape, payload, fortran=order == "F"))
            case (_Function("encode"), (Payload(content=None) as payload, "latin1")):
                self.stack.append(payload)
            case (_Function("encode"), (str() as text, "latin1")) if text.isascii() or max(text) <= "\xff":
                self.stack.append(Payload(0, len(text), content=text.encode("latin-1")))
            case _:
                raise self.broken("makes no array of numpy")

    def build(self) -> None:
        state = self.pop()
        match (self.last(object), state):
            case (_NumberType() as kind, (_, order, *_)) if self.short(order) in ("<", ">", "|", "="):
                kind.dtype = kind.dtype.newbyteorder(">" if self.short(order) == ">" else "<")
            case (_Building() as building, (int(), shape, _NumberType(dtype), fortran, Payload() as payload)):
                building.array = self.array(dtype, shape, payload, fortran=bool(fortran))
            case _:
                raise self.broken("fills no array of numpy")

    def array(self, dtype: np.dtype[Any], shape: Any, payload: Payload, *, fortran: bool) -> StoredArray:
        if not isinstance(shape, tuple) or len(shape) > 4 or not all(type(n) is int and n >= 0 for n in shape):
            raise self.broken(f"holds an array of shape {shape!r:.80}")
        array = StoredArray(dtype, shape, fortran, payload)
        if not array.size <= payload.size <= array.size * (2 if payload.as_text else 1):
            raise self.broken(f"declares an array {shape} of {dtype}, {array.size} bytes, and has {payload.size} of it")
        return array

    def scalar(self, array: StoredArray) -> Any:
        payload = array.payload
        raw = payload.content or self.data[payload.start : payload.start + payload.size]
        return np.frombuffer(raw, array.dtype)[0].item()


def _finish(value: Any, depth: int = 3, known: dict[tuple[int, int], Any] | None = None) -> Any:
    """Replace arrays under construction by the arrays, `depth` lists deep; each list is copied once per depth."""
    if isinstance(value, _Building):
        return value.array
    if not depth or not isinstance(value, list | tuple | dict):
        return value
    known = {} if known is None else known
    key = (id(value), depth)
    if key not in known:
        items = (_finish(each, depth - 1, known) for each in (value.values() if isinstance(value, dict) else value))
        known[key] = dict(zip(value, items, strict=True)) if isinstance(value, dict) else type(value)(items)
    return known[key]


def _describe_start(start: bytes) -> str:
    if not start:
        return "the file is empty; copy it again"
    kind = next((kind for magic, kind in _STARTS.items() if start.startswith(magic)), "")
    return (
        f"no pickle: {kind}" if kind else "no pickle of protocol 2 to 5; save it again with pickle.dump(…, protocol=4)"
    )


def _set(machine: _Machine, items: list[Any]) -> None:
    machine.last(list).extend(items)


def _pop_pair(machine: _Machine) -> list[Any]:
    value, key = machine.pop(), machine.pop()
    return [key, value]


_STEPS: dict[int, Callable[[_Machine], Any]] = {
    0x80: lambda m: m.skip(1),  # PROTO
    0x95: lambda m: m.skip(8),  # FRAME: the frames only help a reader of streams
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("N"): lambda m: m.stack.append(None),
    0x88: lambda m: m.stack.append(True),
    0x89: lambda m: m.stack.append(False),
    ord("K"): lambda m: m.stack.append(m.number(1)),
    ord("M"): lambda m: m.stack.append(m.number(2)),
    ord("J"): lambda m: m.stack.append(m.number(4, signed=True)),
    0x8A: lambda m: m.stack.append(m.number(m.number(1), signed=True)),  # LONG1
    ord("G"): lambda m: m.stack.append(struct.unpack(">d", m.take(8))[0]),
    0x8C: lambda m: m.text(m.number(1)),  # SHORT_BINUNICODE
    ord("X"): lambda m: m.text(m.number(4)),
    0x8D: lambda m: m.text(m.number(8)),  # BINUNICODE8
    ord("C"): lambda m: m.payload(m.number(1)),
    ord("B"): lambda m: m.payload(m.number(4)),
    0x8E: lambda m: m.payload(m.number(8)),  # BINBYTES8
    0x96: lambda m: m.payload(m.number(8)),  # BYTEARRAY8
    ord("U"): lambda m: m.payload(m.number(1)),  # SHORT_BINSTRING of Python 2
    ord("T"): lambda m: m.payload(m.number(4)),  # BINSTRING
    ord("]"): lambda m: m.stack.append([]),
    ord("a"): lambda m: _set(m, [m.pop()]),
    ord("e"): lambda m: _set(m, m.pop_marked()),
    ord(")"): lambda m: m.stack.append(()),
    0x85: lambda m: m.tuple(1),
    0x86: lambda m: m.tuple(2),
    0x87: lambda m: m.tuple(3),
    ord("t"): lambda m: m.stack.append(tuple(m.pop_marked())),
    ord("}"): lambda m: m.stack.append({}),
    ord("s"): lambda m: m.set_items(_pop_pair(m)),
    ord("u"): lambda m: m.set_items(m.pop_marked()),
    ord("q"): lambda m: m.remember(m.number(1)),
    ord("r"): lambda m: m.remember(m.number(4)),
    0x94: lambda m: m.remember(len(m.memo)),  # MEMOIZE
    ord("h"): lambda m: m.recall(m.number(1)),
    ord("j"): lambda m: m.recall(m.number(4)),
    ord("c"): lambda m: m.function(m.name(), m.name()),
    0x93: lambda m: m.function(*reversed((m.pop(), m.pop()))),  # STACK_GLOBAL
    ord("R"): lambda m: m.call(),
    ord("b"): lambda m: m.build(),
}
"""What each opcode does."""
