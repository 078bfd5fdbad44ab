"""Makes the preference pairs of a run, or finds them made: by the model itself, or by a writer of wrong answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa3d.artifacts.hashing import digest, hash_folder, hash_sources
from spa3d.artifacts.sources import source_files
from spa3d.artifacts.workspace import bases_folder
from spa3d.config.stages import optimizer_steps
from spa3d.contracts.dataset import Record
from spa3d.data.preference_pairs import Pair
from spa3d.errors import ConfigError, DataError
from spa3d.inference.predictor import Predictor
from spa3d.llm_clients.response_log import Ledger
from spa3d.model.special_tokens import special_token_names
from spa3d.pipeline.base import Base
from spa3d.pipeline.caches import noise_mark
from spa3d.pipeline.parts import Assembly
from spa3d.preferences.augmentation import augmented
from spa3d.preferences.corruption import corrupted
from spa3d.preferences.requests import Request, draw_requests
from spa3d.preferences.writers.contract import Writer
from spa3d.preferences.writers.factory import make_writer
from spa3d.runtime.progress import Reporter

MARKED = "an answer holds a mark of the model's own"
UNANSWERED = "no answer came"
OTHERWISE = {
    "augmentation": "take --pairs.mode corruption or, if answers to noised clouds were right, a higher --noise.level",
    "corruption": "take another --pairs.writer or --pairs.llm, or --pairs.mode augmentation",
}
"""What to do where a mode gave no pair."""


@dataclass(frozen=True)
class Pairs:
    """The pairs of a run, and what became of the others.

    Attributes:
        kept: the pairs, in the order in which they were asked for.
        asked: number of requests.
        dropped: number of requests that gave no pair, by reason.

    """

    kept: Sequence[Pair]
    asked: int
    dropped: Mapping[str, int]

    def __str__(self) -> str:
        told = "; ".join(f"{count} dropped: {why}" for why, count in self.dropped.items())
        pairs = "1 pair" if len(self.kept) == 1 else f"{len(self.kept)} pairs"
        return f"{pairs} of {self.asked} requests" + (f"; {told}" if told else "")


@dataclass(frozen=True)
class Commission:
    """What is to be asked for the pairs of a run, and where the answers are kept.

    Attributes:
        requests: in order.
        path: the ledger that all runs share whose answers would be the same.
        made: how the pairs come about, as each of them tells.
        writer: who writes the wrong answers; None where the model itself does.

    """

    requests: Sequence[Request]
    path: Path
    made: Mapping[str, Any]
    writer: Writer | None

    @property
    def there(self) -> bool:
        """Whether every request is answered."""
        return not self.missing(Ledger(self.path))

    def missing(self, ledger: Ledger) -> list[Request]:
        """The requests that `ledger` does not answer."""
        return [one for one in self.requests if one.key not in ledger.outcomes]


def commission(assembly: Assembly, base: Base, records: Sequence[Record]) -> Commission:
    """What the run of `assembly` asks for pairs; ``--pairs.mode`` must be given.

    Args:
        assembly: of the run.
        base: the model that answers, for data augmentation.
        records: the training records.

    Raises:
        ConfigError: a setting that the mode needs is missing.

    """
    config, settings = assembly.config, assembly.config.pairs
    by_model = settings.mode == "augmentation"
    if by_model and config.blind:
        raise ConfigError("--pairs.mode augmentation: with --blind there is no cloud to be noised; take corruption")
    met = optimizer_steps(config.train, len(records)) * config.train.batch_size
    limit = settings.limit or min(met, len(records))
    requests = draw_requests(assembly.dataset, records, seed=config.seed, limit=limit, with_cloud=by_model)
    writer = None if by_model else _writer(assembly)
    decides = _of_model(assembly, base) if writer is None else _of_writer(assembly, writer)
    data = assembly.dataset.fingerprint()
    made: dict[str, Any] = {"mode": settings.mode, "dataset": config.dataset.asked, "data": data[:16]}
    if writer is None:
        noise = {"noise": config.noise.asked, "level": assembly.noise.level, "noise_settings": config.noise.config}
        made |= {"base": base.key, "chosen": settings.chosen, **noise}
    else:
        made["writer"] = writer.name
    made["seed"] = config.seed
    path = bases_folder() / ".pairs" / f"{settings.mode}-{digest([*decides, data])}.jsonl"
    return Commission(requests, path, made, writer)


def make_pairs(assembly: Assembly, order: Commission, answerer: Callable[[], Predictor], reporter: Reporter) -> Pairs:
    """The pairs of `order`; what its ledger does not answer yet is asked for, and each answer is kept at once.

    Args:
        assembly: of the run.
        order: what to ask.
        answerer: gives the base, if it is to be asked.
        reporter: where progress goes.

    Raises:
        DataError: no pair is left, or a text is too long for the model.

    """
    ledger = Ledger(order.path)
    if order.missing(ledger):
        with ledger.held(reporter.say):
            _ask(assembly, order, answerer, ledger=ledger, reporter=reporter)
    found = _kept(order, ledger, special_token_names(assembly.config.llm))
    if not found.kept:
        mode = order.made["mode"]
        raise DataError(f"--pairs.mode {mode}: {found}; nothing is left to train on: {OTHERWISE[mode]}")
    reporter.say(f"{found}; the answers are kept in {order.path}")
    return found


def _ask(
    assembly: Assembly, order: Commission, answerer: Callable[[], Predictor], *, ledger: Ledger, reporter: Reporter
) -> None:
    missing = order.missing(ledger)
    if not missing:
        return
    with reporter.track(len(missing), "pairs") as advance:
        if order.writer is not None:
            corrupted(order.writer, missing, ledger.add, advance)
        else:
            own = assembly.config.pairs.chosen == "model"
            augmented(answerer(), missing, ledger.add, advance, own_answers=own)


def _kept(order: Commission, ledger: Ledger, marks: Sequence[str]) -> Pairs:
    """The requests that gave a pair, and why the others did not."""
    kept, dropped = [], Counter[str]()
    for one in order.requests:
        found = ledger.outcomes.get(one.key)
        why_not = UNANSWERED if found is None else found.why_not
        if found is not None and any(mark in found.chosen + found.rejected for mark in marks):
            why_not = MARKED
        if found is None or why_not:
            dropped[why_not] += 1
            continue
        kept.append(Pair(one.record.id, one.question, found.chosen, found.rejected, one.has_cloud, order.made))
    return Pairs(kept, len(order.requests), dict(dropped.most_common()))


def _writer(assembly: Assembly) -> Writer:
    config, settings = assembly.config, assembly.config.pairs
    return make_writer(
        settings,
        dataset=assembly.dataset,
        seed=config.seed,
        device=assembly.device,
        batch_size=settings.batch_size,
    )


def _of_model(assembly: Assembly, base: Base) -> list[Any]:
    """What decides the base's answers."""
    config = assembly.config
    noise = [config.noise.model_dump(include={"component", "config"}), noise_mark(assembly)]
    code = hash_sources(source_files("spa3d.preferences.augmentation"))
    return [base.key, config.pairs.chosen, noise, config.seed, assembly.bf16, assembly.device.type, code]


def _of_writer(assembly: Assembly, writer: Writer) -> list[Any]:
    """What decides a writer's answers. Those of an endpoint are paid for: they outlive a change of seed or code."""
    settings = assembly.config.pairs
    if settings.writer == "endpoint":
        return [writer.name, settings.url]
    local = settings.writer == "model" and Path(settings.llm).is_dir()
    weights = hash_folder(Path(settings.llm)) if local else ""
    return [writer.name, assembly.config.seed, weights, hash_sources(source_files(type(writer).__module__))]
