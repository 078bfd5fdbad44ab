"""Splits of a folder: by folders, by lists, by a column of the texts, or by hashes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from spa3d.data.holdout import held_out_groups
from spa3d.errors import DataError
from spa3d.runtime.text_files import read_text
from spa3d_plugins.datasets.folder_layout.files import FolderFiles
from spa3d_plugins.datasets.folder_layout.lookup import CloudNames
from spa3d_plugins.datasets.folder_layout.names import SPLITS, folder_splits

SplitBy = Literal["auto", "folders", "lists", "column", "hash"]
_DESCRIPTIONS = {
    "folders": "folders named train, val or test",
    "lists": "files train.txt, val.txt or test.txt at the top of the folder",
    "column": "column split in the texts",
}


@dataclass
class Splits:
    """The split of each cloud.

    Attributes:
        by_id: cloud → split.
        errors: one line per cloud or line of a list that is not used.
        notes: what was drawn or left out.

    """

    by_id: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class SplitReader:
    """Reader of the splits that a folder states.

    Args:
        files: the files of the folder.
        column: cloud → split that the texts state.
        split_by: which statement counts; ``auto``: the one there is.

    """

    def __init__(self, files: FolderFiles, column: Mapping[str, str], split_by: SplitBy) -> None:
        self._files, self._column, self._split_by = files, column, split_by
        self._read = {"folders": self._read_folders, "lists": self._read_lists, "column": self._read_column}

    def read(self) -> Splits:
        """The stated splits; none with ``hash``, or where nothing states any.

        Raises:
            DataError: two statements contradict each other, or the one asked for is missing.

        """
        if self._split_by == "hash":
            return Splits()
        if self._split_by != "auto":
            splits = self._read[self._split_by]()
            if not splits.by_id:
                raise DataError(
                    f"--dataset.split_by {self._split_by}: {self._files.root} has no {_DESCRIPTIONS[self._split_by]}."
                )
            return splits
        stated = {name: splits for name, read in self._read.items() if (splits := read()).by_id or splits.errors}
        self._refuse_contradiction(stated)
        return next(iter(stated.values()), Splits())

    def _refuse_contradiction(self, stated: Mapping[str, Splits]) -> None:
        names = list(stated)
        for first, second in pairwise(names):
            for record_id in self._files.clouds:
                one, two = (stated[name].by_id.get(record_id, "no split") for name in (first, second))
                if one != two:
                    raise DataError(
                        f"{self._files.root}: {_DESCRIPTIONS[first]} and {_DESCRIPTIONS[second]} contradict each "
                        f"other: {record_id!r} is in {one} by the first and in {two} by the second; choose one with "
                        f"--dataset.split_by {first} or {second}."
                    )

    def _read_folders(self) -> Splits:
        splits, outside = Splits(), list[str]()
        for record_id, name in self._files.clouds.items():
            match folder_splits(name):
                case (split,):
                    splits.by_id[record_id] = split
                case ():
                    outside.append(
                        f"{self._files.path(name)}: in no folder of a split; --dataset.split_by hash draws splits."
                    )
                case several:
                    splits.errors.append(f"{self._files.path(name)}: in folders of {' and '.join(several)}.")
        splits.errors += outside if splits.by_id else []
        return splits

    def _read_column(self) -> Splits:
        splits = Splits(dict(self._column))
        if self._column:
            splits.errors += [
                f"{self._files.path(name)}: no text states its split; --dataset.split_by hash draws splits."
                for record_id, name in self._files.clouds.items()
                if record_id not in self._column
            ]
        return splits

    def _read_lists(self) -> Splits:
        splits, names = Splits(), CloudNames(self._files.root, self._files.clouds)
        for name, split in self._files.lists.items():
            path = self._files.path(name)
            for number, line in enumerate(read_text(path).split("\n"), start=1):
                if not line.strip():
                    continue
                try:
                    record_id = names.find(line.strip().strip('"'), path)
                except DataError as error:
                    splits.errors.append(f"{path}, line {number}: {error}")
                    continue
                first = splits.by_id.setdefault(record_id, split)
                if first != split:
                    splits.errors.append(f"{path}, line {number}: {record_id!r} is in the list of {first} as well.")
        unlisted = [record_id for record_id in self._files.clouds if record_id not in splits.by_id]
        if splits.by_id and unlisted:
            splits.notes.append(f"{len(unlisted)} clouds are in no list and not used, such as {unlisted[0]!r}.")
        return splits


def draw_missing(splits: Splits, groups: Mapping[str, str], shares: Mapping[str, float], seed: int) -> None:
    """Draw the splits that are not stated, from all clouds or from those of train.

    A group of look-alikes is drawn as one. Its draw depends on `seed` and its name alone, so that others may be added.

    Args:
        splits: the stated splits; drawn ones are added.
        groups: cloud → group, of all usable clouds.
        shares: split → its share of the groups; the rest is train.
        seed: seed of the draws.

    Raises:
        DataError: there is no train, or there are too few groups for the missing splits.

    """
    there = {split for record_id, split in splits.by_id.items() if record_id in groups}
    if there and "train" not in there:
        raise DataError(
            f"no cloud to train on: all are in {' and '.join(sorted(there))}; --dataset.split_by hash draws splits."
        )
    missing = [split for split in ("test", "val") if split not in there]
    pool = [record_id for record_id in groups if splits.by_id.get(record_id, "train") == "train"]
    pool = [record_id for record_id in pool if not there or record_id in splits.by_id]
    names = sorted({groups[record_id] for record_id in pool})
    if len(names) <= len(missing):
        raise DataError(
            f"{len(names)} cloud{'s' * (len(names) != 1)} (look-alikes count once) are too few for "
            f"{', '.join(('train', *missing[::-1]))}; at least {len(missing) + 1} are needed."
        )
    drawn = _draw(names, {split: shares[split] for split in missing}, seed)
    splits.by_id |= {record_id: drawn[groups[record_id]] for record_id in pool}
    if there and missing:
        counts = [f"{sum(split == each for split in splits.by_id.values())} for {each}" for each in missing]
        splits.notes.append(
            f"no {' and no '.join(missing)} is stated: clouds of train are drawn, {' and '.join(counts)}."
        )


def _draw(names: Sequence[str], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Draw a split for each name; every split gets one at least."""
    drawn, rest, share_left = dict.fromkeys(names, "train"), set(names), 1.0
    for number, (split, share) in enumerate(shares.items(), start=1):
        chosen = held_out_groups(rest, share / share_left, purpose=f"{split} {seed}")
        most = len(rest) - (len(shares) - number) - 1  # leaves one for each split that follows, and for train
        drawn |= dict.fromkeys(sorted(chosen)[:most], split)
        rest = {name for name in names if drawn[name] == "train"}
        share_left -= share
    return drawn


def crossing_groups(
    splits: Mapping[str, str], groups: Mapping[str, tuple[str, str]], where: Mapping[str, str]
) -> Iterable[tuple[str, str]]:
    """Clouds whose look-alike is held out in another split, each with a line about it.

    Args:
        splits: cloud → split.
        groups: cloud → group, and why it is in it.
        where: cloud → its file.

    """
    held_out = dict[str, str]()
    for split in reversed(SPLITS):
        own = [record_id for record_id in groups if splits.get(record_id) == split]
        for record_id in own:
            group, reason = groups[record_id]
            other = held_out.get(group)
            if other is not None:
                line = (
                    f"{where[record_id]}: in {split}, but a look-alike of {other!r} ({reason}), which is held "
                    f"out in {splits[other]}; --dataset.group_by none ignores equal files and names."
                )
                yield record_id, line
        held_out |= {groups[record_id][0]: record_id for record_id in own if groups[record_id][0] not in held_out}
