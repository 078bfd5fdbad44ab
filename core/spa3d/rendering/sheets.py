"""Sheets of pictures: contact sheets and comparisons of clouds."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from spa3d.rendering.point_cloud import choose_yaw, enclosing_sphere, render

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

INK = (30, 34, 40)
LABEL_LINES = 4
MARGIN = 6
"""Pixels beside a text."""
GAP = 3
"""Pixels between the pictures of a strip."""
FARTHEST = 2.0
"""Largest reach of the pictures of a strip, in radii of its first cloud, which would otherwise become too small."""


@dataclass(frozen=True)
class Strip:
    """Row of a comparison: name, meaning, and clouds in one frame with a label each."""

    name: str
    meaning: str
    clouds: Sequence[Float[np.ndarray, "N 6"]]
    labels: Sequence[str]


def draw_contact_sheet(
    clouds: Sequence[Float[np.ndarray, "N 6"]],
    labels: Sequence[str],
    path: Path | str,
    *,
    columns: int = 6,
    size: int = 220,
    yaw: float | None = None,
) -> None:
    """Write a PNG with one labeled picture per cloud, in rows of `columns` pictures."""
    font = ImageFont.load_default(size=max(10, size // 17))
    line = _line_height(font)
    tall = size + line * LABEL_LINES + line // 2
    columns = max(1, min(columns, len(clouds)))
    rows = math.ceil(len(clouds) / columns)
    sheet = Image.new("RGB", (columns * size, max(rows, 1) * tall), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (cloud, label) in enumerate(zip(clouds, labels, strict=True)):
        x, y = i % columns * size, i // columns * tall
        sheet.paste(Image.fromarray(render(cloud, size=size, yaw=yaw)), (x, y))
        pen.multiline_text((x + 4, y + size + 2), _wrap_to_width(label, font, size - 8), fill=INK, font=font)
    sheet.save(path, format="PNG")


def draw_comparison_sheet(groups: Sequence[tuple[str, Sequence[Strip]]], path: Path | str, *, size: int = 200) -> None:
    """Write a PNG with groups of strips, each group below its title.

    The name and the meaning of a strip are on the left, followed by its pictures. All pictures of a group use the view
    of its first cloud (`choose_yaw`). All pictures of a strip use the position and the point size of its first cloud,
    and one scale, with a reach of at most `FARTHEST` radii.
    """
    columns = 1 + max((len(strip.clouds) for _, strips in groups for strip in strips), default=0)
    bands = []
    for title, strips in groups:
        yaw = choose_yaw(strips[0].clouds[0])
        bands += [_title(title, columns * size, size // 11), *(_draw_band(strip, size, yaw) for strip in strips)]
    sheet = Image.new("RGB", (columns * size, max(1, sum(band.height for band in bands))), "white")
    y = 0
    for band in bands:
        sheet.paste(band, (0, y))
        y += band.height
    sheet.save(path, format="PNG")


def _title(title: str, width: int, size: int) -> Image.Image:
    font = ImageFont.load_default(size=size)
    lines = _wrap_to_width(title, font, width - 2 * MARGIN)
    band = Image.new("RGB", (width, (lines.count("\n") + 3) * _line_height(font)), "white")
    ImageDraw.Draw(band).multiline_text((MARGIN, _line_height(font)), lines, fill=INK, font=font)
    return band


def _draw_band(strip: Strip, size: int, yaw: float) -> Image.Image:
    """Draw the name and meaning of a strip, and its pictures with their labels below."""
    name, font = ImageFont.load_default(size=size // 11), ImageFont.load_default(size=size // 14)
    first, line = strip.clouds[0], _line_height(font)
    band = Image.new("RGB", (size * (1 + len(strip.clouds)), size + 2 * line), "white")
    pen = ImageDraw.Draw(band)
    pen.text((MARGIN, 0), _wrap_to_width(strip.name, name, size - 2 * MARGIN, lines=1), fill=INK, font=name)
    meaning = _wrap_to_width(strip.meaning, font, size - 3 * MARGIN, lines=(size - 2 * _line_height(name)) // line)
    pen.multiline_text((MARGIN, 2 * _line_height(name)), meaning, fill=INK, font=font)
    middle, radius = enclosing_sphere(first[:, :3])
    far = max(float(np.linalg.norm(cloud[:, :3] - middle, axis=1).max()) for cloud in strip.clouds)
    reach = min(max(far / radius, 1.0), FARTHEST)
    for i, (cloud, label) in enumerate(zip(strip.clouds, strip.labels, strict=True), 1):
        picture = render(cloud, size=size - GAP, yaw=yaw, like=first, reach=reach)
        band.paste(Image.fromarray(picture), (i * size, 0))
        pen.text((i * size, size), _wrap_to_width(label, font, size - MARGIN, lines=1), fill=INK, font=font)
    return band


def _line_height(font: Font) -> int:
    """Height of a line of text, including the space to the next line."""
    return int(font.getbbox("Ag")[3] * 1.25)


def _wrap_to_width(label: str, font: Font, width: int, *, lines: int = LABEL_LINES) -> str:
    """Wrap `label` to at most `lines` lines, no wider than `width` pixels."""
    for letters in range(min(len(label), width // 2), 1, -1):  # no letter is narrower than two pixels
        wrapped = textwrap.wrap(label, letters, max_lines=lines, placeholder=" …")
        if max(map(font.getlength, wrapped), default=0) <= width:
            return "\n".join(wrapped)
    return ""
