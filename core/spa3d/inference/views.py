"""Views: ways of showing a record to a model. A new view is one class.

Built in are ``clean`` (the record's own cloud), ``noised`` (after the run's noise), ``other`` (another object's cloud),
``twin`` (the same object with one fact changed) and ``blind`` (the same prompt without the point block).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from spa3d.contracts.dataset import Record
from spa3d.contracts.encoder import check_tokens
from spa3d.contracts.noise import Noise, apply_noise
from spa3d.errors import DataError
from spa3d.inference.prepared_clouds import PreparedClouds
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.tokens import PromptPrefix
from spa3d.runtime.rng import Draws, keyed_generator
from spa3d.runtime.row_store import Rows, RowStore

Shown = tuple[str, int]
"""Record id and epoch of a sample that is to be shown."""


@dataclass(frozen=True)
class ViewTokens:
    """Encoder tokens of a batch under one view.

    Attributes:
        tokens: ``(B, M, D)`` on the model's device; None for a view without a point block.
        level: mean realized level of the noise; None where there is none.

    """

    tokens: Float[Tensor, "B M D"] | None
    level: float | None = None


class View(ABC):
    """One way of showing a record to a model.

    Attributes:
        name: name in needs, prediction rows, metrics and reports.
        prefix: start of the prompt, with the point block (``cloud``) or without it (``blind``).
        of_twin: whether the twin of a sample is shown; samples without a twin are left out.
        negative: whether training metrics include a margin of ``clean`` over it: the right answer should be less
            likely under it. False for ``blind``, because its prompt differs.

    """

    name: str
    prefix: PromptPrefix = "cloud"
    of_twin: bool = False
    negative: bool = False

    @abstractmethod
    def key(self, record_id: str, epoch: int) -> str:
        """Cache key of the shown cloud; samples may share a key only if their tokens are equal."""

    @abstractmethod
    def tokens(self, batch: Sequence[Shown]) -> ViewTokens:
        """Encoder tokens of `batch`, in order."""


class ViewEncoder:
    """Encoder of prepared clouds; the tokens of a frozen encoder are stored.

    Args:
        model: encodes the clouds.
        clouds: source of prepared clouds.
        store: stores the tokens of a frozen encoder; None if the encoder trains or the cache is off.

    """

    def __init__(self, model: Spa3dModel, clouds: PreparedClouds, store: RowStore | None = None) -> None:
        self.model, self.clouds, self.store = model, clouds, store

    @property
    def processor(self) -> Spa3dProcessor:
        """The processor that the clouds are prepared with."""
        return self.clouds.processor

    def points(self, record_ids: Sequence[str]) -> Float[Tensor, "B N 6"]:
        """Prepared clouds on the model's device."""
        return torch.from_numpy(self.clouds.get(record_ids)).to(self.model.device)

    def encode(
        self,
        record_ids: Sequence[str],
        keys: Sequence[str],
        change: Callable[[Tensor, list[int]], Tensor] | None = None,
    ) -> Float[Tensor, "B M D"]:
        """Tokens of the clouds of `record_ids`, stored under `keys`.

        Args:
            record_ids: ids of the records.
            keys: one per cloud; equal keys mean equal tokens.
            change: maps prepared clouds and their indices in `record_ids` to the clouds to encode.

        """
        frozen = "encoder" not in self.model.trained

        def encode(indices: list[int]) -> Tensor:
            points = self.points([record_ids[i] for i in indices])
            tokens = self.model.encode(points if change is None else change(points, indices))
            check_tokens(self.model.encoder, points, tokens, [record_ids[i] for i in indices], finite=frozen)
            return tokens

        if self.store is None or not frozen:
            return encode(list(range(len(record_ids))))
        with torch.no_grad():
            rows = self.store.fetch(keys, lambda indices: encode(indices).float().cpu().numpy())
        return torch.from_numpy(rows).to(self.model.device)


class CleanView(View):
    """The record's own cloud."""

    name = "clean"

    def __init__(self, encoder: ViewEncoder) -> None:
        self.encoder = encoder

    def key(self, record_id: str, epoch: int) -> str:
        """The record's id."""
        return record_id

    def tokens(self, batch: Sequence[Shown]) -> ViewTokens:
        """Tokens of the prepared clouds."""
        keys = [self.key(*shown) for shown in batch]
        return ViewTokens(self.encoder.encode(keys, keys))


class TwinView(CleanView):
    """The cloud of the sample's twin."""

    name = "twin"
    of_twin = True


