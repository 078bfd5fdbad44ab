"""Work on the lines of a file: in batches, in several goes, and in shards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spa3d.artifacts.model_folder import find_model_folder
from spa3d.artifacts.resumable_lines import ResumableLines, read_marker
from spa3d.artifacts.workspace import hash_folder
from spa3d.contracts.dataset import OnBadData
from spa3d.data.cloud_checks import Colors
from spa3d.errors import DataError, OutputError
from spa3d.inference.cloud_encoder import CloudEncoder
from spa3d.inference.requests import CloudRequest, check_all
from spa3d.runtime.file_hashes import FileHashes, hash_file
from spa3d.runtime.progress import Reporter
from spa3d.runtime.shards import Shard

ERROR = "error"
"""Key of the reason in a line without a result."""
Work = Callable[[Sequence[CloudRequest]], list[dict[str, Any]]]
"""Function that makes the lines of a batch."""


@dataclass(frozen=True)
class LineSettings:
    """How the lines of a file are worked on.

    Attributes:
        root: folder of relative paths of clouds; None: that of the file.
        batch_size: lines per forward; it changes no result.
        colors: range of the colors in the files of clouds.
        shard: the part of the lines that this process does.
        on_bad_data: stop before the first line if a cloud is bad, or give its lines the key ``error`` instead of a
            result.

    """

    root: Path | None = None
    batch_size: int = 16
    colors: Colors = "0-1"
    shard: Shard = field(default_factory=Shard)
    on_bad_data: OnBadData = "stop"


@dataclass(frozen=True)
class LineResult:
    """Lines in a file.

    Attributes:
        path: the file of this process: that of the shard, if there are several.
        lines: number of its lines.
        new: how many of them this process made.
        errors: how many of the new ones have an error, because their cloud is bad.
        missing: shards that are not done yet, as ``i/n``.
        whole: the file with the lines of all shards; None while some are missing.

    """

    path: Path
    lines: int
    new: int
    errors: int
    missing: tuple[str, ...]
    whole: Path | None


class LineJob:
    """Job that makes one line per request, in order.

    Args:
        requests: all of them; a shard takes its part.
        output: the file of the lines.
        request: everything that decides the lines of all shards.
        settings: shard and batch size are used.
        reporter: where progress goes.

    """

    def __init__(
        self,
        requests: Sequence[CloudRequest],
        output: Path,
        request: Mapping[str, Any],
        settings: LineSettings,
        reporter: Reporter,
    ) -> None:
        self.shard, self.batch_size, self.reporter = settings.shard, settings.batch_size, reporter
        self.requests, self.output, self.request = self.shard.select(requests), output, dict(request)
        self.lines, self._errors = self._lines(self.shard), 0

    def run(self, start: Callable[[Sequence[CloudRequest]], Work], what: str) -> LineResult:
        """Make the missing lines, and join the shards when all are done.

        Args:
            start: checks the missing requests, loads what is needed, and returns the work; not called without any.
            what: the requests, in the plural, for the progress.

        Raises:
            OutputError: the output is in use, or was made with something else.

        """
        new = 0
        if not self.lines.check():
            with self.lines.write() as values:
                self._refuse_other(values)
                pending = self.requests[len(values) :]
                if pending:
                    self._work(start(pending), pending, what)
                new = len(pending)
                self.lines.finish()
        missing = self._find_missing()
        whole = None if missing else self._join()
        return LineResult(self.lines.path, len(self.requests), new, self._errors, missing, whole)

    def _work(self, work: Work, requests: Sequence[CloudRequest], what: str) -> None:
        with self.reporter.track(len(requests), what) as advance:
            for first in range(0, len(requests), self.batch_size):
                batch = requests[first : first + self.batch_size]
                lines = work(batch)
                self._errors += sum(ERROR in line for line in lines)
                self.lines.add(lines)
                advance(len(batch))

    def _lines(self, shard: Shard) -> ResumableLines:
        """The lines of a shard: those of the output, if there is only one."""
        if shard.count == 1:
            return ResumableLines(self.output, self.request)
        name = f"{self.output.stem}.{shard.number}-of-{shard.count}{self.output.suffix}"
        return ResumableLines(self.output.with_name(name), {**self.request, "shard": str(shard)})

    def _refuse_other(self, values: Sequence[Any]) -> None:
        """Refuse lines that are not those of the first requests; only an edit of the file does this."""
        ids = [value.get("id") if isinstance(value, Mapping) else None for value in values]
        if ids != [request.id for request in self.requests[: len(ids)]]:
            raise OutputError(
                f"{self.lines.part}: its lines are not in the order of the input; delete it to begin again"
            )

    def _find_missing(self) -> tuple[str, ...]:
        """Shards that are not done, or were made with something else."""
        every = [Shard(number, self.shard.count) for number in range(1, self.shard.count + 1)]
        return tuple(str(shard) for shard in every if not self._is_done(self._lines(shard)))

    def _is_done(self, lines: ResumableLines) -> bool:
        return lines.path.exists() and read_marker(lines.marker) == json.loads(json.dumps(lines.request))

    def _join(self) -> Path:
        """Join the files of all shards, if that is not done."""
        count, whole = self.shard.count, ResumableLines(self.output, self.request)
        if count > 1 and not whole.check():
            files = [self._lines(Shard(number, count)).path for number in range(1, count + 1)]
            text = "".join(file.read_text(encoding="utf-8") for file in files)
            whole.finish_with(text, lines=text.count("\n"), shards=count)
        return self.output


def describe_source(path: Path, root: Path | None, model: str | Path, reporter: Reporter) -> dict[str, Any]:
    """Hashes of the file of requests and of the model, and the folder of the clouds."""
    hashes = FileHashes(reporter=reporter)
    return {
        "input": hash_file(path)[:16],
        "root": str((root or path.parent).resolve()),
        "model": hash_folder(find_model_folder(model), hashes),
    }


def check_clouds(
    requests: Sequence[CloudRequest],
    open_encoder: Callable[[], CloudEncoder],
    settings: LineSettings,
    reporter: Reporter,
) -> dict[Path, str]:
    """Read every cloud once; returns the error of each bad one.

    Args:
        requests: the lines that are to be worked on.
        open_encoder: loads the encoder, which says what it needs; not called if no line has a cloud.
        settings: ``on_bad_data`` and the range of the colors are used.
        reporter: where progress goes.

    Raises:
        DataError: the errors of all bad clouds together, unless they are to be skipped.

    """
    first: dict[Path, CloudRequest] = {}
    for request in requests:
        if request.cloud is not None:
            first.setdefault(request.cloud, request)
    if not first:
        return {}
    encoder, errors = open_encoder(), dict[Path, str]()
    with reporter.track(len(first), "checking clouds") as advance:

        def check(path: Path) -> None:
            advance(1)
            try:
                encoder.check(path, colors=settings.colors)
            except DataError as error:
                errors[path] = str(error)
                if settings.on_bad_data == "stop":
                    raise DataError(f"{first[path].where}: {error}") from error

        check_all(first, check, "bad clouds")
    return errors


def skip_bad_clouds(work: Work, errors: Mapping[Path, str]) -> Work:
    """Give requests with bad clouds a line with their error, and leave the others to `work`."""

    def run(batch: Sequence[CloudRequest]) -> list[dict[str, Any]]:
        bad = {each.id: errors[each.cloud] for each in batch if each.cloud is not None and each.cloud in errors}
        lines = iter(work([request for request in batch if request.id not in bad]) if len(bad) < len(batch) else ())
        return [{"id": each.id, ERROR: bad[each.id]} if each.id in bad else next(lines) for each in batch]

    return run


@contextmanager
def error_at(where: str) -> Iterator[None]:
    """Let a `DataError` raised inside begin with file and line."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
