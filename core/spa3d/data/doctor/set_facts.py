"""Facts of a data set: every text, and a keyed sample of the clouds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from spa3d.contracts.dataset import Dataset, Record
from spa3d.data.cloud_checks import is_colored
from spa3d.data.doctor.cloud_findings import judge_cloud
from spa3d.data.doctor.facts import CloudFacts, measure
from spa3d.data.doctor.findings import Finding
from spa3d.data.doctor.text_facts import QuestionPrior, TextFacts, measure_priors
from spa3d.data.doctor.up_axis import UpAxis
from spa3d.data.formats.contract import Cloud
from spa3d.data.preparation import load_valid_cloud
from spa3d.errors import DataError
from spa3d.runtime.progress import Reporter, SilentReporter
from spa3d.runtime.rng import keyed_generator

SAMPLE = 2048
"""Points of a cloud that estimates use; fewer than for one cloud alone, because there are many."""
HELD_APART = ("train", "val", "test")
"""Splits that must not share objects."""


@dataclass(frozen=True)
class SampledCloud:
    """A cloud of the sample, without its points."""

    record_id: str
    split: str
    facts: CloudFacts
    findings: tuple[Finding, ...]


@dataclass
class SetFacts:
    """Facts of a data set.

    Attributes:
        name: of the dataset.
        up_axis: the axis that it says points up.
        texts: facts of the texts, by split.
        clouds: the sampled clouds.
        clouds_of: number of records with a cloud.
        bad: a line for each record or file that cannot be used.
        notes: of the dataset: what it read otherwise than given.
        places: splits of each id, object and group, where they are more than one.
        repeated_ids: ids of several records.
        priors: of the questions of the test split.
        refusal: why the clouds are no data set and were examined alone; empty if they are one.

    """

    name: str
    up_axis: str
    texts: dict[str, TextFacts] = field(default_factory=dict)
    clouds: list[SampledCloud] = field(default_factory=list)
    clouds_of: int = 0
    bad: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    places: dict[str, tuple[str, ...]] = field(default_factory=dict)
    repeated_ids: list[str] = field(default_factory=list)
    priors: list[QuestionPrior] = field(default_factory=list)
    refusal: str = ""

    def of_split(self, split: str) -> list[SampledCloud]:
        """The sampled clouds of a split."""
        return [each for each in self.clouds if each.split == split]

    def by_digest(self) -> dict[str, list[SampledCloud]]:
        """Sampled clouds with the same points; only those that are not alone."""
        groups: dict[str, list[SampledCloud]] = defaultdict(list)
        for each in self.clouds:
            groups[each.facts.digest].append(each)
        return {digest: same for digest, same in groups.items() if len(same) > 1}

    def to_json(self) -> dict[str, Any]:
        """Values for a JSON report."""
        return {
            "dataset": self.name,
            "up_axis": self.up_axis,
            "splits": {split: texts.to_json() | summarize_clouds(self.of_split(split)) for split, texts in
                       self.texts.items()},
            "clouds_examined": len(self.clouds),
            "clouds": self.clouds_of,
            "unusable": len(self.bad),
            "unusable_first": self.bad[:100],
            "notes": [*self.notes],
            "priors": [asdict(prior) for prior in self.priors],
            "refusal": self.refusal,
        }  # fmt: skip


def survey(dataset: Dataset, name: str, *, count: int, seed: int = 0, reporter: Reporter | None = None) -> SetFacts:
    """Read all texts of a data set and some of its clouds.

    Args:
        dataset: made with ``on_bad_data="skip"``.
        name: of the dataset.
        count: number of clouds, a keyed sample of those of all splits.
        seed: of the sample.
        reporter: where progress goes; None: nowhere.

    """
    reporter = reporter or SilentReporter()
    facts = SetFacts(name, dataset.up_axis)
    readable: dict[str, Sequence[Record]] = {}
    seen: dict[str, set[str]] = defaultdict(set)
    ids, with_cloud = set[str](), list[tuple[str, int]]()
    for split in dataset.splits:
        try:
            readable[split] = dataset.records(split)
        except DataError as error:
            facts.bad += str(error).splitlines()
            continue
        texts = facts.texts.setdefault(split, TextFacts())
        with reporter.track(len(readable[split]), f"texts of {split}") as advance:
            for index, record in _iterate_readable(readable[split], facts.bad):
                texts.add(record)
                facts.repeated_ids += [record.id] * (record.id in ids)
                ids.add(record.id)
                if split in HELD_APART:
                    for mark in {f"object {record.object_id}", f"group {record.group}"}:
                        seen[mark].add(split)
                if record.has_cloud:
                    with_cloud.append((split, index))
                advance(1)
    facts.places = {mark: tuple(sorted(splits)) for mark, splits in seen.items() if len(splits) > 1}
    facts.clouds_of = len(with_cloud)
    if "train" in readable and "test" in readable:
        lost = list[str]()
        train, test = (
            (record for _, record in _iterate_readable(readable[split], lost)) for split in ("train", "test")
        )
        facts.priors = measure_priors(train, test)
    chosen = [with_cloud[index] for index in choose_sample(len(with_cloud), count, seed)]
    _examine_clouds(facts, readable, chosen, reporter)
    facts.bad += dataset.skip_log.lines
    facts.bad, facts.notes = [*dict.fromkeys(facts.bad)], [*dataset.skip_log.notes]
    return facts


def _iterate_readable(records: Sequence[Record], bad: list[str]) -> Iterator[tuple[int, Record]]:
    """Index and record of each readable record; a line about each other one is added to `bad`."""
    for index in range(len(records)):
        try:
            yield index, records[index]
        except DataError as error:
            bad.append(str(error))


def choose_sample(clouds: int, count: int, seed: int) -> list[int]:
    """Choose a keyed sample of `clouds` clouds: their positions, in order."""
    if clouds <= count:
        return [*range(clouds)]
    draws = keyed_generator("doctor", seed, "clouds")
    return [int(index) for index in np.sort(draws.choice(clouds, count, replace=False))]


def _examine_clouds(
    facts: SetFacts, records: dict[str, Sequence[Record]], places: Sequence[tuple[str, int]], reporter: Reporter
) -> None:
    with reporter.track(len(places), "clouds") as advance:
        for split, index in places:
            try:
                record = records[split][index]
                array = load_valid_cloud(record)
                colors = array[:, 3:] if is_colored(array, record.has_color) else None
                cloud = Cloud(array[:, :3].astype(np.float64), colors, source=record.id, precision=array.dtype)
                measured = measure(cloud, sample=SAMPLE, views=0)
                facts.clouds.append(SampledCloud(record.id, split, measured, tuple(judge_cloud(measured))))
            except DataError as error:
                facts.bad.append(str(error))
            advance(1)


def summarize_clouds(clouds: Sequence[SampledCloud]) -> dict[str, Any]:
    """Figures of some clouds: number, points, share with color, sizes."""
    valid = [each.facts for each in clouds if each.facts.valid]
    if not valid:
        return {"clouds_examined": len(clouds)}
    points = [each.points for each in valid]
    radii = np.array([each.radius for each in valid])
    return {
        "clouds_examined": len(clouds),
        "points": [min(points), int(np.median(points)), max(points)],
        "colored": sum(each.colors is not None for each in valid) / len(valid),
        "radius": [float(value) for value in np.quantile(radii, (0, 0.5, 1))],
    }


def mean_up_axis(clouds: Sequence[SampledCloud]) -> tuple[UpAxis | None, float]:
    """Mean guess of some clouds, and the lead of its axis over the next, in standard errors.

    None without clouds.
    """
    rows = np.array([each.facts.up_axis.probabilities for each in clouds if each.facts.shape])
    if len(rows) < 2:
        return None, 0.0
    axes = rows.reshape(len(rows), 3, 2).sum(axis=2)
    best = int(np.argmax(axes.mean(axis=0)))
    leads = axes[:, [best]] - np.delete(axes, best, axis=1)
    error = leads.std(axis=0, ddof=1) / len(rows) ** 0.5
    lead = float((leads.mean(axis=0) / np.maximum(error, 1e-9)).min())
    return UpAxis(tuple(rows.mean(axis=0).tolist())), lead
