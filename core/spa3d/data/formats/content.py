"""What a file looks like by its first bytes, whatever its name says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spa3d.errors import DataError
from spa3d.runtime.paths import open_file

_HEAD = 512
"""Bytes of a file that are looked at."""


@dataclass(frozen=True)
class Content:
    """Kind of content that its first bytes reveal.

    Attributes:
        description: what it is, with an article.
        suffixes: endings of files that hold it.
        advice: what to do with such a file of another name; empty: rename it.

    """

    description: str
    suffixes: tuple[str, ...] = ()
    advice: str = ""

    @property
    def remedy(self) -> str:
        """What to do with a file of another name."""
        return self.advice or f"rename it to {' or '.join(self.suffixes)}"


_UNPACK = "unpack it first"
_CONVERT = "is it the right file?"
_KNOWN: tuple[tuple[bytes, Content], ...] = (
    (b"version https://git-lfs", Content("a Git LFS pointer", advice="fetch the file itself with: git lfs pull")),
    (b"ply\n", Content("a PLY file", (".ply",))),
    (b"ply\r", Content("a PLY file", (".ply",))),
    (b"# .PCD", Content("a PCD file", (".pcd",))),
    (b"LASF", Content("a LAS or LAZ file", (".las", ".laz"))),
    (b"ASTM-E57", Content("an E57 file", (".e57",))),
    (b"\x93NUMPY", Content("a NumPy array", (".npy",))),
    (b"glTF", Content("a binary glTF file", (".glb", ".gltf"))),
    (b"OFF", Content("an OFF file", (".off",))),
    (b"COFF", Content("an OFF file", (".off",))),
    (b"PK\x03\x04", Content("a ZIP archive", (".npz", ".pt", ".pth"), _UNPACK)),
    (b"\x1f\x8b", Content("a gzip archive", advice=_UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Content("a 7z archive", advice=_UNPACK)),
    (b"BZh", Content("a bzip2 archive", advice=_UNPACK)),
    (b"\xfd7zXZ\x00", Content("an xz archive", advice=_UNPACK)),
    (b"\x80\x02", Content("a pickle, which is never loaded", (".pt", ".pth", ".dat", ".pkl"), _CONVERT)),
    (b"\x80\x04", Content("a pickle, which is never loaded", (".pt", ".pth", ".dat", ".pkl"), _CONVERT)),
    (b"\x89HDF", Content("an HDF5 file", advice="save its array as .npy")),
    (b"\x89PNG", Content("a picture", advice=_CONVERT)),
    (b"\xff\xd8\xff", Content("a picture", advice=_CONVERT)),
    (b"%PDF", Content("a PDF file", advice=_CONVERT)),
)
_HTML = Content("an HTML page", advice="the download was answered with a page; download the file itself")


def describe_content(head: bytes) -> Content | None:
    """Kind of a file by its first bytes; None if they do not reveal it."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:9].lower() == b"<!doctype" or start[:5].lower() in (b"<html", b"<head"):
        return _HTML
    return next((content for first, content in _KNOWN if start.startswith(first) or head.startswith(first)), None)


def refuse_other_content(path: Path, where: str) -> None:
    """Raise `DataError` if a file holds something other than its ending says, and name it."""
    with open_file(path, where, DataError) as file:
        head = file.read(_HEAD)
    if not head:
        raise DataError(f"{where}: the file is empty; copy it again.")
    content = describe_content(head)
    if content is not None and path.suffix.lower() not in content.suffixes:
        ending = f", although its name ends in {path.suffix}" if content.suffixes else ""
        raise DataError(f"{where}: it looks like {content.description}{ending}; {content.remedy}.")
