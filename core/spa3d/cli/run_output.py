"""Terminal output at the end of a run: the verdict, then each score beside its blind score."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from spa3d.cli.console import escape_text, output, print_sentence
from spa3d.rendering.numbers import NOTHING, format_percent, format_points, format_points_interval
from spa3d.report.conditions import describe_conditions, format_reach
from spa3d.report.document import Document, ScoreLine, SubsetScore, collect_score_lines
from spa3d.report.training_sentence import describe_health
from spa3d.report.verdict import describe_cloud_gain, judge_run

TONES = {"helped": "bold green", "even": "bold", "hurt": "bold red", "open": "bold yellow"}
LEGEND = (
    "shares in %, changes with paired 95 % intervals; sees: smallest true change found in 80 % of cases (two-sided, "
    "5 %); blind: without the cloud; floor: best of text alone"
)


def show_result(folder: Path) -> None:
    """Print the verdict and the scores of report.json in `folder`, and the paths of the report."""
    document = Document.model_validate_json((folder / "report.json").read_text(encoding="utf-8"))
    verdict = judge_run(document)
    table = Table("", box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")  # fits 80 columns
    for column in ("before", "blind", "after", "blind", "change", "sees", "floor", "n"):
        table.add_column(column, justify="right")
    for line in collect_score_lines(document):
        name = line.benchmark if line.subset == "test" else f"  {line.label}"
        table.add_row(escape_text(name), *_format_line(line))
    console = output()
    print_sentence(console, escape_text(f"\n{verdict.sentence}", TONES[verdict.tone]))
    for sentence in (describe_cloud_gain(document), describe_health(document.training.health)):
        if sentence:
            print_sentence(console, escape_text(sentence))
    console.print()
    console.print(table)
    for warning in (*document.notes, *document.training.warnings):
        print_sentence(console, escape_text(f"warning: {warning}", "yellow"))
    print_sentence(console, escape_text(f"\n{LEGEND}", "dim"))
    print_sentence(console, escape_text(describe_conditions(document), "dim"))
    console.print(escape_text(f"{folder / 'report.html'}  {folder / 'report.md'}"), soft_wrap=True)


def _format_line(line: ScoreLine) -> list[str]:
    last = line.after or line.before
    change = line.change
    difference = f"{format_points(change.score)} ({format_points_interval(change.ci95)})" if change else NOTHING
    return [
        *_format_score(line.before),
        *_format_score(line.after),
        difference,
        (format_reach(change) if change else "") or NOTHING,
        format_percent(last.text_floor.score) if last and last.text_floor else NOTHING,
        str(last.n) if last else NOTHING,
    ]


def _format_score(score: SubsetScore | None) -> tuple[str, str]:
    if score is None:
        return NOTHING, NOTHING
    return format_percent(score.score), format_percent(score.blind)
