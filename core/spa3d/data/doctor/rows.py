"""Rows of large clouds: which are finite, which repeat, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, UInt64

from spa3d.data.formats.contract import Cloud

PIECE = 1_000_000
"""Rows that are worked on at once."""
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)


def pieces(count: int) -> Iterator[slice]:
    """Slices of at most `PIECE` rows."""
    return (slice(start, min(start + PIECE, count)) for start in range(0, count, PIECE))


def finite_rows(cloud: Cloud) -> Bool[np.ndarray, " N"]:
    """Mask of the points without NaN, infinity, or numbers beyond float32."""
    mask, most = np.ones(len(cloud), bool), np.finfo(np.float32).max
    for piece in pieces(len(cloud)):
        mask[piece] = (np.abs(cloud.points[piece]) <= most).all(axis=1)  # nan compares false
        if cloud.colors is not None:
            mask[piece] &= np.isfinite(cloud.colors[piece]).all(axis=1)
    return mask


def hash_rows(xyz: Float[np.ndarray, "N 3"]) -> UInt64[np.ndarray, " N"]:
    """Hash of each point; equal points have equal hashes, and others almost never."""
    hashes = np.empty(len(xyz), np.uint64)
    for piece in pieces(len(xyz)):
        bits = (xyz[piece] + 0.0).view(np.uint64)  # -0.0 becomes 0.0
        mixed = np.zeros(len(bits), np.uint64)
        for column, factor in zip(bits.T, _FACTORS, strict=True):
            mixed = (mixed ^ column) * factor
            mixed ^= mixed >> np.uint64(29)
        hashes[piece] = mixed
    return hashes


def count_repeats(hashes: UInt64[np.ndarray, " N"]) -> int:
    """Number of hashes that occurred before."""
    ordered = np.sort(hashes)
    return int((ordered[1:] == ordered[:-1]).sum())


def find_repeats(xyz: Float[np.ndarray, "N 3"]) -> Bool[np.ndarray, " N"]:
    """Mask of the points at a place where an earlier point is."""
    hashes = hash_rows(np.ascontiguousarray(xyz))
    order = np.argsort(hashes, kind="stable")
    repeats = np.zeros(len(xyz), bool)
    repeats[order[1:]] = hashes[order[1:]] == hashes[order[:-1]]
    return repeats
