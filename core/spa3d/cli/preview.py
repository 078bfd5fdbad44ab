"""``spa3d preview``: look at what a run would see, before it runs.

What brings torch is imported where it is needed: a list of the verbs should not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from spa3d.cli.console import complaints, output, plain
from spa3d.config.choices import SWITCHES, read
from spa3d.config.overrides import Arguments, scan
from spa3d.config.parse import Invocation, parse
from spa3d.contracts.dataset import Cloud, Dataset, Record
from spa3d.errors import ConfigError, DataError, OutputError, PluginError
from spa3d.registry.fields import unknown
from spa3d.rendering.point_cloud import rotate_y_up
from spa3d.rendering.sheets import Strip, draw_comparison_sheet, draw_contact_sheet

if TYPE_CHECKING:
    from torch import Tensor

    from spa3d.contracts.noise import Noise
    from spa3d.runtime.rng import Draws

SPLIT = "test"
COUNTS = {"dataset": 30, "noise": 1}
"""The subjects, and how many records are drawn of each unless told otherwise."""
LEVELS = "0.1,0.25,0.5,0.75"
OWN = {"dataset": ("split", "count"), "noise": ("split", "count", "level", "noise")}
FLAGS = {
    "--split NAME": f"which split to show (default: {SPLIT})",
    "--count N": f"how many records, from the first (default: {COUNTS['dataset']}, and {COUNTS['noise']} under noise)",
    "--level X,Y": f"noise: at which levels, from 0 to 1 (default: {LEVELS})",
    "--noise NAME,NAME": "noise: which ones (default: all); their settings follow as --noise.FIELD VALUE",
    "--dataset NAME": "the dataset; its settings follow as --dataset.FIELD VALUE",
    "--config FILE": "the dataset of a run.yaml",
    "--plugin FILE": "load an unpackaged plugin (a file or a module), too",
}


@dataclass(frozen=True)
class Wish:
    """What to draw: `typed` as it stands on the command line, the rest understood."""

    subject: str
    path: Path
    split: str
    count: int
    levels: tuple[float, ...]
    typed: Arguments

    def run_flags(self) -> list[str]:
        """What is typed for the run, and not for the sheet."""
        own = OWN[self.subject]
        return [flag.word for flag in self.typed.flags if flag.name not in own]


def main(argv: Sequence[str]) -> int:
    """Draw objects of a dataset, or what noises make of them, on one sheet (PNG)."""
    if "--help" in argv or "-h" in argv:
        _print_usage()
        return 0
    wish = _wish(scan(argv, switches=SWITCHES, repeatable={"plugin"}))
    told = _draw_noise(wish) if wish.subject == "noise" else _draw_dataset(wish)
    output().print(plain(f"{wish.path}: {told}"), soft_wrap=True)
    return 0


def _draw_dataset(wish: Wish) -> str:
    """Draw the contact sheet; returns what is on it."""
    dataset, drawn, told = _objects(wish, parse(wish.run_flags()))
    clouds = [rotate_y_up(cloud, dataset.up_axis) for _, cloud in drawn]
    with _writing(wish.path):
        draw_contact_sheet(clouds, [_label(record) for record, _ in drawn], wish.path)
    return told


def _draw_noise(wish: Wish) -> str:
    """Draw kinds of noise by levels; returns what is on the sheet."""
    flags = wish.run_flags()
    kinds = [parse([*flags, f"--noise={name}"]) for name in _noises(wish)]
    dataset, drawn, told = _objects(wish, kinds[0])
    parts = []
    for record, cloud in drawn:
        clean = _prepared(record, cloud, kinds[0])
        strips = [_strip(kind, wish.levels, clean, record_id=record.id, up_axis=dataset.up_axis) for kind in kinds]
        parts.append((_label(record), strips))
    with _writing(wish.path):
        draw_comparison_sheet(parts, wish.path)
    names = ", ".join(kind.config.noise.asked for kind in kinds)
    return f"{names} at {', '.join(f'{level:g}' for level in wish.levels)} on {told}"


def _objects(wish: Wish, chosen: Invocation) -> tuple[Dataset, list[tuple[Record, Cloud]], str]:
    """The dataset, its first records with their clouds as they are in the files, and a line about them."""
    from spa3d.pipeline.parts import make_dataset

    dataset = make_dataset(chosen.config, chosen.registry)
    records = dataset.records(wish.split)
    drawn = list(_clouds(dataset, [records[i] for i in range(min(wish.count, len(records)))]))
    for line in dataset.skipped:
        complaints().print(plain(f"left out: {line}", "yellow"), soft_wrap=True)
    name = chosen.config.dataset.asked
    return dataset, drawn, f"{len(drawn)} of the {len(records)} records of {name}, split {wish.split}"


def _clouds(dataset: Dataset, records: Sequence[Record]) -> Iterator[tuple[Record, Cloud]]:
    """Each record with its cloud; one that cannot be read is a fault, or is skipped where that was asked for."""
    from spa3d.data.preparation import load_valid_cloud

    for record in records:
        try:
            yield record, load_valid_cloud(record)
        except DataError as fault:
            if dataset.on_bad_data == "stop":
                raise
            dataset.skipped.append(str(fault))


def _noises(wish: Wish) -> list[str]:
    """The names given with --noise, else every noise that can be used here."""
    asked = wish.typed.value("noise")
    if asked is not None:
        return list(dict.fromkeys(name.strip() for name in asked.split(",")))
    registry = read([flag for flag in wish.run_flags() if not flag.startswith("--noise.")]).registry
    return [row.name for row in registry.components("noise") if not registry.unmet(row)]


def _prepared(record: Record, cloud: Cloud, chosen: Invocation) -> Cloud:
    """The cloud as a run would give it to the noise."""
    from spa3d.data.preparation import prepare
    from spa3d.pipeline.parts import preparation

    asked = preparation(chosen.config, count=chosen.config.points.count)
    return prepare(cloud, key=("resample", record.id), has_color=record.has_color, **asked)


def _strip(kind: Invocation, levels: Sequence[float], clean: Cloud, *, record_id: str, up_axis: str) -> Strip:
    """The clean cloud, and what the noise makes of it in the first epoch of a run."""
    import torch

    from spa3d.pipeline.parts import make_noise
    from spa3d.runtime.rng import Draws

    config, points = kind.config, torch.from_numpy(clean)[None]
    clouds, labels = [rotate_y_up(clean, up_axis)], ["clean"]
    for level in levels:
        noise = make_noise(config, kind.registry, level=level)
        noised = _tried(noise, points, Draws([(config.seed, 0, record_id, "noised")]), f"--noise {config.noise.asked}")
        clouds.append(rotate_y_up(noised[0].numpy(), up_axis))
        reached = noise.realised(points, noised).item()
        told = "" if abs(reached - level) < 0.005 else f", reached {reached:.2f}"
        labels.append(f"level {level:g}{told}")
    meaning = noise.Config.model_fields["level"].description or ""
    return Strip(config.noise.asked, meaning, clouds, labels)


def _tried(noise: Noise, points: Tensor, draws: Draws, what: str) -> Tensor:
    """The noised cloud; a noise that fails or breaks its contract is told as what it is."""
    try:
        noised = noise.apply(points.clone(), draws)
        if noised.shape != points.shape or not noised.isfinite().all():
            raise ValueError(f"what comes out, of shape {tuple(noised.shape)}, must be as many finite numbers")
    except Exception as fault:
        raise PluginError(
            f"{what}: it fails at level {noise.level:g} on points of shape {tuple(points.shape)}: "
            f"{type(fault).__name__}: {fault}"
        ) from fault
    return noised


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise OutputError(f"{path}: cannot be written ({fault.strerror}); choose another file") from fault


def _wish(typed: Arguments) -> Wish:
    """What to draw and where; raises with everything that is wrong about it."""
    faults = [*typed.faults]
    subject, *files = typed.words or [""]
    if subject not in COUNTS:
        faults.append(f"spa3d preview: {unknown('subject', subject, COUNTS)}")
        subject = "dataset"
    if len(files) != 1:
        faults.append(f"spa3d preview {subject}: name one file to write, as in: spa3d preview {subject} sheet.png")
    count = typed.value("count") or str(COUNTS[subject])
    if not count.isdecimal() or int(count) == 0:
        faults.append(f"--count {count}: a whole number of records from 1 on")
    levels = _levels(typed.value("level") or LEVELS, faults)
    if subject == "noise" and typed.has("noise.level"):
        faults.append("--noise.level: a sheet shows several; give them as --level X,Y")
    if faults:
        raise ConfigError(faults)
    path = Path(files[0])
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: the sheet is a PNG; give it a name that ends in .png")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it first")
    return Wish(subject, path, typed.value("split") or SPLIT, int(count), levels, typed)


def _levels(words: str, faults: list[str]) -> tuple[float, ...]:
    """Numbers from 0 to 1; adds to `faults` where one of them is not."""
    try:
        levels = tuple(float(word) for word in words.split(","))
    except ValueError:
        levels = (math.nan,)
    if not all(0 <= level <= 1 for level in levels):
        faults.append(f"--level {words}: numbers from 0 to 1 with commas between them, such as {LEVELS}")
    return levels


def _label(record: Record) -> str:
    return f"{record.id}  {record.caption or record.category or ''}"


def _print_usage() -> None:
    console = output()
    console.print(
        "usage: spa3d preview dataset OUT.png [FLAGS]\n       spa3d preview noise OUT.png [FLAGS]\n", markup=False
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    for flag, meaning in FLAGS.items():
        table.add_row(plain(flag, "bold cyan"), plain(meaning))
    console.print(table)
    console.print("\nEvery other flag of spa3d run that chooses data or prepares clouds holds here, too.", style="dim")
