"""Writes the report of a run that ended, or that diverged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.artifacts.run_folder import drop_checkpoints, extend_passport
from spa3d.config.settings import RunConfig
from spa3d.model.processing import Spa3dProcessor
from spa3d.pipeline.caches import Caches
from spa3d.pipeline.data_checks import RunData
from spa3d.pipeline.evaluate_stage import choose_decoding
from spa3d.report import Document, ReportData, build_document, write_model_card, write_report
from spa3d.report.document import RowsByBenchmark
from spa3d.report.examples import select_examples


@dataclass(frozen=True)
class RunReport:
    """The report of a run.

    Attributes:
        config: of the run.
        caches: of the run.
        data: its usable records.
        output: its folder.
        timing: seconds per stage; the run adds to it.

    """

    config: RunConfig
    caches: Caches
    data: RunData
    output: Path
    timing: Mapping[str, float]

    def write(self, rows: RowsByBenchmark, processor: Spa3dProcessor, *, shown: str, notes: Sequence[str] = ()) -> None:
        """Write the report of a finished run.

        Args:
            rows: prediction rows of every benchmark.
            processor: prepares the clouds of the examples.
            shown: the benchmark of the examples.
            notes: sentences about what the report lacks.

        """
        document = self._document(rows, notes=notes)
        clouds, noise = self.caches.clouds(processor), self.caches.parts.noise
        write_model_card(self.output / "model", document)
        write_report(self.output, document, select_examples(*rows[shown], clouds, noise, seed=self.config.seed))
        if not self.config.train.keep_checkpoints:
            drop_checkpoints(self.output)

    def write_diverged(self, rows: RowsByBenchmark, reason: str) -> None:
        """Write the report of a run that diverged, with what was measured before."""
        write_report(self.output, self._document(rows, status="diverged", reason=reason), ())

    def _document(self, rows: RowsByBenchmark, **state: Any) -> Document:
        config, dataset = self.config, self.caches.parts.dataset
        metrics = MetricsLog(self.output / "metrics.jsonl").rows()
        data = ReportData(
            config=config.model_dump(mode="json"),
            passport=extend_passport(self.output),
            data={
                "dataset": self.caches.parts.names["dataset"],
                "splits": {name: len(records) for name, records in self.data.splits.items()},
                "skipped": list(dataset.skip_log.lines),
                "notes": [*dataset.skip_log.notes, *dict.fromkeys(row["note"] for row in metrics if "note" in row)],
                "up_axis": dataset.up_axis,
            },
            rows=rows,
            decoding=choose_decoding(config.evaluate).description,
            metrics=metrics,
            timing=self.timing,
            **state,
        )
        evaluate = config.evaluate
        return build_document(data, bootstrap=evaluate.bootstrap, seed=evaluate.seed, calibration=evaluate.calibration)
