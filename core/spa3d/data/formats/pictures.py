"""Pictures of textures, decoded to display colors."""

from __future__ import annotations

import io
import warnings

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from spa3d.errors import DataError

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TGA", "TIFF", "GIF", "PPM")
"""Formats that are decoded, none of which runs a program."""


def decode_picture(data: bytes | memoryview, where: str) -> UInt8[np.ndarray, "H W C"]:
    """Decode a picture to red, green and blue, and alpha if it has any.

    Raises:
        DataError: it is damaged, of another format, or has more pixels than Pillow holds safe; nothing is decoded
            before its size is known.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                return _to_bytes(picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{where}: the picture is too large ({error}); scale it down.") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{where}: no picture of a known format ({', '.join(_FORMATS)}); convert it to PNG.") from error
    except Exception as error:  # Pillow's decoders raise anything
        raise DataError(f"{where}: the picture is damaged ({error}); copy it again.") from error


def _to_bytes(picture: Image.Image) -> UInt8[np.ndarray, "H W C"]:
    if picture.mode.startswith(("I", "F")):  # 16 bits, which Pillow would clip to 8
        gray = np.asarray(picture, dtype=np.float64)
        gray = gray / (65535 if gray.max(initial=0) > 255 else 255)
        return np.repeat((gray.clip(0, 1) * 255 + 0.5).astype(np.uint8)[..., None], 3, axis=2)
    transparent = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    return np.asarray(picture.convert("RGBA" if transparent else "RGB"))
