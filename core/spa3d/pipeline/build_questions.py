"""Questions built from captions, facts and QA files; implements `spa3d.build_questions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from spa3d.artifacts.hashing import digest
from spa3d.artifacts.workspace import Workspace
from spa3d.config.hub_ids import is_hub_id
from spa3d.contracts.dataset import Dataset
from spa3d.data.option_questions import format_option_questions
from spa3d.data.question_sources import SourceRecord, describe_record, merge_records, read_source
from spa3d.errors import DataError, contain_exit
from spa3d.evaluation.question_builder.build import BuildPlan, BuiltQuestions, CategoryCount, build_set
from spa3d.evaluation.question_builder.checks import LLMChecker, RuleChecker
from spa3d.evaluation.question_builder.clients import Client, LocalClient, LoggedClient
from spa3d.evaluation.question_builder.contract import Checker, Writer
from spa3d.evaluation.question_builder.llm_writer import LLMWriter
from spa3d.evaluation.question_builder.rule_writer import RuleWriter
from spa3d.llm_clients.endpoint import Endpoint, EndpointClient
from spa3d.model.llm import check_causal_lm
from spa3d.pipeline.build_request import BuildSettings, WriterChoice, check_build_request
from spa3d.pipeline.fingerprints import llm_content
from spa3d.registry.create import create
from spa3d.report.build_report import format_build_report, render_build_report
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.device import choose_device
from spa3d.runtime.progress import Reporter, SilentReporter

SHOWN_NOTES = 3
"""Notes on the sources in the error of a build without a question."""


@contain_exit()
def build_questions(
    output: Path | str | None = None,
    *,
    dataset: str | Dataset | None = None,
    sources: Sequence[Path | str] = (),
    settings: BuildSettings | None = None,
    reporter: Reporter | None = None,
) -> BuiltQuestions:
    """Make four-option questions, check that the captions tell the answers, and write them.

    Args:
        output: JSON lines; None: nothing is written.
        dataset: a name or a dataset; its captions and facts are used.
        sources: files of captions, or of questions and answers (`spa3d.data.question_sources`). Together with a dataset
            they are joined by record, and records that the dataset lacks are left out.
        settings: of the build.
        reporter: where progress goes.

    Raises:
        ConfigError: settings are missing or contradict each other.
        DataError: a source has an unknown layout, or no question could be made.
        OutputError: the output exists, or cannot be written.
        EndpointError: the endpoint is unusable or failed too often; its replies are kept.

    """
    settings, reporter = settings or BuildSettings(), reporter or SilentReporter()
    path = None if output is None else Path(output)
    check_build_request(settings, path, has_source=dataset is not None or bool(sources))
    made_dataset = create("dataset", dataset) if isinstance(dataset, str) else dataset
    records, notes = _collect_records(made_dataset, [Path(source) for source in sources], settings)
    reporter.stage("sources", f"{len(records)} records")
    writer, checker = _make_writers(settings, records, reporter)
    reporter.stage("questions", f"written by {writer.name}, checked by {checker.name}")
    plan = BuildPlan(settings.counts, settings.seed, settings.attempts)
    built = build_set(records, plan, writer, checker, reporter=reporter)
    built = replace(built, notes=tuple(notes))
    if not built.questions:
        raise DataError("\n".join([*_explain_nothing(built.counts), *notes[:SHOWN_NOTES]]))
    if path is not None:
        _write(path, built, settings, writer.name, checker.name)
    return built


def _write(path: Path, built: BuiltQuestions, settings: BuildSettings, writer: str, checker: str) -> None:
    """Write the questions, and beside them their report as JSON and Markdown."""
    provenance = {"writer": writer, "checker": checker, "seed": settings.seed, "split": settings.split}
    write_whole(path, format_option_questions(built.questions))
    write_whole(path.with_suffix(".report.json"), format_build_report(built, provenance))
    write_whole(path.with_suffix(".report.md"), render_build_report(built))


def _collect_records(
    dataset: Dataset | None, sources: Sequence[Path], settings: BuildSettings
) -> tuple[list[SourceRecord], list[str]]:
    """Read the dataset and the files; returns records and notes."""
    files = [read_source(path) for path in sources]
    notes = [note for file in files for note in file.notes]
    described = merge_records(record for file in files for record in file.records)
    if dataset is None:
        return described, notes
    own = [describe_record(record, settings.level) for record in dataset.records(settings.split)]
    notes += [*dataset.skip_log.lines, *dataset.skip_log.notes]
    known = {record.id for record in own}
    lacking = [record.id for record in described if record.id not in known]
    if lacking:
        notes.append(
            f"{len(lacking)} of the {len(described)} records in the files are not in split {settings.split} of the "
            f"dataset and are left out, the first is {lacking[0]!r}"
        )
    return merge_records([*own, *(record for record in described if record.id in known)]), notes


def _make_writers(
    settings: BuildSettings, records: Sequence[SourceRecord], reporter: Reporter
) -> tuple[Writer, Checker]:
    choice = settings.checker or settings.writer
    foreign = {each for each in (settings.writer, choice) if each.name != "rule"}
    clients = {each: _make_client(each, settings, reporter) for each in foreign}
    writer: Writer = RuleWriter(records, seed=settings.seed)
    if settings.writer in clients:
        writer = LLMWriter(clients[settings.writer])
    checker: Checker = RuleChecker()
    if choice in clients:
        checker = LLMChecker(clients[choice], seed=settings.seed, blind=settings.blind)
    return writer, checker


def _make_client(choice: WriterChoice, settings: BuildSettings, reporter: Reporter) -> LoggedClient:
    """Make the client of an LLM, with the log of its replies in the workspace."""
    workspace = Workspace.from_environment()
    client: Client
    if choice.name == "local":
        setting = f"{choice.prefix}llm"
        check_causal_lm(choice.llm, flag=setting, alternative="its name on the hub")
        device = choose_device(settings.device)
        client = LocalClient(choice.llm, setting=setting, device=device, batch_size=settings.batch_size)
        name = f"local:{choice.llm if is_hub_id(choice.llm) else Path(choice.llm).name}"
        decisive = [llm_content(choice.llm, workspace), str(device)]
    else:
        url, model = f"{choice.prefix}url", f"{choice.prefix}model"
        needed_by = "--writer endpoint" if choice.prefix == "--" else "--checker endpoint"
        endpoint = Endpoint(choice.url, choice.model, url, model, needed_by)
        client, name, decisive = EndpointClient(endpoint, settings.patience), f"endpoint:{choice.model}", [choice.url]
    return LoggedClient(client, name, workspace.replies(digest([name, *decisive])), reporter)


def _explain_nothing(counts: Mapping[str, CategoryCount]) -> list[str]:
    """Lines of the error of a build without a question."""
    lines = [f"{name}: {describe_count(count)}" for name, count in counts.items() if count.target]
    return [*lines, "no question could be made: give other sources (--source, --dataset) or another --writer"]


def describe_count(count: CategoryCount) -> str:
    """Describe the numbers of one category in a sentence."""
    text = f"{count.made} of {count.target} made"
    if count.shortfall and not count.possible:
        return f"{text}: no record has a caption, a fact or a question for it"
    reasons = "; ".join(f"{number} refused: {why}" for why, number in count.refused.items())
    tried = f"{count.tried} of {count.possible} possible ones tried"
    return f"{text}; {tried}" + (f"; {reasons}" if reasons else "")