class OtherView(CleanView):
    """The cloud of another object, never of the same group or category.

    Args:
        encoder: of the model.
        records: the objects to draw from.
        seed: seed of the draws.

    """

    name = "other"
    negative = True

    def __init__(self, encoder: ViewEncoder, records: Sequence[Record], *, seed: int) -> None:
        super().__init__(encoder)
        self.records, self.seed = records, seed

    def key(self, record_id: str, epoch: int) -> str:
        """Id of the other object; raises `DataError` if there is none."""
        mine = self.encoder.clouds.dataset.record(record_id)
        stream = keyed_generator(self.seed, epoch, record_id, self.name)
        for index in stream.permutation(len(self.records)):
            candidate = self.records[int(index)]
            same_category = candidate.category is not None and candidate.category == mine.category
            if candidate.has_cloud and candidate.group != mine.group and not same_category:
                return candidate.id
        raise DataError(f"record {record_id}: there is no object of another group and category for the view other")


class NoisedView(View):
    """The record's cloud after a noise, the same for the same seed, epoch and record.

    Args:
        encoder: of the model.
        noise: applied to the prepared clouds.
        seed: seed of the noise.
        fingerprint: hash of the noise's code, part of the key of stored tokens.

    """

    name = "noised"
    negative = True

    def __init__(self, encoder: ViewEncoder, noise: Noise, *, seed: int, fingerprint: str = "") -> None:
        self.encoder, self.noise, self.seed = encoder, noise, seed
        self.settings = f"{type(noise).__name__}:{noise.config.model_dump_json()}:{fingerprint}"
        store = encoder.store
        self.levels = store.substore("levels", (1,)) if store is not None else RowStore(None, (1,))

    def key(self, record_id: str, epoch: int) -> str:
        """Record, seed, epoch, and everything that determines the noise."""
        return f"{record_id}|{self.seed}|{epoch}|{self.settings}"

    def tokens(self, batch: Sequence[Shown]) -> ViewTokens:
        """Tokens of noised clouds, and the mean measured level of the noise."""
        keys = [self.key(*shown) for shown in batch]
        reached: dict[str, float] = {}

        def apply(points: Tensor, indices: list[int]) -> Tensor:
            draws = [(self.seed, batch[i][1], batch[i][0], "noised") for i in indices]
            noised, levels = apply_noise(self.noise, points, Draws(draws, points.device))
            reached.update(zip((keys[i] for i in indices), levels.tolist(), strict=True))
            return noised

        def levels(indices: list[int]) -> Rows:
            # After a kill between tokens and levels, the noise is computed again for the levels alone.
            unknown = [i for i in indices if keys[i] not in reached]
            if unknown:
                apply(self.encoder.points([batch[i][0] for i in unknown]), unknown)
            return np.array([[reached[keys[i]]] for i in indices])

        tokens = self.encoder.encode([record_id for record_id, _ in batch], keys, apply)
        return ViewTokens(tokens, float(self.levels.fetch(keys, levels).mean()))


class BlindView(View):
    """No cloud: the same prompt without its point block."""

    name = "blind"
    prefix = "blind"

    def key(self, record_id: str, epoch: int) -> str:
        """The empty string: no cloud is shown."""
        return ""

    def tokens(self, batch: Sequence[Shown]) -> ViewTokens:
        """None."""
        return ViewTokens(None)


class Views(Mapping[str, View]):
    """The views of one model by name.

    Args:
        encoder: of the model.
        views: the views; a later one replaces an earlier one of its name.

    """

    def __init__(self, encoder: ViewEncoder, views: Iterable[View]) -> None:
        self.encoder = encoder
        self._views = {view.name: view for view in views}

    def __getitem__(self, name: str) -> View:
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    @property
    def model(self) -> Spa3dModel:
        """The model that the views are encoded with."""
        return self.encoder.model

    @property
    def negatives(self) -> list[str]:
        """Names of the views under which the right answer should be less likely."""
        return [name for name, view in self.items() if view.negative]


BUILT_IN = (CleanView, TwinView, OtherView, NoisedView, BlindView)
"""The views that a run has, where its objective or its measurements ask for them."""


def built_in_views(
    encoder: ViewEncoder,
    *,
    noise: Noise | None = None,
    seed: int = 0,
    others: Sequence[Record] = (),
    noise_fingerprint: str = "",
) -> Views:
    """The built-in views of a model.

    Args:
        encoder: of the model.
        noise: makes the ``noised`` view; None: there is none.
        seed: seed of the noise and of the choice of other objects.
        others: the records that ``other`` draws from; empty: there is no such view.
        noise_fingerprint: hash of the noise's code, part of the key of stored tokens.

    """
    views: list[View] = [CleanView(encoder), TwinView(encoder), BlindView()]
    if noise is not None:
        views.append(NoisedView(encoder, noise, seed=seed, fingerprint=noise_fingerprint))
    if others:
        views.append(OtherView(encoder, others, seed=seed))
    return Views(encoder, views)
