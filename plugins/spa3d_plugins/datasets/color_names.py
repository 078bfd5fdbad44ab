"""Rules that name a cloud's main color and its overall shape.

The facts of the real objects (run preset ``objects``) were made with the same two rules.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from spa3d.contracts.dataset import CloudArray

Axis = Literal["x", "y", "z"]
SHADES: Final = {
    "gray": {
        "gray": (133, 131, 128),
        "dark gray": (71, 69, 72),
        "light gray": (191, 195, 196),
        "slate blue-gray": (91, 109, 130),
    },
    "brown": {"brown": (116, 74, 43), "dark brown": (67, 42, 27)},
    "tan": {"tan": (195, 159, 111), "beige": (229, 211, 176)},
    "green": {
        "green": (81, 154, 63),
        "dark green": (48, 85, 37),
        "light green": (151, 206, 114),
        "olive": (118, 116, 48),
    },
    "blue": {
        "blue": (39, 92, 190),
        "dark blue": (35, 45, 100),
        "light blue": (145, 192, 231),
        "teal": (46, 134, 139),
        "cyan": (107, 208, 224),
    },
    "red": {"red": (217, 58, 48), "dark red": (119, 34, 34)},
    "orange": {"orange": (225, 125, 48)},
    "yellow": {"yellow": (241, 204, 57)},
    "white": {"white": (238, 240, 241)},
    "black": {"black": (21, 17, 20)},
    "purple": {
        "purple": (120, 60, 150),
        "magenta": (194, 67, 151),
        "lavender": (181, 160, 220),
        "pink": (241, 160, 181),
    },
}
"""Word → its shades, sRGB from 0 to 255; the first shade has the same name as the word.

The 27 names and their 11 words come from the objects' facts files, which do not state the colors behind the names.
The colors were fitted to the 853 different colors with names in those files (a softmax over negative squared
distances in Lab). They give the files' names for all of these, and for the main colors of 1139 of the 1146 clouds.
"""
WORDS: Final = tuple(SHADES)
_WORD_OF_SHADE = np.array([number for number, shades in enumerate(SHADES.values()) for _ in shades])
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_EDGE = 6 / 29


def to_lab(rgb: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
    """Convert sRGB in [0, 1] to CIE 1976 L*a*b* (D65; L from 0 to 100; IEC 61966-2-1, CIE 15)."""
    rgb = rgb.astype(np.float64)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    part = linear @ _TO_XYZ.T / _WHITE
    x, y, z = np.moveaxis(np.where(part > _EDGE**3, np.cbrt(part), part / (3 * _EDGE**2) + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def from_lab(lab: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
    """Convert L*a*b* to sRGB, the inverse of `to_lab`, clipped to [0, 1]."""
    y = (lab[..., 0] + 16) / 116
    part = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(part > _EDGE, part**3, 3 * _EDGE**2 * (part - 4 / 29)) * _WHITE
    linear = np.clip(xyz @ np.linalg.inv(_TO_XYZ).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


_SHADES_LAB = to_lab(np.array([rgb for shades in SHADES.values() for rgb in shades.values()]) / 255)


def lab_of(word: str) -> Float[np.ndarray, " 3"]:
    """Lab color of the first shade of `word`, one of `WORDS`."""
    return _SHADES_LAB[np.searchsorted(_WORD_OF_SHADE, WORDS.index(word))]


class MainColor(NamedTuple):
    """Main color of a cloud: its word, the points of that word (any shade), and its lead."""

    word: str
    points: Bool[np.ndarray, " N"]
    lead: float
    """Share of the points of the most frequent shade minus that of the most frequent shade of another word."""


def main_color(cloud: CloudArray) -> MainColor:
    """Find the word of the shade to which most points are nearest in Lab."""
    # Squared distances without the term that is equal for all shades.
    nearest = np.argmin((_SHADES_LAB**2).sum(1) - 2 * to_lab(cloud[:, 3:]) @ _SHADES_LAB.T, axis=1)
    shares = np.bincount(nearest, minlength=len(_WORD_OF_SHADE)) / len(cloud)
    word = _WORD_OF_SHADE[shares.argmax()]
    lead = shares.max() - shares[word != _WORD_OF_SHADE].max()
    return MainColor(WORDS[word], _WORD_OF_SHADE[nearest] == word, float(lead))


def shape_of(size: Float[np.ndarray, " 3"], up_axis: Axis = "y") -> str:
    """Name the shape: tall, long, flat or compact, from the bounding box's edges along x, y, z.

    Objects have no common front, so the two horizontal axes are treated alike.
    """
    high = float(size["xyz".index(up_axis)])
    narrow, wide = sorted(float(edge) for axis, edge in zip("xyz", size, strict=True) if axis != up_axis)
    if high > 1.4 * wide:
        return "tall"
    if narrow < 0.5 * wide and high < 0.75 * wide:
        return "long"
    return "flat" if high < 0.5 * wide else "compact"
