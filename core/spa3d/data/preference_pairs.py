"""Preference pairs in JSON lines, written by ``spa3d pairs`` and read by ``--pairs.path``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spa3d.contracts.dataset import Record
from spa3d.data.keys import refuse_misspelled
from spa3d.errors import DataError
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.jsonl import Line, format_lines, read_values

TEXTS = ("record", "question", "chosen", "rejected")
"""Required keys of every line: texts that are not empty."""
SAME = "the two answers are the same"
EMPTY = "an answer is empty"


@dataclass(frozen=True)
class Pair:
    """Question with its preferred and its rejected answer.

    Attributes:
        record_id: record of the cloud.
        question: prompt of the model, without the point block.
        chosen: the answer to prefer.
        rejected: the answer to avoid; its text differs from `chosen`.
        has_cloud: false for a text-only conversation.
        made: origin of the pair: mode, writer or model, noise, seed.

    """

    record_id: str
    question: str
    chosen: str
    rejected: str
    has_cloud: bool = True
    made: Mapping[str, object] = field(default_factory=dict)


def normalize_text(text: str) -> str:
    """Fold case and collapse whitespace, for comparing answers."""
    return " ".join(text.split()).casefold()


def pair_error(chosen: str, rejected: str) -> str:
    """Describe why two answers do not form a pair; empty for a valid pair."""
    if not chosen.strip() or not rejected.strip():
        return EMPTY
    return SAME if normalize_text(chosen) == normalize_text(rejected) else ""


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Write `pairs` to `path`, atomically."""
    write_whole(path, format_pairs(pairs))


def format_pairs(pairs: Sequence[Pair]) -> str:
    """Format `pairs` as JSON lines."""
    return format_lines(_row(pair) for pair in pairs)


def read_pairs(path: Path) -> list[Pair]:
    """Read the pairs in `path`, in their order.

    Raises:
        DataError: the file is unreadable or has no pairs, or a line is not a pair; the message names file and line.

    """
    pairs = [_pair(line, value) for line, value in read_values(path)]
    if not pairs:
        raise DataError(f"{path}: no pairs in it; make some with `spa3d pairs FILE --pairs.mode augmentation`")
    return pairs


def select_pairs(
    pairs: Sequence[Pair], records: Sequence[Record], *, left_out: Collection[str], dataset: str
) -> list[Pair]:
    """Select the pairs about `records`; drop those about records in `left_out` (bad data).

    Raises:
        DataError: a pair is about a record outside of the training split, or no pair remains.

    """
    known = {record.id for record in records}
    unknown = [pair for pair in pairs if pair.record_id not in known and pair.record_id not in left_out]
    if unknown:
        makers = sorted({str(pair.made["dataset"]) for pair in unknown if "dataset" in pair.made})
        made_with = f"; they were made with dataset {', '.join(makers)}" if makers else ""
        raise DataError(
            f"{len(unknown)} of {len(pairs)} pairs are about records that the training split of {dataset} does not "
            f"have, the first about {unknown[0].record_id!r}{made_with}: choose that dataset with the settings it had "
            f"then, or make pairs for this one with --pairs.mode"
        )
    kept = [pair for pair in pairs if pair.record_id in known]
    if not kept:
        raise DataError(f"all {len(pairs)} pairs are about records that are left out as bad data")
    return kept


def _row(pair: Pair) -> dict[str, Any]:
    return {
        "record": pair.record_id,
        "question": pair.question,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "has_cloud": pair.has_cloud,
        "made": dict(pair.made),
    }


def _pair(line: Line, row: Any) -> Pair:
    where = line.where
    if not isinstance(row, dict):
        raise DataError(f"{where}: a line must be an object with {', '.join(TEXTS)}, not {line.excerpt}")
    refuse_misspelled(row, (*TEXTS, "has_cloud", "made"), where)
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
    error = pair_error(row["chosen"], row["rejected"])
    if error:
        raise DataError(f"{where}: {error}, which leaves nothing to prefer; leave the line out")
    return Pair(row["record"], row["question"], row["chosen"], row["rejected"], has_cloud, made)
