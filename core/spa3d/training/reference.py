"""Scores of the reference model: the policy as it was before the first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from spa3d.contracts.objective import Need, Score
from spa3d.training.samples import Sample


class Reference(Protocol):
    """Where the scores of the reference model come from."""

    def scores(self, needs: Sequence[Need], batch: Sequence[Sample]) -> Mapping[tuple[str, str, str], Score]:
        """The scores of `needs`, all of the model ``reference``, without gradient."""
