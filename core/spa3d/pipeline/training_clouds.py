"""Figures of the training clouds of a run, for its passport."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from spa3d.contracts.dataset import Dataset, Record
from spa3d.data.cloud_checks import cloud_radius, is_colored
from spa3d.data.doctor.expectation import TrainingClouds
from spa3d.data.preparation import load_valid_cloud
from spa3d.errors import DataError
from spa3d.runtime.rng import keyed_generator

CLOUDS = 64
"""Clouds that are measured: a keyed sample."""


def describe_training_clouds(dataset: Dataset, records: Sequence[Record]) -> dict[str, Any] | None:
    """Measure some training clouds before their preparation; None if none of them can be read.

    The clouds that are drawn depend only on the number of records. A bad one is left out here; the run stops at it
    where it is used.
    """
    draws = keyed_generator("training clouds", len(records))
    chosen = draws.choice(len(records), min(CLOUDS, len(records)), replace=False)
    counts, radii, colors = list[int](), list[float](), list[np.ndarray]()
    for index in np.sort(chosen):
        record = records[int(index)]
        if not record.has_cloud:
            continue
        try:
            cloud = load_valid_cloud(record)
        except DataError:
            continue
        counts.append(len(cloud))
        radii.append(cloud_radius(cloud[:, :3] - cloud[:, :3].mean(axis=0, dtype=np.float64)))
        if is_colored(cloud, record.has_color):
            colors.append(cloud[:, 3:].mean(axis=0, dtype=np.float64))
    if not counts:
        return None
    low, high = np.percentile(radii, (5, 95))
    red, green, blue = np.mean(colors, axis=0).round(4).tolist() if colors else (0.0, 0.0, 0.0)
    return asdict(
        TrainingClouds(
            len(counts),
            int(np.median(counts)),
            (float(low), float(high)),
            len(colors) / len(counts),
            (red, green, blue) if colors else None,
            dataset.up_axis,
        )
    )
