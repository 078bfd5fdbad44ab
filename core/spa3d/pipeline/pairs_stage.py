"""Preference pairs of a run, read from a file or generated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spa3d.config.settings import PairsSettings
from spa3d.config.stages import optimizer_steps
from spa3d.contracts.dataset import Round
from spa3d.contracts.objective import asks_for_pairs
from spa3d.data.preference_pairs import Pair, format_pairs, read_pairs, select_pairs, write_pairs
from spa3d.errors import ConfigError, DataError, OutputError, error_context
from spa3d.inference.predictor import Predictor
from spa3d.model.llm import check_causal_lm, load_causal_lm
from spa3d.model.special_tokens import reject_special_tokens
from spa3d.pipeline.base import Base
from spa3d.pipeline.caches import Caches
from spa3d.pipeline.data_checks import RunData
from spa3d.pipeline.fingerprints import augmentation_fingerprint, rewriting_fingerprint
from spa3d.pipeline.parts import Parts
from spa3d.pipeline.post_train import PostTrainingRecipe
from spa3d.preferences.generate import GenerationPlan, Pairs, make_pairs
from spa3d.preferences.requests import draw_requests
from spa3d.preferences.writers.factory import make_writer
from spa3d.preferences.writers.local import SETTING
from spa3d.runtime.progress import Reporter

NAME = "pairs.jsonl"


@dataclass(frozen=True)
class PairSource:
    """Source of the preference pairs of a run: a file, or a generation plan.

    Attributes:
        settings: of the pairs.
        recipe: of the post-training.
        parts: components of the run.
        caches: of the run.
        base: generates answers in the mode ``augmentation``.
        data: the usable records.
        reporter: where progress goes.

    """

    settings: PairsSettings
    recipe: PostTrainingRecipe
    parts: Parts
    caches: Caches
    base: Base
    data: RunData
    reporter: Reporter

    @property
    def is_needed(self) -> bool:
        """Whether the objective trains on pairs."""
        return asks_for_pairs(self.parts.objective.needs)

    def load(self) -> list[Pair]:
        """Read the pairs of ``--pairs.path``; `DataError` if they are invalid for these records."""
        path, left_out = self.settings.path, self.data.left_out.get("train", frozenset())
        pairs = read_pairs(Path(path))
        try:
            for pair in pairs:
                with error_context(pair.record_id):
                    texts = [Round(pair.question, answer) for answer in (pair.chosen, pair.rejected)]
                    reject_special_tokens(texts, self.parts.special_tokens)
            records, dataset = self.data.split("train"), self.parts.names["dataset"]
            return select_pairs(pairs, records, left_out=left_out, dataset=dataset)
        except DataError as error:
            raise DataError(f"--pairs.path {path}: {error}") from error

    @cached_property
    def plan(self) -> GenerationPlan:
        """The plan to generate the pairs; raises `ConfigError` if a needed setting is missing."""
        settings, recipe, records = self.settings, self.recipe, self.data.split("train")
        dataset, execution = self.parts.dataset, self.caches.execution
        by_model = settings.mode == "augmentation"
        if by_model and recipe.blind:
            raise ConfigError("--pairs.mode augmentation: with --blind there is no cloud to be noised; take corruption")
        samples = optimizer_steps(recipe.train, len(records)) * recipe.train.batch_size
        limit = settings.limit or min(samples, len(records))
        requests = draw_requests(dataset, records, seed=recipe.seed, limit=limit, with_cloud=by_model)
        data = self.caches.fingerprints.data
        provenance: dict[str, Any] = {"mode": settings.mode, "dataset": self.parts.names["dataset"], "data": data[:16]}
        if by_model:
            noise = self.parts.noise
            provenance |= {"base": self.base.key, "chosen": settings.chosen, "noise": self.parts.names["noise"]}
            provenance |= {
                "level": noise.level,
                "noise_settings": noise.config.model_dump(mode="json"),
                "seed": recipe.seed,
            }
            decisive = augmentation_fingerprint(self.parts, execution, self.caches.fingerprints, provenance)
            return GenerationPlan(requests, execution.workspace.pairs(settings.mode, decisive), provenance, None)
        writer = make_writer(settings, dataset=dataset, seed=recipe.seed, device=execution.device)
        provenance |= {"writer": writer.name, "seed": recipe.seed}
        if settings.writer == "model":
            check_causal_lm(settings.llm, **SETTING)
        decisive = rewriting_fingerprint(writer, settings, execution, self.caches.fingerprints, seed=recipe.seed)
        return GenerationPlan(requests, execution.workspace.pairs(settings.mode, decisive), provenance, writer)

    @property
    def done(self) -> bool:
        """Whether pairs come from a file, or every request has a response."""
        return bool(self.settings.path) or self.plan.is_complete

    @property
    def detail(self) -> str:
        """One line for the plan of a run."""
        if self.settings.path:
            return f"{len(self.load())} given in {self.settings.path}"
        return f"{len(self.plan.requests)} requests, by {self.settings.mode}, in {self.plan.path}"

    def check(self) -> None:
        """Raise the errors of the pairs before any work is done."""
        if self.is_needed and self.settings.path:
            self.load()
        elif self.is_needed and not self.plan.is_complete and self.settings.writer == "model" and self.plan.writer:
            load_causal_lm(self.settings.llm, **SETTING)  # it is needed much later

    def collect(self, output: Path, predictor: Callable[[], Predictor]) -> dict[str, Any]:
        """Read or make the pairs, copy them to `output`, and return their passport entries.

        Raises:
            OutputError: the run in `output` began with other pairs.
            DataError: no usable pair is left.

        """
        counts = dict[str, Any]()
        if self.settings.path:
            self.reporter.stage("pairs", f"given: {self.settings.path}")
            kept: Sequence[Pair] = self.load()
        else:
            self.reporter.stage("pairs", f"{len(self.plan.requests)} requests, by {self.settings.mode}")
            pairs = self._make(predictor)
            kept, counts = pairs.kept, {"requested": pairs.requested, "dropped": dict(pairs.dropped)}
        path = output / NAME
        if path.exists() and path.read_text(encoding="utf-8") != format_pairs(kept):
            raise OutputError(f"{path}: the run was begun with other pairs than these; choose another --output")
        write_pairs(path, kept)
        return {"hash": self.caches.execution.workspace.hash_files([path]), "kept": len(kept), **counts}

    def generate_to(self, path: Path, predictor: Callable[[], Predictor]) -> Pairs:
        """Make the pairs and write them to `path`."""
        pairs = self._make(predictor)
        write_pairs(path, pairs.kept)
        return pairs

    def _make(self, predictor: Callable[[], Predictor]) -> Pairs:
        return make_pairs(
            self.plan,
            predictor,
            own_answers=self.settings.chosen == "model",
            special_tokens=self.parts.special_tokens,
            reporter=self.reporter,
        )
