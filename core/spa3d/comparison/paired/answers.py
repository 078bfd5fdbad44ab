"""Saved answers of one model: the predictions of a run or of an evaluation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from spa3d.artifacts.predictions import PredictionRow
from spa3d.errors import DataError
from spa3d.evaluation.scored_units import CLEAN
from spa3d.runtime.jsonl import read_values
from spa3d.runtime.paths import file_problem, folder_problem
from spa3d.runtime.text_files import read_text

Phase = Literal["after", "before"]
"""Whether a run's model answers as it is after post-training, or before it."""
PHASES: tuple[Phase, ...] = ("after", "before")
FILE = re.compile(r"(?P<name>.+?)(\.(?P<phase>before|after))?\.jsonl")
TEXTS = ("id", "record", "kind", "set", "view", "prompt", "answer", "text")
"""Keys of a row whose values are texts."""
SETS = ("test", "counterfactual", "flip")


@dataclass(frozen=True)
class AnswerSet:
    """Answers of one model.

    Attributes:
        path: the folder they were read from.
        phase: the phase of the run; empty if the folder has one phase only.
        rows: by benchmark, a row per question and view; a question that was answered several times has one row with
            the mean of its values.
        report: content of report.json; empty without one.
        samples: by benchmark, the largest number of answers to one question.

    """

    path: Path
    phase: str
    rows: Mapping[str, list[PredictionRow]]
    report: Mapping[str, Any] = field(default_factory=dict)
    samples: Mapping[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The folder, and the phase if it has two."""
        return f"{self.path} ({self.phase} post-training)" if self.phase else str(self.path)

    @property
    def saw_clouds(self) -> bool:
        """Whether a question was asked with its cloud."""
        return any(row["view"] == CLEAN for rows in self.rows.values() for row in rows)

    @property
    def is_evaluation(self) -> bool:
        """Whether the report is that of an evaluation: ``conditions`` instead of ``config``."""
        return "conditions" in self.report

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the run or of the evaluation; empty without a report."""
        return self._read_mapping("conditions" if self.is_evaluation else "config")

    @property
    def decoding(self) -> Mapping[str, Any]:
        """How answers were picked or written; empty if it was not recorded."""
        return self._read_mapping("decoding")

    @property
    def data(self) -> Any:
        """Fingerprint of the records and of the code that reads them; None if it was not recorded."""
        return self.settings.get("records") if self.is_evaluation else self._read_mapping("passport").get("data")

    @property
    def seeds(self) -> Mapping[str, Any]:
        """Seeds by name."""
        known = {"questions": self.settings["seed"]} if self.is_evaluation and "seed" in self.settings else {}
        seeds = self._read_mapping("passport").get("seeds")
        return seeds if isinstance(seeds, Mapping) else known

    def _read_mapping(self, key: str) -> Mapping[str, Any]:
        value = self.report.get(key)
        return value if isinstance(value, Mapping) else {}


def read_answers(path: Path | str, phase: Phase = "after") -> AnswerSet:
    """Read the answers in a folder.

    Args:
        path: folder of a run or of an evaluation, its report.json, or its folder of predictions.
        phase: which answers of a run to take; a folder with one phase gives that one.

    Raises:
        DataError: there are no answers, or a row is malformed; the message names file and line.

    """
    folder = Path(path)
    if folder.name == "report.json" or folder.name == "predictions":
        problem = file_problem(folder) if folder.name == "report.json" else folder_problem(folder)
        folder = folder.parent
    else:
        problem = folder_problem(folder)
    if problem:
        raise DataError(f"{path}: {problem}; give the folder of a run or of an evaluation, or its report.json")
    files, phases = _choose_files(folder, phase)
    if not files:
        raise DataError(
            f"{folder / 'predictions'}: has no answers (*.jsonl); a report alone cannot be paired by question"
        )
    report, rows, samples = _read_report(folder / "report.json"), {}, {}
    listed = report.get("benchmarks")
    for name in sorted(files, key=[*(listed if isinstance(listed, Mapping) else ()), *files].index):
        rows[name], samples[name] = _average_repeats(list(_read_rows(files[name])))
    several = phase if len(phases) > 1 else "".join(phases)
    return AnswerSet(folder, several, rows, report, samples)


def _choose_files(folder: Path, phase: Phase) -> tuple[dict[str, Path], set[str]]:
    """Choose one file per benchmark; returns them, and the phases that the folder has."""
    by_phase: dict[str, dict[str, Path]] = {}
    for file in sorted((folder / "predictions").glob("*.jsonl")):
        match = FILE.fullmatch(file.name)
        if match and file.stat().st_size:
            by_phase.setdefault(match["name"], {})[match["phase"] or ""] = file
    phases = {each for files in by_phase.values() for each in files if each}
    order = (phase, "", *(each for each in PHASES if each != phase))
    lacking = sorted(name for name, files in by_phase.items() if len(phases) > 1 and not {phase, ""} & files.keys())
    if lacking:
        raise DataError(f"{folder / 'predictions'}: has no answers {phase} post-training to {', '.join(lacking)}")
    return {name: next(files[each] for each in order if each in files) for name, files in by_phase.items()}, phases


def _read_report(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    try:
        report = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not isinstance(report, Mapping):
        raise DataError(f"{path}: is no report of spa3d")
    return report


def _read_rows(path: Path) -> Iterator[PredictionRow]:
    """Read and check the rows of a file."""
    for line, row in read_values(path):
        problem = _describe_problem(row)
        if problem:
            raise DataError(f"{line.where}: is no answer of a run or an evaluation: {problem}")
        yield row


def _describe_problem(row: object) -> str:
    """Describe what a row lacks; empty if it can be compared."""
    if not isinstance(row, dict):
        return "expected an object"
    wrong = [name for name in TEXTS if not isinstance(row.get(name), str)]
    if wrong:
        return f"{wrong[0]!r} is {'missing' if wrong[0] not in row else 'no text'}"
    shares = [name for name in ("value", "chance") if not _is_share(row.get(name))]
    if shares:
        return f"{shares[0]!r} is {row.get(shares[0])!r}, expected a number from 0 to 1"
    if not isinstance(row.get("valid"), bool) and not _is_share(row.get("valid")):
        return f"'valid' is {row.get('valid')!r}, expected true or false"
    if not isinstance(row.get("options"), list | None):
        return f"'options' is {row.get('options')!r:.80}, expected a list or null"
    if not isinstance(row.get("group", ""), str):
        return f"'group' is {row['group']!r}, expected a name"
    if row["set"] == "flip" and not isinstance(row.get("pair"), str):
        return f"'pair' is {row.get('pair')!r}, expected the name of a minimal pair"
    return "" if row["set"] in SETS else f"'set' is {row['set']!r}, expected one of {', '.join(SETS)}"


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _average_repeats(rows: list[PredictionRow]) -> tuple[list[PredictionRow], int]:
    """Merge several rows of a question into one with their mean value.

    Returns the rows, and the largest number of answers to one question; an evaluation lists them under ``samples``.
    """
    repeats: dict[tuple[str, str, str], list[PredictionRow]] = {}
    for row in rows:
        repeats.setdefault((row["set"], row["view"], row["id"]), []).append(row)
    merged = [several[0] if len(several) == 1 else _average(several) for several in repeats.values()]
    drawn = [len(row["samples"]) for row in rows if isinstance(row.get("samples"), list)]
    return merged, max([*map(len, repeats.values()), *drawn], default=0)


def _average(rows: list[PredictionRow]) -> PredictionRow:
    means = {name: sum(float(row[name]) for row in rows) / len(rows) for name in ("value", "valid")}
    return rows[0] | means
