"""What is evaluated on what, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from spa3d.contracts.benchmark import Benchmark
from spa3d.contracts.dataset import Dataset
from spa3d.contracts.noise import Noise
from spa3d.errors import ConfigError
from spa3d.evaluation.scored_units import BLIND
from spa3d.inference.generation import Decoding
from spa3d.inference.predictor import GREEDY
from spa3d.inference.views import View, ViewEncoder
from spa3d.runtime.shards import Shard

ViewMaker = Callable[[ViewEncoder], View]
"""Function that makes a view of a model; also a view class without further arguments."""


@dataclass(frozen=True)
class EvaluationSettings:
    """Settings of an evaluation: questions, batches, decoding, intervals.

    Attributes:
        split: the evaluated split.
        limit: most questions per benchmark and subset; 0: all.
        seed: seed of questions, noise and resampling.
        batch_size: questions per forward.
        bf16: run a model in memory under bfloat16 autocast; a `ModelSource` says it with its dtype.
        bootstrap: resamples behind each interval.
        decoding: of free answers; its contrast also scores options.
        samples: answers drawn per question, with a temperature.
        cache: keep the answers of a saved model in the workspace, and use those that are there.
        cache_limit_gb: size at which the kept tokens of its encoder stop growing.
        calibration: whether the report has the calibration of options.
        blind_run: folder of a finished run with ``--blind`` on the same questions; its answers join the text floor.
        shard: the part of the questions that this process asks.

    """

    split: str = "test"
    limit: int = 0
    seed: int = 0
    batch_size: int = 64
    bf16: bool = False
    bootstrap: int = 2000
    decoding: Decoding = GREEDY
    samples: int = 1
    cache: bool = True
    cache_limit_gb: float = 20.0
    calibration: bool = False
    blind_run: str = ""
    shard: Shard = field(default_factory=Shard)

    def check(self) -> None:
        """Raise `ConfigError` for settings that do not go together."""
        if self.samples > 1 and not self.decoding.temperature:
            raise ConfigError(f"samples: {self.samples} greedy answers would be equal; give a temperature above 0")
        if self.samples < 1 or self.batch_size < 1 or self.limit < 0:
            raise ConfigError("samples and batch_size are at least 1, limit is at least 0")


@dataclass(frozen=True)
class EvaluationContent:
    """What is evaluated: questions about a dataset, under views.

    Attributes:
        benchmarks: by name.
        dataset: that the questions are about.
        dataset_name: its name.
        views: names of views, or functions that make them.
        noise: of the view ``noised`` and of contrastive decoding.
        noise_name: its name.

    """

    benchmarks: Mapping[str, Benchmark]
    dataset: Dataset
    dataset_name: str
    views: tuple[str | ViewMaker, ...]
    noise: Noise | None = None
    noise_name: str = ""

    @property
    def shows_clouds(self) -> bool:
        """Whether any view shows a cloud."""
        return any(view != BLIND for view in self.views)

    def describe(self, settings: EvaluationSettings) -> dict[str, Any]:
        """Everything that decides answers and scores, except the model and the files of the data."""
        decoding, contrast = asdict(settings.decoding), settings.decoding.contrast
        return {
            "dataset": _describe(self.dataset_name, self.dataset),
            "benchmarks": {name: _describe(name, each) for name, each in self.benchmarks.items()},
            "views": [view if isinstance(view, str) else getattr(view, "__name__", "view") for view in self.views],
            "noise": _describe(self.noise_name, self.noise) if self.noise else None,
            "split": settings.split,
            "limit": settings.limit,
            "seed": settings.seed,
            "decoding": {**decoding, "contrast": asdict(contrast) if contrast else None},
            "samples": settings.samples,
            "bootstrap": settings.bootstrap,
            "on_bad_data": self.dataset.on_bad_data,
            "calibration": settings.calibration,
            "blind_run": settings.blind_run,
        }


def _describe(name: str, component: Any) -> dict[str, Any]:
    return {"requested": name, "config": component.config.model_dump(mode="json")}
