"""Sentences of an evaluation's report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from spa3d.rendering.numbers import format_count, format_percent, format_percent_interval
from spa3d.report.conditions import CALIBRATION, COULD_SEE, MCNEMAR, describe_numbers
from spa3d.report.evaluation.document import EvaluationDocument, read_conditions
from spa3d.report.run_details import format_selection, format_versions
from spa3d.report.verdict import describe_gain

LEGEND = (
    "Shares in %; in brackets 95 % bootstrap intervals over groups of look-alike records. Blind is the same model "
    "without the cloud. Text floor is the best score that text alone gives."
)


def format_headline(document: EvaluationDocument) -> tuple[str, str]:
    """Format the subject of the report, and the score of the first benchmark."""
    name, score = next(iter(document.benchmarks.items()))
    subject = f"{document.model.get('name')} on {document.data.get('dataset')}"
    blind = " without clouds" if score.blind_only else f", blind {format_percent(score.blind)} %"
    interval = f"95 % interval {format_percent_interval(score.ci95)}"
    return subject, f"{name} {format_percent(score.score)} % ({interval}){blind}"


def describe_gains(document: EvaluationDocument) -> list[str]:
    """Describe the distance of each score to its text floor."""
    return [text for name, score in document.benchmarks.items() if (text := describe_gain(name, score))]


def describe_decoding(document: EvaluationDocument) -> str:
    """Describe how answers were decoded; stands with every table."""
    decoding, samples = read_conditions(document, "decoding"), int(document.conditions.get("samples", 1))
    most, contrast = f"at most {decoding.get('max_tokens')} tokens", read_conditions(document, "decoding", "contrast")
    if decoding.get("temperature"):
        limits = [f"temperature {decoding['temperature']:g}"]
        limits += [f"top-p {decoding['top_p']:g}"] if decoding.get("top_p", 1) < 1 else []
        limits += [f"top-k {decoding['top_k']}"] if decoding.get("top_k") else []
        text = f"Free answers are drawn ({', '.join(limits)}, seed {decoding.get('seed')}), {most}"
        several = "; a score is the mean over them, its spread their standard deviation"
        text += f", {format_count(samples, 'draw')} per question{several if samples > 1 else ''}"
    else:
        text = f"Free answers are greedy, {most}"
    text += "; options are scored by log p, without draws."
    if contrast:
        alpha, noise = contrast["alpha"], format_selection(document.conditions.get("noise"))
        text += (
            f" Contrastive decoding: with the cloud, logits are {1 + alpha:g} times those of the clean cloud minus "
            f"{alpha:g} times those of the noised one ({noise}); a free answer takes only tokens at least "
            f"{contrast['cutoff']:g} times as probable as the likeliest one. Other views are decoded without it."
        )
    return text


def describe_statistics(document: EvaluationDocument) -> str:
    """Describe the statistics of the tables; stands below the first one."""
    return " ".join([COULD_SEE, MCNEMAR, *([CALIBRATION] if has_calibration(document) else [])])


def describe_table(document: EvaluationDocument) -> str:
    """Describe the conditions of the figures in a table: numbers, seed, decoding."""
    numbers = describe_numbers([name for name, score in document.benchmarks.items() if score.unit])
    seed = f"; seed {document.conditions['seed']}" if "seed" in document.conditions else ""
    return f"{numbers}{seed}. {describe_decoding(document)}"


def has_calibration(document: EvaluationDocument) -> bool:
    """Whether a benchmark has the calibration of options."""
    return any(score.calibration for score in document.benchmarks.values())


def describe_scores(document: EvaluationDocument) -> Iterator[str]:
    """Describe each benchmark in a note."""
    for name, score in document.benchmarks.items():
        clauses = [
            f"{name}: {format_count(score.n, score.unit or 'question')} about {format_count(score.records, 'record')}"
        ]
        clauses.append(f"the usual answer to each kind of question scores {format_percent(score.majority)} %")
        clauses.append(f"unreadable answers {format_percent(score.invalid)} %")
        if score.normalized is not None:
            clauses.append(f"picking options by log p per token scores {format_percent(score.normalized)} %")
        if score.spread is not None and score.samples:
            draws = format_count(score.samples.count, "draw")
            clauses.append(f"standard deviation over {draws} {format_percent(score.spread)} points")
        yield "; ".join(clauses) + "."


def list_conditions(document: EvaluationDocument) -> list[tuple[str, str]]:
    """List names and values of what was evaluated, and how; absent ones are left out."""
    conditions, machine = document.conditions, document.passport.get("machine") or {}
    benchmarks = read_conditions(document, "benchmarks")
    limit = conditions.get("limit")
    pairs = [
        ("Model", str(document.model.get("path") or document.model.get("name"))),
        ("Model hash", str(document.model.get("content", ""))),
        ("Dataset", format_selection(conditions.get("dataset"))),
        ("Splits", ", ".join(f"{name} {size:,}" for name, size in (document.data.get("splits") or {}).items())),
        (
            "Evaluated split",
            f"{conditions.get('split')}" + (f", at most {limit:,} questions (or pairs) per set" if limit else ""),
        ),
        ("Benchmarks", "; ".join(format_selection(each) for each in benchmarks.values())),
        ("Views", ", ".join(conditions.get("views") or ())),
        ("Noise", format_selection(conditions.get("noise"))),
        ("Decoding", describe_decoding(document)),
        ("Seed", str(conditions.get("seed", ""))),
        ("Precision", str(conditions.get("precision", ""))),
        ("Arguments", shlex.join(str(word) for word in machine.get("argv") or ())),
        ("Machine", ", ".join(str(machine[key]) for key in ("device", "name") if machine.get(key))),
        ("Versions", format_versions(document.passport)),
        ("Date", str(document.passport.get("created", "")).replace("T", " ")),
    ]
    return [(name, value) for name, value in pairs if value]
