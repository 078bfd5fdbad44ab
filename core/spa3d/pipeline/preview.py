"""Preview sheets: objects of a dataset, clean or noised, as a run would see them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import torch

from spa3d.config.settings import RunConfig
from spa3d.contracts.dataset import CloudArray, Dataset, Record
from spa3d.contracts.noise import Noise, apply_noise
from spa3d.data.preparation import Preparation, load_valid_cloud, prepare
from spa3d.errors import DataError, bad_records, contain_exit
from spa3d.pipeline.assemble import make_dataset, make_noise, preparation_kwargs
from spa3d.pipeline.trials import trial
from spa3d.registry.registry import Registry
from spa3d.rendering.point_cloud import rotate_y_up
from spa3d.rendering.sheets import Strip, draw_comparison_sheet, draw_contact_sheet
from spa3d.runtime.paths import naming_write_errors
from spa3d.runtime.rng import Draws, Key

LONGEST_ID = 16
"""Letters of an id in a label."""

Report = Callable[[str], None]
"""What gets lines for the user."""


@dataclass(frozen=True)
class PreviewRequest:
    """Request of a sheet: file, split, number of records, and levels of noise in [0, 1]."""

    path: Path
    split: str
    count: int
    levels: tuple[float, ...] = ()


@dataclass(frozen=True)
class _SelectedRecords:
    """Selected records: the dataset, records with clouds as in the files, and a summary line."""

    dataset: Dataset
    objects: list[tuple[Record, CloudArray]]
    summary: str

    @property
    def labels(self) -> list[str]:
        """Short id and text of each record."""
        texts = [record.caption or record.category or "" for record, _ in self.objects]
        return [
            f"{name}  {text}"
            for name, text in zip(shorten_ids([record.id for record, _ in self.objects]), texts, strict=True)
        ]


@contain_exit()
def draw_dataset(
    config: RunConfig, registry: Registry, request: PreviewRequest, *, skipped: Report, noted: Report | None = None
) -> str:
    """Draw the contact sheet and describe it.

    Args:
        config: of a run.
        registry: source of the components.
        request: what is drawn.
        skipped: gets a line per record left out.
        noted: gets the notes of the dataset: what was guessed, converted or left out; None: nobody does.

    Raises:
        DataError: a record cannot be read, or the split does not exist.
        OutputError: the file cannot be written.

    """
    selected = _select(config, registry, request, skipped, noted)
    clouds = [rotate_y_up(cloud, selected.dataset.up_axis) for _, cloud in selected.objects]
    with naming_write_errors(request.path):
        draw_contact_sheet(clouds, selected.labels, request.path)
    return selected.summary


@contain_exit()
def draw_noise(
    configs: Sequence[RunConfig],
    registry: Registry,
    request: PreviewRequest,
    *,
    skipped: Report,
    noted: Report | None = None,
) -> str:
    """Draw noises at several levels and return a description; `configs` differ in noise only.

    Raises:
        DataError: a record cannot be read, or the split does not exist.
        PluginError: a noise fails or breaks its contract.
        OutputError: the file cannot be written.

    """
    selected = _select(configs[0], registry, request, skipped, noted)
    axis, parts = selected.dataset.up_axis, []
    for (record, cloud), label in zip(selected.objects, selected.labels, strict=True):
        clean = _prepare_cloud(record, cloud, configs[0])
        key = [(configs[0].seed, 0, record.id, "noised")]
        strips = [
            _make_strip(
                [make_noise(config, registry, level=level) for level in request.levels], config, clean, key, axis
            )
            for config in configs
        ]
        parts.append((label, strips))
    with naming_write_errors(request.path):
        draw_comparison_sheet(parts, request.path)
    names = ", ".join(config.noise.requested for config in configs)
    return f"{names} at {', '.join(f'{level:g}' for level in request.levels)} on {selected.summary}"


def _select(
    config: RunConfig, registry: Registry, request: PreviewRequest, skipped: Report, noted: Report | None
) -> _SelectedRecords:
    dataset = make_dataset(config, registry)
    records = dataset.records(request.split)
    objects = list(_load_clouds(dataset, [records[i] for i in range(min(request.count, len(records)))]))
    for line in dataset.skip_log.lines:
        skipped(line)
    if noted is not None:
        for line in dataset.skip_log.notes:
            noted(line)
    name = config.dataset.requested
    summary = f"{len(objects)} of the {len(records)} records of {name}, split {request.split}"
    return _SelectedRecords(dataset, objects, summary)


def _load_clouds(dataset: Dataset, records: Sequence[Record]) -> Iterator[tuple[Record, CloudArray]]:
    """Yield each record with its cloud; bad ones raise or are skipped, as ``on_bad_data`` says."""
    errors = list[str]()
    for record in records:
        if not record.has_cloud:
            continue
        try:
            yield record, load_valid_cloud(record)
        except DataError as error:
            errors.append(str(error))
    if errors and dataset.on_bad_data == "stop":
        raise bad_records(errors)
    dataset.skip_log.add(*errors)


def _prepare_cloud(record: Record, cloud: CloudArray, config: RunConfig) -> CloudArray:
    """Prepare a cloud as a run does before the noise."""
    preparation = Preparation(**preparation_kwargs(config, count=config.points.count))
    return prepare(cloud, preparation, key=("resample", record.id), has_color=record.has_color)


def _make_strip(
    noises: Sequence[Noise], config: RunConfig, clean: CloudArray, keys: Sequence[Key], up_axis: str
) -> Strip:
    """Make a strip: the clean cloud, and noised clouds as in the first epoch of a run."""
    points = torch.from_numpy(clean)[None]
    clouds, labels = [rotate_y_up(clean, up_axis)], ["clean"]
    for noise in noises:
        what = f"--noise {config.noise.requested} at level {noise.level:g}"
        with trial(what, f"on points of shape {tuple(points.shape)}"):
            noised, levels = apply_noise(noise, points.clone(), Draws(keys))
        clouds.append(rotate_y_up(noised[0].numpy(), up_axis))
        reached = levels.item()
        difference = "" if abs(reached - noise.level) < 0.005 else f", reached {reached:.2f}"
        labels.append(f"level {noise.level:g}{difference}")
    meaning = noises[0].Config.model_fields["level"].description or ""
    return Strip(config.noise.requested, meaning, clouds, labels)


def shorten_ids(ids: Sequence[str]) -> list[str]:
    """Shorten ids for labels: drop the words they share at the start, cut long ones."""
    words = [re.split(r"(?<=[-_/.])", each) for each in ids]
    same = takewhile(lambda several: len({*several}) == 1, zip(*words, strict=False)) if len(ids) > 1 else ()
    shared = len([*same])
    tails = ["".join(each[shared:]) or "".join(each) for each in words]
    return [tail if len(tail) <= LONGEST_ID else tail[: LONGEST_ID - 1] + "…" for tail in tails]
