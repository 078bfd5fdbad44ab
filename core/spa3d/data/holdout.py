"""Objects held out by a hash of their names, for data without a split of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def held_out_groups(groups: Iterable[str], share: float, *, purpose: str = "val") -> frozenset[str]:
    """Choose about `share` of the groups, by a hash of each name; one at least if `share` > 0 and there are two.

    Whether a name is chosen depends on no other one, except where the hash chooses none.

    Args:
        groups: names; those of look-alikes are equal.
        share: share of the names, 0 to 1.
        purpose: name of the split, so that two splits get different groups.

    """
    names = set(groups)
    chosen = frozenset(name for name in names if _fraction(purpose, name) < share)
    if chosen or share <= 0 or len(names) < 2:
        return chosen
    return frozenset([min(names, key=lambda name: (_fraction(purpose, name), name))])


def _fraction(purpose: str, name: str) -> float:
    digest = hashlib.sha256(f"{purpose}\0{name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
