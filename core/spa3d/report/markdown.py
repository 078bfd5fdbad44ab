"""report.md: the verdict, the tables, the warnings, how it was run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from spa3d.rendering.numbers import NOTHING, count, markdown, p_value, percent, percent_span, points, points_span
from spa3d.report.document import Document, Kind, Line, Phase, kind_lines, score_lines
from spa3d.report.examples import Example
from spa3d.report.run_details import recipe
from spa3d.report.training_sentence import health_sentence
from spa3d.report.verdict import cloud_worth, verdict

HEAD = ("before", "blind before", "after", "blind after", "change", "p", "chance", "majority", "n")
LEGEND = (
    "Shares in %, changes in points; in brackets 95 % bootstrap intervals over records, the change's is paired. "
    "*Blind* is the same model asked without the cloud."
)


def markdown_page(document: Document, examples: Sequence[Example]) -> str:
    """The text of report.md. Its first line is the verdict."""
    blocks = [f"**{markdown(verdict(document).sentence)}**", markdown(cloud_worth(document))]
    blocks += [markdown(health_sentence(document.training.health))]
    blocks += _warnings(document)
    blocks += ["## Scores", _table("", score_lines(document)), LEGEND]
    blocks += [markdown(note) for note in notes(document)]
    for name, block in document.benchmarks.items():
        lines = list(kind_lines(block))
        if len(lines) > 1:
            blocks += [f"### {markdown(name)} by kind", _table("kind", lines)]
    blocks += _examples(examples)
    blocks += ["## How it was run", _list(recipe(document))]
    made = "the preference pairs in [`pairs.jsonl`](pairs.jsonl), " if document.passport.get("pairs") else ""
    blocks.append(
        f"Every answer behind these figures is in [`{document.predictions}`]({document.predictions}), {made}the curves "
        f"are in [`{document.training.curves}`]({document.training.curves}); all settings are in "
        "[`config.yaml`](config.yaml), all versions and hashes in [`passport.json`](passport.json)."
    )
    return "\n\n".join(block for block in blocks if block) + "\n"


def notes(document: Document) -> Iterator[str]:
    """What the table has no column for, a sentence per benchmark; and the benchmarks that found nothing to ask."""
    for name, block in document.benchmarks.items():
        phases = [phase for phase in (block.before, block.after) if phase]
        last = phases[-1]
        told = [f"{name}: {count(last.n, 'question')} about {count(last.records, 'record')}"]
        told.append(f"always giving a kind's usual answer scores {percent(last.majority)} %")
        told.append(f"unreadable answers {_course([phase.invalid for phase in phases])} %")
        normalised = [phase.normalised for phase in phases if phase.normalised is not None]
        if normalised:
            told.append(f"picking by log p per token scores {_course(normalised)} %")
        yield "; ".join(told) + "."
    for name in document.not_asked:
        yield f"{name}: these data give it nothing to ask."


def skipped(document: Document) -> list[str]:
    """The records that could not be read and were left out."""
    lines = document.data.get("skipped")
    return [str(line) for line in lines] if isinstance(lines, list | tuple) else []


def _course(values: Sequence[float]) -> str:
    return " → ".join(percent(value) for value in values)


def _table(head: str, lines: Iterable[Line]) -> str:
    rows = ["| " + " | ".join((head, *HEAD)) + " |", "|---|" + "---:|" * len(HEAD)]
    rows += ["| " + " | ".join(_cells(line)) + " |" for line in lines]
    return "\n".join(rows)


def _cells(line: Line) -> Iterator[str]:
    yield markdown(line.label if line.part in ("test", "kind") else f"{line.benchmark}, {line.label}")
    for side in (line.before, line.after):
        yield f"{percent(side.score)} ({percent_span(side.ci95)})" if side else NOTHING
        yield percent(side.blind) if side else NOTHING
    change = line.change
    yield f"{points(change.score)} ({points_span(change.ci95)})" if change else NOTHING
    yield p_value(change.p).removeprefix("p = ").removeprefix("p ") if change else NOTHING
    last = line.after or line.before
    yield percent(last.chance) if last else NOTHING
    yield percent(last.majority) if isinstance(last, Kind | Phase) else NOTHING
    yield str(last.n) if last else NOTHING


def _warnings(document: Document) -> Iterator[str]:
    lost = skipped(document)
    if document.training.warnings or lost:
        yield "## Warnings"
    if document.training.warnings:
        yield "\n".join(f"- Watchdog: {markdown(text)}" for text in document.training.warnings)
    if lost:
        yield f"{count(len(lost), 'record')} left out, unreadable:"
        yield "\n".join(f"- {markdown(line)}" for line in lost)


def _examples(examples: Sequence[Example]) -> Iterator[str]:
    if not examples:
        return
    yield "## Examples"
    rows = ["| record | question | reference | before | after | blind |", "|---|---|---|---|---|---|"]
    for example in examples:
        cells = (example.record_id, example.question, example.reference, example.before, example.after, example.blind)
        rows.append("| " + " | ".join(markdown(cell) for cell in cells) + " |")
    yield "\n".join(rows)


def _list(pairs: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {markdown(value)}" for name, value in pairs)
