"""Search for all bad records of a run, after the first one was found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from spa3d import ops
from spa3d.config.settings import RunConfig
from spa3d.errors import SHOWN, DataError, RecordError, bad_records
from spa3d.pipeline.assemble import assemble, make_execution
from spa3d.pipeline.data_checks import DataChecks
from spa3d.registry.registry import Registry
from spa3d.runtime.progress import Reporter

SECONDS = 60.0
"""Longest search; reading all clouds of a large data set takes hours."""


@contextmanager
def list_bad_records(config: RunConfig, registry: Registry, reporter: Reporter) -> Iterator[None]:
    """Turn an error about one record of a run into one about all bad records.

    The search for others ends after `SHOWN` errors or `SECONDS`.
    """
    try:
        yield
    except RecordError as error:
        if config.on_bad_data == "skip":  # no record that `DataChecks` can find
            raise
        raise _all_errors(config, registry, error, reporter) from error


def _all_errors(config: RunConfig, registry: Registry, first: RecordError, reporter: Reporter) -> RecordError:
    config = config.model_copy(update={"on_bad_data": "skip"})  # the dataset then gives the records that it can read
    execution = make_execution(config, registry)
    parts = assemble(config, registry, execution)
    checks = DataChecks(parts, blind=config.blind, reporter=reporter)
    errors, end = dict.fromkeys(first.errors), time.monotonic() + SECONDS
    with ops.use(*execution.ops):
        complete = all(_search(checks, split, errors, end) for split in parts.dataset.splits)
    return bad_records([*errors], complete=complete)


def _search(checks: DataChecks, split: str, errors: dict[str, None], end: float) -> bool:
    """Add the errors of the records of a split; false if the search was ended before."""
    records = checks.dataset.records(split)
    with checks.reporter.track(len(records), f"a bad record; checking {split} for others") as advance:
        for record in records:
            if len(errors) >= SHOWN or time.monotonic() > end:
                return False
            try:
                checks.check(record)
            except DataError as error:
                errors.setdefault(str(error))
            advance(1)
    return True
