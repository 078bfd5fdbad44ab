"""Circular evaluation: a question counts if it is right in every rotation of its options.

Rotation k moves every option k letters on, and the answer with it, so that a preference for a letter or a position
earns nothing. A question with n options is asked n times. Two conventions of other projects are here, too: the groups
of MMBench's CircularEval and those of 3DSRBench.

Sources: Liu et al., MMBench, https://arxiv.org/abs/2307.06281; Ma et al., 3DSRBench, https://arxiv.org/abs/2412.07825.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Literal, TypeVar

from spa3d.errors import DataError

Item = TypeVar("Item")
Setting = Literal["vanilla", "flip", "circular", "flip_circular"]
PASS = 1_000_000
"""Distance of the row numbers of two passes in MMBench's layout."""
BASE, FLIP = 8, "-flip"
"""Characters of a question's id in 3DSRBench, and the mark of its mirrored twin."""


def rotate_options(options: Sequence[Item], steps: int) -> tuple[Item, ...]:
    """Move every option `steps` places on; the last ones come first."""
    count = len(options)
    return tuple(options[(index - steps) % count] for index in range(count))


def list_rotations(options: Sequence[Item]) -> list[tuple[Item, ...]]:
    """List all rotations of the options, the given order first."""
    return [rotate_options(options, steps) for steps in range(len(options))]


def rotate_index(index: int, steps: int, count: int) -> int:
    """Place of an option after a rotation of `count` options."""
    return (index + steps) % count


def is_consistent(
    letters: Sequence[str | None], answers: Sequence[str], resolve: Callable[[int], str | None] | None = None
) -> bool:
    """Whether all passes of one question are right, by the rule of VLMEvalKit.

    One wrong letter decides. Unreadable passes are resolved only if no readable one is wrong; without `resolve` they
    are wrong. Passes that are not given are not required.

    Args:
        letters: the letters that were read, in the order of the passes; None: unreadable.
        answers: the right ones.
        resolve: finds the letter of an unreadable pass by its position, such as by a judge.

    Raises:
        DataError: there is no pass, or the numbers differ.

    """
    if not letters or len(letters) != len(answers):
        raise DataError(f"circular evaluation: {len(letters)} letters for {len(answers)} passes of a question")
    if any(letter is not None and letter != answer for letter, answer in zip(letters, answers, strict=True)):
        return False
    unread = [index for index, letter in enumerate(letters) if letter is None]
    return all(resolve is not None and resolve(index) == answers[index] for index in unread)


def score_groups(keys: Iterable[Hashable], hits: Iterable[bool]) -> dict[Hashable, bool]:
    """Score groups of answers: a group is right if all its answers are."""
    groups: dict[Hashable, bool] = {}
    for key, hit in zip(keys, hits, strict=True):
        groups[key] = groups.get(key, True) and bool(hit)
    return groups


def consistent_accuracy(keys: Iterable[Hashable], hits: Iterable[bool]) -> float:
    """Share of groups whose answers are all right.

    Raises:
        DataError: there is no answer.

    """
    groups = score_groups(keys, hits)
    if not groups:
        raise DataError("circular evaluation: there is no answer")
    return sum(groups.values()) / len(groups)


def question_number(index: int) -> int:
    """Number of the question of a row in MMBench's layout, where pass k adds k million."""
    return index % PASS


def group_3dsrbench(qid: str, setting: Setting) -> str:
    """Name of the group of a row of 3DSRBench.

    An id is 8 characters, then ``-flip`` for the mirrored twin, then ``-k`` for pass k.

    Args:
        qid: id of the row.
        setting: ``vanilla``: each row alone; ``flip``: a row and its mirrored twin, pass by pass; ``circular``: the
            passes of a row; ``flip_circular``: all of them.

    """
    if setting == "flip":
        return qid.replace(FLIP, "")
    if setting == "circular":
        return qid[: BASE + len(FLIP)] if FLIP in qid else qid[:BASE]
    return qid if setting == "vanilla" else qid[:BASE]
