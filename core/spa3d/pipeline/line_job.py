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
from spa3d.data.cloud_checks import Colors
from spa3d.errors import DataError, OutputError
from spa3d.inference.cloud_encoder import CloudEncoder
from spa3d.inference.requests import CloudRequest, check_all
from spa3d.runtime.file_hashes import FileHashes, hash_file
from spa3d.runtime.progress import Reporter
from spa3d.runtime.shards import Shard

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

    """

    root: Path | None = None
    batch_size: int = 16
    colors: Colors = "0-1"
    shard: Shard = field(default_factory=Shard)


@dataclass(frozen=True)
class LineResult:
    """Lines in a file.

    Attributes:
        path: the file of this process: that of the shard, if there are several.
        lines: number of its lines.
        new: how many of them this process made.
        missing: shards that are not done yet, as ``i/n``.
        whole: the file with the lines of all shards; None while some are missing.

    """

    path: Path
    lines: int
    new: int
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
        self.lines = self._lines(self.shard)

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
        return LineResult(self.lines.path, len(self.requests), new, missing, None if missing else self._join())

    def _work(self, work: Work, requests: Sequence[CloudRequest], what: str) -> None:
        with self.reporter.track(len(requests), what) as advance:
            for first in range(0, len(requests), self.batch_size):
                batch = requests[first : first + self.batch_size]
                self.lines.add(work(batch))
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


def check_clouds(requests: Sequence[CloudRequest], encoder: CloudEncoder, colors: Colors, reporter: Reporter) -> None:
    """Read every cloud once, and raise the errors of all bad ones together (`DataError`)."""
    first: dict[Path, CloudRequest] = {}
    for request in requests:
        if request.cloud is not None:
            first.setdefault(request.cloud, request)

    with reporter.track(len(first), "checking clouds") as advance:

        def check(request: CloudRequest) -> None:
            advance(1)
            if request.cloud is not None:
                with error_at(request.where):
                    encoder.check(request.cloud, colors=colors)

        check_all(first.values(), check, "bad clouds")


@contextmanager
def error_at(where: str) -> Iterator[None]:
    """Let a `DataError` raised inside begin with file and line."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
