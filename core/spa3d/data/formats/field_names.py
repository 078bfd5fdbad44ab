"""Names of a point's values in headers, as the programs of the field write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_ALIASES: dict[str, tuple[str, ...]] = {
    "x": ("x", "px", "pos_x", "position_x", "coord_x", "x_coordinate", "cartesianx", "easting"),
    "y": ("y", "py", "pos_y", "position_y", "coord_y", "y_coordinate", "cartesiany", "northing"),
    "z": ("z", "pz", "pos_z", "position_z", "coord_z", "z_coordinate", "cartesianz", "elevation"),
    "red": ("red", "r", "rf", "diffuse_red", "color_r", "colorred"),
    "green": ("green", "g", "gf", "diffuse_green", "color_g", "colorgreen"),
    "blue": ("blue", "b", "bf", "diffuse_blue", "color_b", "colorblue"),
    "nx": ("nx", "normal_x", "normalx", "n_x"),
    "ny": ("ny", "normal_y", "normaly", "n_y"),
    "nz": ("nz", "normal_z", "normalz", "n_z"),
    "alpha": ("alpha", "a", "diffuse_alpha"),
    "intensity": ("intensity", "i", "reflectance", "scalar_intensity", "remission"),
}
_FIELD_OF = {alias: field for field, aliases in _ALIASES.items() for alias in aliases}
POINT = ("x", "y", "z")
COLOR = ("red", "green", "blue")
NORMAL = ("nx", "ny", "nz")
USED = (*POINT, *COLOR, *NORMAL)
"""Values of a point that a cloud keeps."""


def find_fields(names: Iterable[str]) -> dict[str, int]:
    """Positions of the known values among the names of a header; the first of several counts.

    The keys are those of `USED`, and ``alpha`` and ``intensity``. Units in brackets and letter case do not matter.
    """
    result: dict[str, int] = {}
    for position, name in enumerate(names):
        field = _FIELD_OF.get(re.sub(r"[\[(].*", "", name).strip(" \"'/#").lower().replace(" ", "_"))
        if field:
            result.setdefault(field, position)
    return result


def has_fields(positions: Mapping[str, object], fields: Sequence[str]) -> bool:
    """Whether all of some values are there."""
    return all(field in positions for field in fields)
