"""Picture of one cloud from four sides, in the axes of its file."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from spa3d.rendering.point_cloud import render

INK = (30, 34, 40)
_VIEWS = (
    ("from +z: x right, y up", 0.0, 0.0),
    ("from +x: -z right, y up", 90.0, 0.0),
    ("from +y: x right, -z up", 0.0, 90.0),
    ("from a corner: y up", 35.0, 25.0),
)
"""Label, yaw and pitch of each picture."""


def draw_cloud_views(
    cloud: Float[np.ndarray, "N 6"], lines: Sequence[str], path: Path | str, *, size: int = 320
) -> None:
    """Write a PNG with four views of a finite cloud, and lines of text below.

    Args:
        cloud: xyz as in the file, and rgb in [0, 1]; all 0 is drawn in gray.
        lines: text below the pictures.
        path: file to write.
        size: edge of a picture in pixels.

    """
    font = ImageFont.load_default(size=max(11, size // 22))
    tall = int(font.getbbox("Ag")[3] * 1.4)
    width = len(_VIEWS) * size
    letters = int(width / font.getlength("n"))
    text = [part for line in lines for part in textwrap.wrap(line, letters) or [""]]
    sheet = Image.new("RGB", (width, size + tall * (len(text) + 2)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (label, yaw, pitch) in enumerate(_VIEWS):
        sheet.paste(Image.fromarray(render(cloud, size=size, yaw=yaw, pitch=pitch)), (number * size, 0))
        pen.text((number * size + 6, size + 2), label, fill=INK, font=font)
    pen.multiline_text((6, size + int(1.5 * tall)), "\n".join(text), fill=INK, font=font)
    sheet.save(path, format="PNG")
