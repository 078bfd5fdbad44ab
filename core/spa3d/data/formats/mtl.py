"""Reader of the materials of OBJ meshes (MTL): plain colors and textures.

Colors (``Kd``) are display colors. A texture (``map_Kd``) is taken as it is: many programs write any ``Kd`` beside it.
Transparency (``d``, ``Tr``, ``map_d``, alpha of textures) is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from spa3d.data.formats.mesh_sampling import Texture
from spa3d.data.formats.pictures import decode_picture
from spa3d.data.formats.side_files import decode_names, find_side_file, read_whole
from spa3d.runtime.paths import file_problem

Pair = tuple[float, float]
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PAIR = re.compile(rf"-([ost])((?:\s+{_NUMBER}){{1,3}})(?=\s)")
_OPTION = re.compile(
    rf"-(?:(?:blendu|blendv|cc|clamp)\s+(on|off)|(?:boost|texres|bm)\s+{_NUMBER}|mm\s+{_NUMBER}\s+{_NUMBER}|"
    r"(?:imfchan|type)\s+\S+)(?=\s)"
)


@dataclass
class ObjMaterial:
    """Color and texture of a material.

    Attributes:
        color: display color in [0, 1]; None if the file states none.
        texture: picture of ``map_Kd``, without alpha.
        scale: factors of the texture coordinates (``-s``).
        offset: what is added to them then (``-o``).

    """

    color: tuple[float, float, float] | None = None
    texture: Texture | None = None
    scale: Pair = (1.0, 1.0)
    offset: Pair = (0.0, 0.0)


@dataclass
class _Entry:
    """Lines of a material."""

    library: Path
    color: str = ""
    picture: str = ""


@dataclass
class _Reader:
    """Materials of a mesh; every picture is decoded once."""

    mesh: Path
    where: str
    notes: list[str]
    entries: dict[str, _Entry] = field(default_factory=dict)
    textures: dict[tuple[Path, bool], Texture] = field(default_factory=dict)

    def add_library(self, stated: str) -> None:
        """Read the entries of a file of materials, or of several whose names have no spaces."""
        whole = file_problem(self.mesh.parent / stated.replace("\\", "/"))
        for name in stated.split() if whole and len(stated.split()) > 1 else [stated]:
            where = f"{self.where}, mtllib (delete that line to read the shape without colors)"
            library = find_side_file(self.mesh, name, where)
            entry = _Entry(library)
            for line in decode_names(read_whole(library, str(library))).splitlines():
                key, *rest = line.strip().split(None, 1)[:2] or [""]
                value = rest[0] if rest else ""
                if key.lower() == "newmtl":
                    entry = self.entries.setdefault(value, _Entry(library))
                elif key.lower() == "kd":
                    entry.color = value
                elif key.lower() == "map_kd":
                    entry.picture = value

    def build(self, name: str) -> ObjMaterial:
        """Material of an entry, with its picture."""
        entry = self.entries[name]
        result = ObjMaterial(self._color(entry, name))
        text = f"{entry.picture} "
        clamp = False
        while match := _PAIR.match(text) or _OPTION.match(text):
            if match.re is _PAIR:
                numbers = [float(word) for word in match[2].split()]
                self._set_mapping(result, match[1], numbers)
            else:
                clamp = clamp or (match[0].startswith("-clamp") and match[1] == "on")
            text = text[match.end() :].lstrip()
        if text.strip():
            where = f"{self.where}, texture of the material {name!r} (delete its map_Kd to read its plain color)"
            result.texture = self._texture(find_side_file(entry.library, text.strip(), where), clamp, where)
        return result

    def _color(self, entry: _Entry, name: str) -> tuple[float, float, float] | None:
        words = entry.color.partition("#")[0].split()
        if not words:
            return None
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            numbers = []
        if len(numbers) not in (1, 3) or not all(0 <= number <= 1 for number in numbers):
            self.notes.append(
                f"the color of the material {name!r} ({entry.color[:40]}) is not read: it is no RGB in 0..1"
            )
            return None
        red, green, blue = numbers if len(numbers) == 3 else numbers * 3
        return red, green, blue

    def _set_mapping(self, material: ObjMaterial, option: str, numbers: list[float]) -> None:
        if option == "s":
            material.scale = (numbers[0], numbers[1] if len(numbers) > 1 else 1.0)
        elif option == "o":
            material.offset = (numbers[0], numbers[1] if len(numbers) > 1 else 0.0)
        else:
            self.notes.append("the turbulence of a texture (-t) is ignored")

    def _texture(self, picture: Path, clamp: bool, where: str) -> Texture:
        if (picture, clamp) not in self.textures:
            image = decode_picture(read_whole(picture, where), where)[..., :3]
            self.textures[picture, clamp] = Texture(image, ("clamp", "clamp") if clamp else ("repeat", "repeat"))
        return self.textures[picture, clamp]


def read_materials(
    mesh: Path, libraries: Collection[str], used: Collection[str], where: str, notes: list[str]
) -> dict[str, ObjMaterial]:
    """Read the materials `used` of a mesh, by name.

    Args:
        mesh: file of the mesh.
        libraries: names of files of materials, as the mesh states them.
        used: names of materials; those that no file has are left out.
        where: location of the mesh, for messages.
        notes: gets a sentence for each thing that is not read as it is stated.

    Raises:
        DataError: a file of materials or a texture is missing, outside of the folder, or damaged.

    """
    reader = _Reader(mesh, where, notes)
    for name in dict.fromkeys(libraries):
        reader.add_library(name)
    return {name: reader.build(name) for name in used if name in reader.entries}
