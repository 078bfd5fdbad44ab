"""Prepared clouds by record id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spa3d.contracts.dataset import Dataset
from spa3d.data.preparation import load_valid_cloud
from spa3d.errors import error_context
from spa3d.model.processing import Spa3dProcessor
from spa3d.runtime.row_store import Rows, RowStore


class PreparedClouds:
    """Prepared clouds by record id: read, checked, resampled and normalized once.

    Args:
        dataset: source of the records.
        processor: prepares the clouds.
        store: stores prepared clouds.
        min_points: fewest points that a record may have.
        requested_by: component that needs `min_points`, for messages.

    """

    def __init__(
        self,
        dataset: Dataset,
        processor: Spa3dProcessor,
        store: RowStore,
        *,
        min_points: int = 1,
        requested_by: str = "",
    ) -> None:
        self.dataset, self.processor, self.store = dataset, processor, store
        self.min_points, self.requested_by = min_points, requested_by

    def get(self, record_ids: Sequence[str]) -> Rows:
        """Prepared clouds, ``(B, N, 6)`` float32; raises `RecordError` with file and record."""
        return self.store.fetch(record_ids, lambda missing: np.stack([self._make(record_ids[i]) for i in missing]))

    def _make(self, record_id: str) -> Rows:
        record = self.dataset.record(record_id)
        cloud = load_valid_cloud(record, min_points=self.min_points, requested_by=self.requested_by)
        with error_context(record_id):
            return self.processor.prepare(cloud, "resample", record_id, has_color=record.has_color)
