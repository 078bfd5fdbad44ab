"""Tables of ``spa3d doctor``: figures, what a model expects, and findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from spa3d.cli.console import error_console, escape_text, output, print_sentence
from spa3d.rendering.numbers import NOTHING, format_count

if TYPE_CHECKING:
    from spa3d.data.doctor.expectation import Expectation
    from spa3d.data.doctor.facts import CloudFacts
    from spa3d.data.doctor.findings import Finding
    from spa3d.data.doctor.repairs import Repairs
    from spa3d.data.doctor.reports import CloudReport, DatasetReport
    from spa3d.pipeline.repair import RepairResult

STYLES = {"fault": "bold red", "warning": "bold yellow", "note": "bold cyan"}
LISTED = 20
"""Bad records, notes and examples of faults that are listed."""
FEW = 5
"""Examples of other findings that are listed; a JSON report has more."""
Row = tuple[str, str, str]
"""Name, what is there, and what a model expects."""


def print_cloud_report(report: CloudReport) -> None:
    """Print the figures of a cloud, those that a model expects, and the findings."""
    facts, expected = report.facts, report.expected
    rows = [*_list_place(facts, expected), *_list_points(facts, expected), *_list_surface(facts, expected)]
    heads = ["", facts.source, *([f"{expected.name} expects"] if expected else [])]
    _print_table(heads, rows)
    for note in facts.notes:
        print_sentence(output(), escape_text(f"reader: {note}"))
    _print_findings(report.findings)
    _print_commands(facts.source, report.certain_repairs, report.recommended_repairs)


def _list_place(facts: CloudFacts, expected: Expectation | None) -> Iterator[Row]:
    """Rows on coordinates."""
    from spa3d.data.doctor.scale import guess_scale

    normalized = bool(expected and expected.preparation.normalize)
    training = expected.training if expected else None
    yield "extent x, y, z", ", ".join(f"{edge:.4g}" for edge in facts.extent), ""
    yield "center", ", ".join(f"{value:.4g}" for value in facts.center), "moved to 0" if normalized else ""
    ranges = f"{training.radius[0]:.3g} to {training.radius[1]:.3g} in training" if training else ""
    yield (
        "radius",
        f"{facts.radius:.4g}",
        ", ".join(filter(None, ["scaled to 1" if normalized else "as it is" if expected else "", ranges])),
    )
    yield "unit (a guess)", guess_scale(facts), "any" if normalized else ""
    guess = facts.up_axis
    up = f"{guess.axis or 'unknown'} ({guess.confidence:.0%}{': ' + guess.evidence if guess.evidence else ''})"
    yield "up axis (a guess)", up, (expected.up_axis or "not stated") if expected else ""
    digits = f"{facts.precision}, rounding {facts.rounding:.1g} of the radius"
    yield "precision", digits + (f", a grid of {facts.levels} steps" if facts.levels else ""), ""


def _list_points(facts: CloudFacts, expected: Expectation | None) -> Iterator[Row]:
    """Rows on numbers of points."""
    expectation = ""
    if expected:
        count = expected.preparation.count
        expectation = f"{count:,} ({expected.preparation.method})" if count else f"at least {expected.min_points:,}"
    yield "points", f"{facts.points:,}", expectation
    yield "NaN or infinity", f"{facts.invalid:,}", "0" if expected else ""
    yield "repeated points", f"{facts.repeats:,}", ""
    count, shrinkage = facts.outliers
    yield "far points", f"{count:,}" + (f", {shrinkage:.3g} times as far as the rest" if count else ""), ""


def _list_surface(facts: CloudFacts, expected: Expectation | None) -> Iterator[Row]:
    """Rows on density, colors and normals."""
    estimate = "" if facts.sampled >= facts.valid else f" (from {facts.sampled:,} points, as on a surface)"
    if facts.shape:
        shape = facts.shape
        yield "spacing", f"{shape.spacing:.3g}, varies {shape.unevenness:.3g}-fold{estimate}", ""
        yield "thickness", ", ".join(f"{value:.3g}" for value in shape.thickness) + " (principal axes)", ""
    expectation = ""
    if expected:
        takes = "rgb" in expected.inputs
        expectation = f"0 to 1; {expected.preparation.missing_color:g} without" if takes else "not used"
        if expected.training and takes:
            expectation += f"; {expected.training.colored:.0%} colored in training"
    colors = facts.colors
    shown = "none"
    if colors:
        mean = ", ".join(f"{value:.3g}" for value in colors.mean)
        shown = f"{colors.low:.4g} to {colors.high:.4g}, mean {mean} ({colors.range})"
    yield "colors", shown, expectation
    normals = facts.normals
    yield "normals", f"{normals.unit:.0%} of length 1" if normals else "none", "not used" if expected else ""


def print_dataset_report(report: DatasetReport) -> None:
    """Print the figures of a data set by split, scores without clouds, and the findings."""
    from spa3d.data.doctor.set_facts import summarize_clouds

    facts = report.facts
    rows = []
    for split, texts in facts.texts.items():
        figures = summarize_clouds(facts.of_split(split))
        points = figures.get("points")
        sizes = (f"{points[0]:,}" if points[0] == points[2] else f"{points[0]:,} to {points[2]:,}") if points else ""
        colored = f"{figures['colored']:.0%}" if points else ""
        captions = f"{texts.captions.total():,} ({len(texts.captions):,} different)" if texts.captions else NOTHING
        rows.append(
            (
                split,
                f"{texts.records:,}",
                f"{texts.rounds:,}",
                captions,
                f"{len(facts.of_split(split)):,}",
                sizes,
                colored,
            )
        )
    if rows:
        _print_table(["split", "records", "rounds", "captions", "clouds read", "points", "colored"], rows)
    name = "no dataset" if facts.refusal else f"dataset {facts.name}"
    output().print(escape_text(f"{name}: {len(facts.clouds):,} of {facts.clouds_of:,} clouds were read"))
    if report.floors:
        scores = [
            (
                name,
                f"{each['questions']:,.0f}",
                *(f"{each[source]:.1%}" for source in ("chance", "text-table", "majority")),
            )
            for name, each in report.floors.items()
        ]
        _print_table(["without clouds", "questions", "chance", "training text", "majority"], scores)
    _print_findings(report.findings)
    for line in facts.notes[:LISTED]:
        print_sentence(output(), escape_text(f"note of the dataset: {line}"))


def _print_findings(findings: Sequence[Finding]) -> None:
    console = output()
    if not findings:
        console.print("no findings")
    for finding in findings:
        console.print()
        head = escape_text(f"{finding.severity}: ", STYLES[finding.severity])
        print_sentence(console, head + escape_text(f"{finding.seen} [{finding.kind}]"))
        print_sentence(console, escape_text(f"  effect: {finding.effect}"))
        if finding.remedy:
            print_sentence(console, escape_text(f"  remedy: {finding.remedy}"))
        for example in finding.examples[: LISTED if finding.severity == "fault" else FEW]:
            print_sentence(console, escape_text(f"  - {example}", "dim"))


def _print_commands(source: str, certain: Repairs, recommended: Repairs) -> None:
    """Print the commands that take the certain steps, and all recommended ones."""
    if not recommended:
        return
    console = output()
    console.print()
    if certain:
        line = f"certain: spa3d doctor {source} --fix OUT.npy      (takes {certain.flags()})"
        print_sentence(console, escape_text(line))
    if recommended != certain:
        line = f"all, after a look at the picture: spa3d doctor {source} --fix OUT.npy {recommended.flags()}"
        print_sentence(console, escape_text(line))


def print_repairs(result: RepairResult) -> None:
    """Print what was repaired, and the log's name."""
    for line in result.left_out[:LISTED]:
        print_sentence(error_console(), escape_text(line, "yellow"))
    lost = f", {format_count(len(result.left_out), 'file')} left out" if result.left_out else ""
    text = f"{result.output}: {format_count(result.repaired, 'cloud')} repaired{lost}; log: {result.log}"
    output().print(escape_text(text), soft_wrap=True)


def _print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(escape_text(head, "bold"), overflow="fold")
    for row in rows:
        table.add_row(*(Text() if not cell else escape_text(cell) for cell in row[: len(heads)]))
    output().print(table)
