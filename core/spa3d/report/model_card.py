"""Model card of a run: README.md beside the model, for people and for the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from spa3d.checkpoints.publish import LOADING, TAGS
from spa3d.rendering.markdown import escape_markdown, render_bullets
from spa3d.report.document import Document, ScoreLine, collect_score_lines
from spa3d.report.markdown import LEGEND, render_score_table
from spa3d.report.run_details import format_title, read_reported_split, run_details
from spa3d.report.verdict import describe_cloud_gain, judge_run

PRIVATE = ("Arguments", "Machine", "Time")
"""Details of a run that say nothing about the model, but may name folders and machines."""
TASK = "3d-question-answering"


def render_model_card(document: Document) -> str:
    """Render the card of the model that a run trained: metadata for the hub, then Markdown.

    The scores are those after training, or before it if training did not end; each stands beside its blind score, its
    text floor and its chance level.
    """
    details = [(name, value) for name, value in run_details(document) if name not in PRIVATE]
    licenses = _read_texts(document.passport, "licenses") or {"all parts": "not stated"}
    blocks = [
        f"# {escape_markdown(format_title(document))}",
        "A 3D multimodal LLM: a point-cloud encoder, a projector and a causal LLM, measured with spa3d.",
        f"**{escape_markdown(judge_run(document).sentence)}**",
        escape_markdown(describe_cloud_gain(document)),
        "## Use",
        LOADING.rstrip(),
        escape_markdown(_describe_packages(document.passport)),
        "## Scores",
        render_score_table(document),
        LEGEND,
        "## Data and recipe",
        render_bullets(f"{name}: {escape_markdown(_without_folders(value))}" for name, value in details),
        "## Licenses of the parts",
        render_bullets(f"{escape_markdown(name)}: {escape_markdown(text)}" for name, text in licenses.items()),
        "The license of the whole must respect all of these.",
        "`passport.json` has the hashes of weights and data, and all versions and settings.",
    ]
    card = ModelCard(f"---\n{_make_data(document).to_yaml()}\n---\n\n" + "\n\n".join(filter(None, blocks)) + "\n")
    return str(card)


def _make_data(document: Document) -> ModelCardData:
    """The metadata block: how the hub lists the model, and its scores."""
    return ModelCardData(
        library_name="spa3d",
        tags=[*TAGS],
        model_name=format_title(document),
        eval_results=list(_make_results(document)),
    )


def _make_results(document: Document) -> Iterator[EvalResult]:
    """The scores in percent; blind score, text floor, chance and interval are their arguments."""
    dataset = str(document.data.get("dataset", ""))
    for line in collect_score_lines(document):
        score = line.after or line.before
        if score is None:
            continue
        floor = score.text_floor
        yield EvalResult(
            task_type=TASK,
            dataset_type=dataset,
            dataset_name=dataset,
            dataset_split=read_reported_split(document),
            metric_type="accuracy",
            metric_name=_name(line),
            metric_value=round(100 * score.score, 1),
            metric_args={
                "ci95": _percent(score.ci95),
                "blind": _percent([score.blind])[0],
                **({"text_floor": _percent([floor.score])[0], "text_floor_by": floor.source} if floor else {}),
                "chance": _percent([score.chance])[0],
                "questions": score.n,
            },
        )


def _percent(shares: Any) -> list[float]:
    return [round(100 * share, 1) for share in shares]


def _name(line: ScoreLine) -> str:
    return line.benchmark if line.subset == "test" else f"{line.benchmark}, {line.label}"


def _describe_packages(passport: Mapping[str, Any]) -> str:
    """Describe which packages the parts of the model come from, for those who load it."""
    origins = _read_texts(passport, "components")
    owners = dict.fromkeys(origins[kind] for kind in ("encoder", "projector") if kind in origins)
    return f"Encoder and projector come from {' and '.join(map(_without_folders, owners))}." if owners else ""


def _read_texts(passport: Mapping[str, Any], key: str) -> dict[str, str]:
    """Texts by name under a key of the passport; empty without it."""
    saved = passport.get(key)
    return {str(name): str(text) for name, text in saved.items()} if isinstance(saved, Mapping) else {}


def _without_folders(text: str) -> str:
    """Text with the last name of each absolute path alone."""
    return " ".join(PurePath(word).name if word.startswith("/") else word for word in text.split(" "))
