"""Pairs on disk: JSON lines, one pair a line, as ``spa3d pairs`` writes them and ``--pairs.path`` reads them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spa3d.contracts.dataset import Record
from spa3d.errors import DataError
from spa3d.runtime.atomic_files import write_whole

TEXTS = ("record", "question", "chosen", "rejected")
"""What every line must have: texts that are not empty."""
SAME = "the two answers are the same"
EMPTY = "an answer is empty"


@dataclass(frozen=True)
class Pair:
    """One question, its preferred and its rejected answer.

    Attributes:
        record_id: whose cloud the question is about.
        question: as the model is asked, without the point block.
        chosen: the answer to prefer.
        rejected: the answer to avoid; never the text of `chosen`.
        has_cloud: false for a text-only conversation.
        made: how the pair came about: mode, writer or model, noise, seed.

    """

    record_id: str
    question: str
    chosen: str
    rejected: str
    has_cloud: bool = True
    made: Mapping[str, object] = field(default_factory=dict)


def plain_text(text: str) -> str:
    """`text` without what makes no other answer of it: case, and how much space is between its words."""
    return " ".join(text.split()).casefold()


def fault_of(chosen: str, rejected: str) -> str:
    """Why two answers are no pair; empty where they are one."""
    if not chosen.strip() or not rejected.strip():
        return EMPTY
    return SAME if plain_text(chosen) == plain_text(rejected) else ""


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Write `pairs` to `path`, whole or not at all."""
    write_whole(path, text_of(pairs))


def text_of(pairs: Sequence[Pair]) -> str:
    """What the file of `pairs` holds."""
    return "".join(json.dumps(_row(pair), ensure_ascii=False) + "\n" for pair in pairs)


def read_pairs(path: Path) -> list[Pair]:
    """The pairs in `path`, in their order.

    Raises:
        DataError: the file cannot be read or holds no pair, or a line is no pair; the message names file and line.

    """
    pairs = [_pair(row, where) for row, where in rows(path)]
    if not pairs:
        raise DataError(f"{path}: holds no pair; make some with `spa3d pairs FILE --pairs.mode augmentation`")
    return pairs


def rows(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Each line of a file of JSON lines as a mapping, and where it stands; raises `DataError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        why = getattr(fault, "strerror", None) or fault  # an OSError would name the file again
        raise DataError(f"{path}: cannot be read ({why}); it should be JSON lines") from fault
    # Not splitlines: text may hold line breaks of Unicode's own, which JSON leaves as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as fault:
            raise DataError(f"{where}: this is no JSON ({fault}): {line[:80]!r}") from fault
        if not isinstance(row, dict):
            raise DataError(f"{where}: a line must be an object with {', '.join(TEXTS)}, not {line[:80]!r}")
        yield row, where


def of_training(
    pairs: Sequence[Pair], records: Sequence[Record], *, left_out: Collection[str], dataset: str
) -> list[Pair]:
    """Those of `pairs` that `records` can show, without those about records that are `left_out` as bad data.

    Raises:
        DataError: pairs about records that the training split does not have, or none is left.

    """
    there = {record.id for record in records}
    strange = [pair for pair in pairs if pair.record_id not in there and pair.record_id not in left_out]
    if strange:
        makers = sorted({str(pair.made["dataset"]) for pair in strange if "dataset" in pair.made})
        made_with = f"; they were made with dataset {', '.join(makers)}" if makers else ""
        raise DataError(
            f"{len(strange)} of {len(pairs)} pairs are about records that the training split of {dataset} does not "
            f"have, the first about {strange[0].record_id!r}{made_with}: choose that dataset with the settings it had "
            f"then, or make pairs for this one with --pairs.mode"
        )
    found = [pair for pair in pairs if pair.record_id in there]
    if not found:
        raise DataError(f"all {len(pairs)} pairs are about records that are left out as bad data")
    return found


def _row(pair: Pair) -> dict[str, Any]:
    return {
        "record": pair.record_id,
        "question": pair.question,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "has_cloud": pair.has_cloud,
        "made": dict(pair.made),
    }


def _pair(row: Mapping[str, Any], where: str) -> Pair:
    missing = [name for name in TEXTS if name not in row]
    if missing:
        raise DataError(f"{where}: {', '.join(missing)} missing; a pair has {', '.join(TEXTS)}")
    wrong = [name for name in TEXTS if not isinstance(row[name], str)]
    if wrong:
        raise DataError(f"{where}: {wrong[0]} must be a text, not {row[wrong[0]]!r}")
    empty = [name for name in ("record", "question") if not row[name].strip()]
    if empty:
        raise DataError(f"{where}: {empty[0]} is empty")
    has_cloud, made = row.get("has_cloud", True), row.get("made", {})
    if not isinstance(has_cloud, bool) or not isinstance(made, dict):
        raise DataError(f"{where}: has_cloud must be true or false, and made an object")
    fault = fault_of(row["chosen"], row["rejected"])
    if fault:
        raise DataError(f"{where}: {fault}, which leaves nothing to prefer; leave the line out")
    return Pair(row["record"], row["question"], row["chosen"], row["rejected"], has_cloud, made)
