"""What the model is shown of a record: its cloud, the noised cloud, its twin's, another object's, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from spa3d.contracts.dataset import Record
from spa3d.contracts.noise import Noise
from spa3d.errors import DataError
from spa3d.inference.prepared_clouds import Clouds
from spa3d.model.modeling import Spa3dModel
from spa3d.runtime.rng import Draws, generator
from spa3d.runtime.row_store import Rows, RowStore


class Views:
    """Point tokens of a batch of records under a view.

    Args:
        model: encodes the clouds.
        clouds: where prepared clouds come from.
        store: keeps the tokens of a frozen encoder; None where the encoder trains or the cache is off.
        noise: makes the ``noised`` view.
        seed: seed of the noise and of the choice of other objects.
        others: the records that ``other`` draws from.
        mark: tells the code of the noise from any other in `store`.

    """

    def __init__(
        self,
        model: Spa3dModel,
        clouds: Clouds,
        store: RowStore | None,
        *,
        noise: Noise | None = None,
        seed: int = 0,
        others: Sequence[Record] = (),
        mark: str = "",
    ) -> None:
        self.model, self.clouds, self.store = model, clouds, store
        self.noise, self.seed, self.others = noise, seed, others
        self.mark, self.levels = mark, store.beside("levels", (1,)) if store is not None else RowStore(None, (1,))
        self.realised_level: float | None = None

    def tokens(self, view: str, record_ids: Sequence[str], epochs: Sequence[int]) -> Float[Tensor, "B M D"]:
        """Encoder tokens of `record_ids` seen as `view` in their epochs, on the model's device.

        A twin is a record of its own: for ``twin`` the ids are those of the twins.
        """
        names = self.names(view, record_ids, epochs)
        if view == "noised" and self.noise is not None:
            return self._noised(record_ids, epochs, names, self.noise)
        return self._encode(names, names, lambda points, _: points)

    def names(self, view: str, record_ids: Sequence[str], epochs: Sequence[int]) -> list[str]:
        """What is shown of `record_ids`: equal names are equal clouds. Without noise they are record ids."""
        if view in ("clean", "twin"):
            return list(record_ids)
        if view == "other":
            return [self._other(record, epoch) for record, epoch in zip(record_ids, epochs, strict=True)]
        if view == "noised" and self.noise is not None:
            mark = f"{type(self.noise).__name__}:{self.noise.config.model_dump_json()}:{self.mark}"
            return [f"{r}|{self.seed}|{e}|{mark}" for r, e in zip(record_ids, epochs, strict=True)]
        raise ValueError(f"no view {view!r} of a cloud")

    def _noised(
        self, record_ids: Sequence[str], epochs: Sequence[int], names: Sequence[str], noise: Noise
    ) -> Float[Tensor, "B M D"]:
        """Tokens of noised clouds; their mean realised level goes to ``realised_level``."""
        reached: dict[str, float] = {}

        def apply(points: Tensor, places: list[int]) -> Tensor:
            noised = noise.apply(
                points, Draws([(self.seed, epochs[i], record_ids[i], "noised") for i in places], points.device)
            )
            reached.update(zip((names[i] for i in places), noise.realised(points, noised).tolist(), strict=True))
            return noised

        def levels(places: list[int]) -> Rows:
            # A kill may come between tokens and levels; then the noise is made again for the levels alone.
            unknown = [i for i in places if names[i] not in reached]
            if unknown:
                apply(self.points([record_ids[i] for i in unknown]), unknown)
            return np.array([[reached[names[i]]] for i in places])

        tokens = self._encode(record_ids, names, apply)
        self.realised_level = float(self.levels.fetch(names, levels).mean())
        return tokens

    def points(self, record_ids: Sequence[str]) -> Float[Tensor, "B N 6"]:
        """Prepared clouds on the model's device."""
        return torch.from_numpy(self.clouds.get(record_ids)).to(self.model.device)

    def _encode(
        self, record_ids: Sequence[str], names: Sequence[str], change: Callable[[Tensor, list[int]], Tensor]
    ) -> Tensor:
        def encode(places: list[int]) -> Tensor:
            return self.model.encode(change(self.points([record_ids[i] for i in places]), places))

        if self.store is None or "encoder" in self.model.trained:
            return encode(list(range(len(record_ids))))
        with torch.no_grad():
            rows = self.store.fetch(names, lambda places: encode(places).float().cpu().numpy())
        return torch.from_numpy(rows).to(self.model.device)

    def _other(self, record_id: str, epoch: int) -> str:
        mine = self.clouds.dataset.record(record_id)
        stream = generator(self.seed, epoch, record_id, "other")
        for place in stream.permutation(len(self.others)):
            found = self.others[int(place)]
            if found.group != mine.group and (found.category is None or found.category != mine.category):
                return found.id
        raise DataError(f"record {record_id}: no object of another group and category to be shown instead")
