"""Request to build questions: its settings, and their check before slow imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spa3d.artifacts.run_folder import refuse_unwritable
from spa3d.data.question_sources import OBJECT
from spa3d.errors import ConfigError, OutputError, describe_unknown
from spa3d.evaluation.question_builder.contract import CATEGORIES, PRESETS

if TYPE_CHECKING:
    from spa3d.llm_clients.endpoint import Patience

WriterName = Literal["rule", "local", "endpoint"]


@dataclass(frozen=True)
class WriterChoice:
    """Who writes, or who checks.

    Attributes:
        name: ``rule``, ``local`` (a causal LM on this machine) or ``endpoint`` (OpenAI-compatible).
        llm: folder or hub name of the LM of ``local``.
        url: base URL of ``endpoint``; its key is read from ``OPENAI_API_KEY``.
        model: the endpoint's name of the model.
        prefix: what the flags of this choice begin with, for error messages.

    """

    name: WriterName = "rule"
    llm: str = ""
    url: str = ""
    model: str = ""
    prefix: str = "--"

    def check(self) -> list[str]:
        """List what is missing or has no meaning."""
        flag = f"{'--writer' if self.prefix == '--' else '--checker'} {self.name}"
        needs = {"rule": (), "local": ("llm",), "endpoint": ("url", "model")}[self.name]
        missing = [f"{flag} needs {self.prefix}{key}" for key in needs if not getattr(self, key)]
        idle = [key for key in ("llm", "url", "model") if getattr(self, key) and key not in needs]
        return missing + [f"{self.prefix}{key}: no effect with {flag}; leave it out" for key in idle]


@dataclass(frozen=True)
class BuildSettings:
    """Settings of a build.

    Attributes:
        counts: wanted questions by category; the default is 3DCQA's.
        split: of the dataset.
        level: ``object`` or ``scene``: what the records of the dataset are.
        writer: who writes.
        checker: who checks that the caption tells the answer; None: the writer.
        attempts: most requests per wanted question of a writer that is no rule.
        blind: let an LLM that checks guess each answer without the caption, too.
        seed: of all draws.
        device: of a local LM.
        batch_size: replies of a local LM generated at once.
        patience: retries of an endpoint.

    """

    counts: Mapping[str, int] = field(default_factory=lambda: PRESETS["3dcqa"])
    split: str = "test"
    level: str = OBJECT
    writer: WriterChoice = WriterChoice()
    checker: WriterChoice | None = None
    attempts: int = 3
    blind: bool = False
    seed: int = 0
    device: str = "auto"
    batch_size: int = 16
    patience: Patience | None = None


def check_build_request(settings: BuildSettings, path: Path | None, *, has_source: bool) -> None:
    """Refuse settings that make no questions, and an output that cannot be written.

    Raises:
        ConfigError: settings are missing, unknown or contradict each other.
        OutputError: `path` exists, is a folder, or its folder does not exist.

    """
    errors = [describe_unknown("category", name, CATEGORIES) for name in settings.counts if name not in CATEGORIES]
    errors += [*settings.writer.check(), *(settings.checker.check() if settings.checker else ())]
    if not sum(settings.counts.values()):
        errors.append("no question is wanted: every category has the number 0")
    if settings.blind and (settings.checker or settings.writer).name == "rule":
        errors.append("--blind-check: a rule cannot guess; take --checker local or --checker endpoint")
    if not has_source:
        errors.append("nothing to make questions from: give --source FILE, or --dataset NAME")
    if errors:
        raise ConfigError(errors)
    if path is None:
        return
    refuse_unwritable(path, "")
    if path.is_dir():
        raise OutputError(f"{path}: a folder; name the file to write, such as {path / 'questions.jsonl'}")
    if path.exists():
        raise OutputError(f"{path}: there is one already; name another file, or delete it")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it first")
