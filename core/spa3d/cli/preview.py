"""``spa3d preview``: look at what a run would see, before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from spa3d.cli.console import complaints, output, plain
from spa3d.cli.flags import Arguments, Flag, scan
from spa3d.cli.naming import SWITCHES
from spa3d.cli.parser import parse
from spa3d.contracts.dataset import Cloud, Dataset, Record
from spa3d.errors import ConfigError, DataError, OutputError
from spa3d.fields import unknown
from spa3d.render import contact_sheet, upright

SUBJECTS = ("dataset",)
SPLIT, COUNT = "test", 30
OWN = ("split", "count")
FLAGS = {
    "--split NAME": f"which split to show (default: {SPLIT})",
    "--count N": f"how many records, from the first (default: {COUNT})",
    "--dataset NAME": "the dataset; its settings follow as --dataset.FIELD VALUE",
    "--config FILE": "the dataset of a run.yaml",
    "--plugin FILE": "load an unpackaged plugin (a file or a module), too",
}


def main(argv: Sequence[str]) -> int:
    """Draw the first objects of a dataset on a contact sheet (PNG)."""
    if "--help" in argv or "-h" in argv:
        _print_usage()
        return 0
    from spa3d.assemble import make_dataset  # it brings torch, for which a list of the verbs should not wait

    typed = scan(argv, switches=SWITCHES, repeatable={"plugin"})
    path, split, count = _request(typed)
    chosen = parse([_typed(flag) for flag in typed.flags if flag.name not in OWN])
    dataset = make_dataset(chosen.config, chosen.registry)
    records = dataset.records(split)
    shown = [records[i] for i in range(min(count, len(records)))]
    drawn = list(_clouds(dataset, shown))
    for line in dataset.skipped:
        complaints().print(plain(f"left out: {line}", "yellow"), soft_wrap=True)
    try:
        contact_sheet([cloud for _, cloud in drawn], [_label(record) for record, _ in drawn], path)
    except OSError as fault:
        raise OutputError(f"{path}: cannot be written ({fault.strerror}); choose another file") from fault
    name = chosen.config.dataset.asked
    told = plain(f"{path}: {len(drawn)} of the {len(records)} records of {name}, split {split}")
    output().print(told, soft_wrap=True)
    return 0


def _clouds(dataset: Dataset, records: Sequence[Record]) -> Iterator[tuple[Record, Cloud]]:
    """Each record with its cloud, y up; one that cannot be read is a fault, or is skipped where that was asked for."""
    from spa3d.points import sound_cloud

    for record in records:
        try:
            yield record, upright(sound_cloud(record), dataset.up_axis)
        except DataError as fault:
            if dataset.on_bad_data == "stop":
                raise
            dataset.skipped.append(str(fault))


def _request(typed: Arguments) -> tuple[Path, str, int]:
    """Where to draw, which split, how many; raises with everything that is wrong about them."""
    faults = [*typed.faults]
    subject, *files = typed.words or [""]
    if subject not in SUBJECTS:
        faults.append(f"spa3d preview: {unknown('subject', subject, SUBJECTS)}")
    if len(files) != 1:
        faults.append("spa3d preview dataset: name one file to write, as in: spa3d preview dataset sheet.png")
    count = typed.value("count") or str(COUNT)
    if not count.isdecimal() or int(count) == 0:
        faults.append(f"--count {count}: a whole number of records from 1 on")
    if faults:
        raise ConfigError(faults)
    path = Path(files[0])
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: the contact sheet is a PNG; give it a name that ends in .png")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it first")
    return path, typed.value("split") or SPLIT, int(count)


def _typed(flag: Flag) -> str:
    return f"--{flag.name}" if flag.value is None else f"--{flag.name}={flag.value}"


def _label(record: Record) -> str:
    return f"{record.id}  {record.caption or record.category or ''}"


def _print_usage() -> None:
    console = output()
    console.print("usage: spa3d preview dataset OUT.png [FLAGS]\n", markup=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    for flag, meaning in FLAGS.items():
        table.add_row(plain(flag, "bold cyan"), plain(meaning))
    console.print(table)
    console.print("\nEvery other flag of spa3d run that chooses the data holds here, too.", style="dim")
