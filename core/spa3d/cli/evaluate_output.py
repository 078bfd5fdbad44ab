"""Terminal output at the end of an evaluation: scores beside blind scores and floors."""

from __future__ import annotations

from rich.table import Table

from spa3d.cli.console import escape_text, is_first_process, output, print_sentence
from spa3d.pipeline.evaluate_model import Evaluation
from spa3d.rendering.numbers import NOTHING, format_count, format_percent, format_percent_interval
from spa3d.report.evaluation import EvaluationDocument
from spa3d.report.evaluation.document import ModelLine, ModelScore, collect_model_lines
from spa3d.report.evaluation.wording import describe_decoding, describe_gains, format_headline

LEGEND = "shares in % with 95 % intervals; blind: without the cloud; floor: best of text alone"


def show_evaluation(result: Evaluation) -> None:
    """Print scores and paths of an evaluation with a folder, in the first process."""
    if not is_first_process() or result.folder is None:
        return
    console = output()
    if result.missing:
        left = f"still to be done: --shard {', '.join(result.missing)}"
        console.print(escape_text(f"{result.folder}: {format_count(result.new, 'new answer')}; {left}"), soft_wrap=True)
        return
    document = EvaluationDocument.model_validate_json((result.folder / "report.json").read_text(encoding="utf-8"))
    table = Table("", box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    rows = [(line, _format_cells(line)) for line in collect_model_lines(document)]
    columns = [name for name in rows[0][1] if any(cells[name] != NOTHING for _, cells in rows)]
    for column in columns:
        table.add_column(column, justify="right")
    for line, cells in rows:
        name = line.benchmark if line.subset == "test" else f"  {line.label}"
        table.add_row(escape_text(name), *(cells[column] for column in columns))
    subject, score_text = format_headline(document)
    print_sentence(console, escape_text(f"\n{subject}: {score_text}.", "bold"))
    for sentence in describe_gains(document):
        print_sentence(console, escape_text(sentence))
    console.print()
    console.print(table)
    for note in document.notes:
        print_sentence(console, escape_text(f"warning: {note}", "yellow"))
    console.print(f"\n{LEGEND}", style="dim")
    print_sentence(console, escape_text(describe_decoding(document), "dim"))
    folder = result.folder
    text = f"{folder / 'report.html'}  {folder / 'report.md'}  ({format_count(result.new, 'new answer')})"
    console.print(escape_text(text), soft_wrap=True)


def _format_cells(line: ModelLine) -> dict[str, str]:
    """Cells of a line by the name of their column."""
    score = line.score
    spread = score.spread if isinstance(score, ModelScore) else None
    return {
        "score": format_percent(score.score),
        "interval": format_percent_interval(score.ci95),
        "spread": NOTHING if spread is None else format_percent(spread),
        "blind": format_percent(score.blind),
        "floor": format_percent(score.text_floor.score) if score.text_floor else NOTHING,
        "chance": format_percent(score.chance),
        "n": f"{score.n:,}",
    }
