"""Sheets of what a run would see: objects of a dataset, or what noises make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from spa3d.config.settings import RunConfig
from spa3d.contracts.dataset import Cloud, Dataset, Record
from spa3d.contracts.noise import Noise
from spa3d.data.preparation import load_valid_cloud, prepare
from spa3d.errors import DataError, OutputError, PluginError
from spa3d.pipeline.assemble import make_dataset, make_noise, preparation_kwargs
from spa3d.registry.registry import Registry
from spa3d.rendering.point_cloud import rotate_y_up
from spa3d.rendering.sheets import Strip, draw_comparison_sheet, draw_contact_sheet
from spa3d.runtime.rng import Draws, Key


@dataclass(frozen=True)
class PreviewRequest:
    """What to draw: the file, the split, how many records from the first on, and levels of noise from 0 to 1."""

    path: Path
    split: str
    count: int
    levels: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Selected:
    """The dataset, its first records with their clouds as they are in the files, and a line about them."""

    dataset: Dataset
    objects: list[tuple[Record, Cloud]]
    summary: str


def draw_dataset(
    config: RunConfig, registry: Registry, request: PreviewRequest, *, skipped: Callable[[str], None]
) -> str:
    """Draw the contact sheet; returns what is on it, and tells `skipped` of each record that is left out.

    Raises:
        DataError: a record that cannot be read, or a split that is not there.
        OutputError: the file cannot be written.

    """
    selected = _select(config, registry, request, skipped)
    clouds = [rotate_y_up(cloud, selected.dataset.up_axis) for _, cloud in selected.objects]
    with _writing(request.path):
        draw_contact_sheet(clouds, [_label(record) for record, _ in selected.objects], request.path)
    return selected.summary


def draw_noise(
    configs: Sequence[RunConfig], registry: Registry, request: PreviewRequest, *, skipped: Callable[[str], None]
) -> str:
    """Draw the noises of `configs`, which share all else, by levels; returns what is on the sheet.

    Raises:
        DataError: a record that cannot be read, or a split that is not there.
        PluginError: a noise that fails or breaks its contract.
        OutputError: the file cannot be written.

    """
    selected = _select(configs[0], registry, request, skipped)
    axis, parts = selected.dataset.up_axis, []
    for record, cloud in selected.objects:
        clean = _prepared(record, cloud, configs[0])
        key = [(configs[0].seed, 0, record.id, "noised")]
        strips = [
            _strip([make_noise(config, registry, level=level) for level in request.levels], config, clean, key, axis)
            for config in configs
        ]
        parts.append((_label(record), strips))
    with _writing(request.path):
        draw_comparison_sheet(parts, request.path)
    names = ", ".join(config.noise.requested for config in configs)
    return f"{names} at {', '.join(f'{level:g}' for level in request.levels)} on {selected.summary}"


def _select(
    config: RunConfig, registry: Registry, request: PreviewRequest, skipped: Callable[[str], None]
) -> _Selected:
    dataset = make_dataset(config, registry)
    records = dataset.records(request.split)
    objects = list(_clouds(dataset, [records[i] for i in range(min(request.count, len(records)))]))
    for line in dataset.skip_log.lines:
        skipped(line)
    name = config.dataset.requested
    summary = f"{len(objects)} of the {len(records)} records of {name}, split {request.split}"
    return _Selected(dataset, objects, summary)


def _clouds(dataset: Dataset, records: Sequence[Record]) -> Iterator[tuple[Record, Cloud]]:
    """Each record with its cloud; one that cannot be read is an error, or is skipped where that was asked for."""
    for record in records:
        try:
            yield record, load_valid_cloud(record)
        except DataError as error:
            if dataset.on_bad_data == "stop":
                raise
            dataset.skip_log.add(str(error))


def _prepared(record: Record, cloud: Cloud, config: RunConfig) -> Cloud:
    """The cloud as a run would give it to the noise."""
    settings = preparation_kwargs(config, count=config.points.count)
    return prepare(cloud, key=("resample", record.id), has_color=record.has_color, **settings)


def _strip(noises: Sequence[Noise], config: RunConfig, clean: Cloud, keys: Sequence[Key], up_axis: str) -> Strip:
    """The clean cloud, and what a noise at several levels makes of it in the first epoch of a run."""
    points = torch.from_numpy(clean)[None]
    clouds, labels = [rotate_y_up(clean, up_axis)], ["clean"]
    for noise in noises:
        noised = _try_noise(noise, points, Draws(keys), f"--noise {config.noise.requested}")
        clouds.append(rotate_y_up(noised[0].numpy(), up_axis))
        reached = noise.realized(points, noised).item()
        difference = "" if abs(reached - noise.level) < 0.005 else f", reached {reached:.2f}"
        labels.append(f"level {noise.level:g}{difference}")
    meaning = noises[0].Config.model_fields["level"].description or ""
    return Strip(config.noise.requested, meaning, clouds, labels)


def _try_noise(noise: Noise, points: Tensor, draws: Draws, name: str) -> Tensor:
    """The noised cloud; a noise that fails or breaks its contract is named."""
    try:
        noised = noise.apply(points.clone(), draws)
        if noised.shape != points.shape or not noised.isfinite().all():
            raise ValueError(f"what comes out, of shape {tuple(noised.shape)}, must be as many finite numbers")
    except Exception as error:
        raise PluginError(
            f"{name}: it fails at level {noise.level:g} on points of shape {tuple(points.shape)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    return noised


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another file") from error


def _label(record: Record) -> str:
    return f"{record.id}  {record.caption or record.category or ''}"
