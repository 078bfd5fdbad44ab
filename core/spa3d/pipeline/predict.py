"""Answers to the questions in a file; implements `spa3d.predict`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spa3d.inference.answers import Answer, CloudQuestion
from spa3d.inference.generation import Decoding
from spa3d.inference.requests import CloudRequest, check_all, read_requests
from spa3d.inference.session import ModelSource
from spa3d.pipeline.line_job import (
    LineJob,
    LineResult,
    LineSettings,
    Work,
    check_clouds,
    describe_source,
    error_at,
    skip_bad_clouds,
)
from spa3d.runtime.progress import Reporter, SilentReporter


@dataclass(frozen=True)
class PredictionSettings(LineSettings):
    """How the questions of a file are asked.

    Attributes:
        blind: ask each question without its cloud, too.
        decoding: of free answers.

    """

    blind: bool = False
    decoding: Decoding = field(default_factory=Decoding)


def predict(
    model: str | Path | ModelSource,
    questions: str | Path,
    output: str | Path,
    *,
    settings: PredictionSettings | None = None,
    reporter: Reporter | None = None,
) -> LineResult:
    """Answer the questions in a file of JSON lines, in order.

    The same call continues a killed one. Lines and clouds are checked before the model is loaded, and lengths before
    the first answer.

    Args:
        model: the folder of a run or of a model, or a `ModelSource` with its device.
        questions: a file of lines ``{"id", "cloud", "question", "options"}``; `spa3d.inference.requests` has the rules.
        output: lines with ``id``, ``question``, ``answer``, ``logp`` (nats), ``tokens``, ``stopped``; with options and
            with `blind` there are more keys.
        settings: of the questions.
        reporter: where progress goes.

    Raises:
        DataError: bad lines, or bad clouds that are not to be skipped; all of them are named.
        OutputError: the output is in use, or was made with something else.

    """
    source = model if isinstance(model, ModelSource) else ModelSource(model)
    settings, reporter = settings or PredictionSettings(), reporter or SilentReporter()
    requests = read_requests(Path(questions), settings.root)
    request = {
        **describe_source(Path(questions), settings.root, source.path, reporter),
        "dtype": source.dtype,
        "blind": settings.blind,
        "decoding": asdict(settings.decoding),
        "colors": settings.colors,
        "on_bad_data": settings.on_bad_data,
    }
    job = LineJob(requests, Path(output), request, settings, reporter)
    return job.run(lambda pending: _start(source, pending, settings, reporter), "questions")


def _start(
    source: ModelSource, requests: Sequence[CloudRequest], settings: PredictionSettings, reporter: Reporter
) -> Work:
    """Check the questions, and return the function that asks a batch of them."""
    errors = check_clouds(requests, source.open_encoder, settings, reporter)
    session = source.open()

    def check(request: CloudRequest) -> None:
        most = settings.decoding.max_tokens
        with error_at(request.where):
            session.check(request.question, request.options, cloud=request.cloud is not None, most=most)

    check_all(requests, check, "bad lines")

    def ask(batch: Sequence[CloudRequest]) -> list[dict[str, Any]]:
        files = list(dict.fromkeys(each.cloud for each in batch if each.cloud))
        shown = dict(zip(files, session.encoder.encode(files, colors=settings.colors), strict=True))
        items = [
            CloudQuestion(each.question, shown[each.cloud] if each.cloud else None, each.options, id=str(each.id))
            for each in batch
        ]
        answers = session.answer(items, blind=settings.blind, decoding=settings.decoding)
        return [_make_line(*pair, blind=settings.blind) for pair in zip(batch, answers, strict=True)]

    return skip_bad_clouds(ask, errors)


def _make_line(request: CloudRequest, answer: Answer, *, blind: bool) -> dict[str, Any]:
    """The line of an answer."""
    line: dict[str, Any] = {"id": request.id, "question": request.question, "answer": answer.text}
    line |= {"logp": answer.logp, "tokens": answer.tokens, "stopped": answer.stopped}
    if request.options:
        line |= {"options": list(request.options), "option_logp": list(answer.option_logp)}
    if blind:
        other = answer.blind
        line |= {"blind_answer": other.text if other else None, "blind_logp": other.logp if other else None}
        if request.options:
            line["blind_option_logp"] = list(other.option_logp) if other else None
    return line
