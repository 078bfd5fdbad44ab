"""Dataset ``shapes``: procedural colored objects with checked text, without any download.

Every object is a pure function of (seed, split, index) and is made on access. Its facts follow priors (a snowman is
usually white), so that a model without the cloud scores above chance. In the split ``counterfactual`` colors, textures
and counts are uniform.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import partial

from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import CloudArray, Conversation, Dataset, Fact, Record, Twin
from spa3d.data.lazy_records import LazyRecords
from spa3d.errors import DataError
from spa3d.runtime.rng import keyed_generator
from spa3d_plugins.datasets.shapes_world.categories import CATEGORIES
from spa3d_plugins.datasets.shapes_world.objects import Noise, Priors, Spec, change_spec, draw_spec, sample_object
from spa3d_plugins.datasets.shapes_world.text import caption_of, conversations_of, facts_of

SPLITS = ("train", "val", "test", "counterfactual")
ID = re.compile(r"shapes-(\d+)-([a-z]+)-(\d{6})(?:~(\d+))?")


class ShapesConfig(ComponentConfig):
    """Size, seed and difficulty of the world."""

    points: int = Field(1024, ge=16, le=65536)
    """Points per cloud."""
    train: int = Field(4000, ge=1, lt=10**6)
    """Objects to train on."""
    val: int = Field(200, ge=1, lt=10**6)
    """Objects to tune on."""
    test: int = Field(400, ge=1, lt=10**6)
    """Objects to report on."""
    counterfactual: int = Field(400, ge=1, lt=10**6)
    """Objects to report on whose colors, textures and counts do not depend on their category."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Seed of the objects and their text."""
    fresh: bool = True
    """Draw new questions in every epoch; false repeats those of the first epoch."""
    choice_share: float = Field(0.35, ge=0, le=1)
    """Share of the questions about a fact that come with four options."""
    color_prior: float = Field(0.55, ge=0, le=1)
    """Probability that a part has its category's usual color; otherwise the color is uniform."""
    texture_prior: float = Field(0.5, ge=0, le=1)
    """Probability that an object has its category's usual texture; otherwise the texture is uniform."""
    count_prior: float = Field(0.45, ge=0, le=1)
    """Probability that a part has its usual count; otherwise the count is uniform."""
    point_noise: float = Field(0.012, ge=0, le=1)
    """Standard deviation of the points, in units of the object's radius."""
    color_noise: float = Field(0.05, ge=0, le=1)
    """Standard deviation of the colors, which run from 0 to 1."""


class Shapes(Dataset):
    """Embedded dataset with ids ``shapes-<seed>-<split>-<index>``, of twins with ``~<number>``."""

    Config = ShapesConfig
    config: ShapesConfig

    @property
    def splits(self) -> tuple[str, ...]:
        """Train, val, test, and counterfactual (without priors)."""
        return SPLITS

    def records(self, split: str) -> Sequence[Record]:
        """Records of `split`, made on access; raises `DataError` for an unknown split."""
        return LazyRecords(range(self._size(split)), partial(self._make, split))

    def record(self, record_id: str) -> Record:
        """Record with this id, also of a twin; raises `DataError` for an unknown id."""
        split, index, number = self._parse(record_id)
        original = self._make(split, index)
        if number is None:
            return original
        return self._twin(original, number).record

    def twin(self, record: Record, number: int = 0) -> Twin | None:
        """Make the `number`-th twin, with one color, count or texture changed; None for a twin."""
        return None if "~" in record.id else self._twin(record, number)

    def conversations(self, record: Record, epoch: int) -> tuple[Conversation, ...]:
        """Caption, a single question and three rounds; new in every epoch unless ``fresh`` is off."""
        if epoch == 0 or not self.config.fresh:
            return record.conversations
        return self._draw_conversations(record.id, record.facts, record.caption or "", epoch)

    def fingerprint(self) -> str:
        """Hash of the configuration, which the objects follow from."""
        return hashlib.sha256(self.config.model_dump_json().encode()).hexdigest()

    def _size(self, split: str) -> int:
        if split not in SPLITS:
            raise DataError(f"dataset shapes has no split {split!r}; there are {', '.join(SPLITS)}")
        size: int = getattr(self.config, split)
        return size

    def _parse(self, record_id: str) -> tuple[str, int, int | None]:
        match = ID.fullmatch(record_id)
        if not match or int(match[1]) != self.config.seed:
            raise DataError(
                f"dataset shapes with seed {self.config.seed} has no record {record_id!r}; "
                f"ids look like {self._name('test', 12)}, of a twin like {self._name('test', 12)}~0"
            )
        split, index = match[2], int(match[3])
        if index >= self._size(split):
            raise DataError(
                f"dataset shapes has no record {record_id!r}: split {split} has {self._size(split)} objects; "
                f"--dataset.{split} sets their number"
            )
        return split, index, None if match[4] is None else int(match[4])

    def _spec(self, split: str, index: int) -> Spec:
        settings = self.config
        if split == "counterfactual":
            priors = Priors(0, 0, 0)
        else:
            priors = Priors(settings.color_prior, settings.texture_prior, settings.count_prior)
        stream = keyed_generator(self._name(split, index), "spec")
        return draw_spec(CATEGORIES[index % len(CATEGORIES)], stream, priors)

    def _name(self, split: str, index: int) -> str:
        return f"shapes-{self.config.seed}-{split}-{index:06d}"

    def _make(self, split: str, index: int) -> Record:
        name = self._name(split, index)
        return self._record(name, name, self._spec(split, index))

    def _twin(self, original: Record, number: int) -> Twin:
        split, index, _ = self._parse(original.id)
        stream = keyed_generator(original.id, "twin", number)
        spec, kind, subject = change_spec(self._spec(split, index), stream)
        twin = self._record(f"{original.id}~{number}", original.id, spec)
        before, after = (
            next(fact for fact in record.facts if (fact.kind, fact.subject) == (kind, subject))
            for record in (original, twin)
        )
        return Twin(twin, before, after)

    def _record(self, record_id: str, object_id: str, spec: Spec) -> Record:
        facts, caption = facts_of(spec), caption_of(spec)
        return Record(
            id=record_id,
            object_id=object_id,
            group=object_id,
            load=partial(self._cloud, object_id, spec),
            conversations=self._draw_conversations(record_id, facts, caption, 0),
            facts=facts,
            category=spec.category,
        )

    def _cloud(self, object_id: str, spec: Spec) -> CloudArray:
        # Keyed by the object, not by the record: a twin gets the random numbers of its original.
        noise = Noise(self.config.point_noise, self.config.color_noise)
        return sample_object(spec, keyed_generator(object_id, "cloud"), self.config.points, noise).cloud

    def _draw_conversations(
        self, record_id: str, facts: Sequence[Fact], caption: str, epoch: int
    ) -> tuple[Conversation, ...]:
        key = (self.config.seed, epoch, record_id)
        return conversations_of(facts, caption, *key, choice_share=self.config.choice_share)
