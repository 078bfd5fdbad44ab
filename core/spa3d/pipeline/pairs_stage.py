"""Where a run gets its preference pairs from: the file it was given, or the making of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spa3d.artifacts.hashing import hash_files
from spa3d.contracts.dataset import Record, Round
from spa3d.contracts.objective import asks_for_pairs
from spa3d.data.preference_pairs import Pair, of_training, read_pairs, text_of, write_pairs
from spa3d.errors import DataError, OutputError, about
from spa3d.inference.predictor import Predictor
from spa3d.llm_clients.response_log import Ledger
from spa3d.model.special_tokens import reject_special_tokens, special_token_names
from spa3d.pipeline.base import Base
from spa3d.pipeline.parts import Assembly
from spa3d.preferences.generate import Commission, Pairs, commission, make_pairs
from spa3d.runtime.progress import Reporter

NAME = "pairs.jsonl"


@dataclass(frozen=True)
class Gathering:
    """The pairs of one run.

    Attributes:
        assembly: of the run.
        base: answers, where the mode is data augmentation.
        records: the training records that can be read.
        left_out: ids of those that cannot, and are skipped.
        reporter: where progress goes.

    """

    assembly: Assembly
    base: Base
    records: Sequence[Record]
    left_out: Collection[str]
    reporter: Reporter

    @property
    def wanted(self) -> bool:
        """Whether the objective trains on pairs."""
        return asks_for_pairs(self.assembly.objective.needs)

    def given(self) -> list[Pair]:
        """The pairs of ``--pairs.path``; raises `DataError` where they are none, or not fit for these records."""
        config = self.assembly.config
        pairs = read_pairs(Path(config.pairs.path))
        try:
            for pair in pairs:
                with about(pair.record_id):
                    texts = [Round(pair.question, answer) for answer in (pair.chosen, pair.rejected)]
                    reject_special_tokens(texts, special_token_names(config.llm))
            return of_training(pairs, self.records, left_out=self.left_out, dataset=config.dataset.asked)
        except DataError as fault:
            raise DataError(f"--pairs.path {config.pairs.path}: {fault}") from fault

    @cached_property
    def order(self) -> Commission:
        """What is asked where pairs are made; raises `ConfigError` where the mode lacks something."""
        return commission(self.assembly, self.base, self.records)

    def check(self) -> None:
        """Find what is wrong with the pairs before any work is done."""
        if self.wanted and self.assembly.config.pairs.path:
            self.given()
        elif self.wanted:
            Ledger(self.order.path)  # it says so if it is broken

    def into(self, output: Path, answerer: Callable[[], Predictor]) -> dict[str, Any]:
        """Read or make the pairs, keep a copy in `output`, and return what the passport says of them.

        Raises:
            OutputError: the run in `output` was begun with other pairs.
            DataError: no pair is left.

        """
        settings, told = self.assembly.config.pairs, {}
        if settings.path:
            self.reporter.stage("pairs", f"given: {settings.path}")
            kept: Sequence[Pair] = self.given()
        else:
            order = self.order
            self.reporter.stage("pairs", f"{len(order.requests)} requests, by {settings.mode}")
            found = make_pairs(self.assembly, order, answerer, self.reporter)
            kept, told = found.kept, {"asked": found.asked, "dropped": dict(found.dropped)}
        path = output / NAME
        if path.exists() and path.read_text(encoding="utf-8") != text_of(kept):
            raise OutputError(f"{path}: the run was begun with other pairs than these; choose another --output")
        write_pairs(path, kept)
        return {"hash": hash_files([path]), "kept": len(kept), **told}

    def alone(self, path: Path, answerer: Callable[[], Predictor]) -> Pairs:
        """Make the pairs and write them to `path`."""
        found = make_pairs(self.assembly, self.order, answerer, self.reporter)
        write_pairs(path, found.kept)
        return found
