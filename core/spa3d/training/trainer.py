"""Trainers on top of transformers' Trainer, with our order of samples and our loss."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.contracts.objective import Objective, Score, Scores, Term
from spa3d.errors import DivergenceError
from spa3d.inference.samples import Sample
from spa3d.inference.scoring import score
from spa3d.inference.views import Views
from spa3d.model.adapters import has_adapters, trained_state
from spa3d.runtime.progress import Advance
from spa3d.training.arguments import TrainingJob, as_batch, training_arguments
from spa3d.training.dataset import TrainingDataset
from spa3d.training.loss import Counts, check_terms, count_units, total
from spa3d.training.preference_metrics import Mean, level_metrics, mean_metrics, preference_metrics
from spa3d.training.reference import Key, Reference, check_matches_policy


class StageTrainer(Trainer):
    """Trainer with a loss normalized over the whole optimizer step, for any split into batches.

    Subclasses define the counts of a step (`count`) and its loss (`loss`); both get the samples before collation.
    """

    def __init__(self, job: TrainingJob, *, model: nn.Module, samples: TrainingDataset[Any]) -> None:
        arguments = training_arguments(job)
        # Only an encoder has parameters that a step may not use: other heads, or all of them in a text-only batch.
        # If no encoder trains, DDP need not search for unused parameters after every forward.
        arguments.ddp_find_unused_parameters = "encoder" in getattr(model, "trained", ("encoder",))
        super().__init__(model=model, args=arguments, data_collator=as_batch, train_dataset=samples)
        self.job, self.samples = job, samples
        # The loss is divided by counts of the whole step here, so the Trainer must not divide it again.
        self.model_accepts_loss_kwargs = True
        self.seen: list[dict[str, Mean]] = []
        self.losses: list[Tensor] = []
        for quiet in (PrinterCallback, ProgressCallback):
            self.remove_callback(quiet)

    def log_metrics(self) -> dict[str, Any]:
        """Metrics of the latest step over all ranks, each of which must call this."""
        return mean_metrics(gather_object(self.seen))

    def count(self, batches: Sequence[Any]) -> Counts:
        """Count the units of this step on this rank; they divide the loss."""
        return {"sequence": float(sum(len(batch["samples"]) for batch in batches))}

    def loss(self, model: nn.Module, batch: Any, counts: Counts) -> Tensor:
        """The loss of one micro-batch, already divided by the counts of the step."""
        raise TypeError(f"{type(self).__name__} does not say what its loss is")

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Hook of transformers: the usual optimizer, with one group per learning rate of a part."""
        optimizer = super().create_optimizer(model)
        whole: Any = self.model
        parts = {parameter: part_of(name) for name, parameter in whole.named_parameters()}
        groups = []
        for group in optimizer.param_groups:
            for part in ("encoder", "projector", "llm"):
                members = [parameter for parameter in group["params"] if parts[parameter] == part]
                # If the LLM and adapters do not train, only the embeddings of the point tokens do.
                through = {"llm", "adapters"} & {*getattr(self.model, "trained", ())}
                own = "embeddings" if part == "llm" and not through else part
                rate = getattr(self.job.settings.rates, own) or group["lr"]
                if members:
                    groups.append({**group, "params": members, "lr": rate})
        optimizer.param_groups[:] = groups
        self._keep_frozen_rows(optimizer)
        return optimizer

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Transformers' hook: weight decay reaches matrices only, no biases, scales or tokens."""
        shapes = {name: parameter.shape for name, parameter in model.named_parameters(remove_duplicate=False)}
        names: list[str] = super().get_decay_parameter_names(model)
        return [name for name in names if sum(size > 1 for size in shapes[name]) > 1]

    def _keep_frozen_rows(self, optimizer: torch.optim.Optimizer) -> None:
        """Restore frozen embeddings after each step: weight decay and momentum move them."""
        model: Any = self.model
        rows: Tensor | None = getattr(model, "trained_rows", None)
        if rows is None:
            return
        weight, before = model.get_input_embeddings().weight, list[Tensor]()

        def remember(*_: object) -> None:
            before[:] = [weight.detach().clone()]

        def restore(*_: object) -> None:
            with torch.no_grad():
                weight.copy_(torch.where(rows, weight, before.pop()))

        optimizer.register_step_pre_hook(remember)
        optimizer.register_step_post_hook(restore)

    def get_batch_samples(
        self, epoch_iterator: Iterable[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """Hook of transformers: fetch the micro-batches of a step, count units over all ranks.

        The loss of the step before travels with the counts, so that all ranks see at once when it is not finite.
        """
        batches = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        self.seen = []
        counts = self.count(batches)
        values = torch.tensor([*counts.values(), 0.0], device=device)
        if self.losses:
            values[-1] = torch.stack(self.losses).sum()
        self.losses = []
        *units, loss = self.accelerator.reduce(values, reduction="sum").tolist()
        if not math.isfinite(loss):
            raise DivergenceError(f"{self.job.stage} diverged: the loss of step {self.state.global_step} is {loss}")
        return batches, dict(zip(counts, units, strict=True))

    def compute_loss(
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Hook of transformers: loss of a micro-batch.

        Ranks average their gradients, so each multiplies its share by their number.
        """
        loss = self.loss(model, inputs, num_items_in_batch) * self.accelerator.num_processes
        self.losses.append(loss.detach())
        return (loss, {}) if return_outputs else loss

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Hook of transformers: with adapters, a checkpoint has the trained weights only.

        The base from which it resumes has the others.

        Read back, it is loaded into the model without strictness. Sharded training gathers a state of its own.
        """
        model: Any = self.model
        if state_dict is None and has_adapters(model):
            state_dict = trained_state(model)
        super()._save(output_dir, state_dict)


def part_of(name: str) -> str:
    """Part of a 3D LLM with the named parameter; heads of encoder pretraining count as encoder."""
    return {"projector": "projector", "language_model": "llm"}.get(
        name.removeprefix("module.").split(".")[0], "encoder"
    )


class ObjectiveTrainer(StageTrainer):
    """Trainer of a 3D LLM with an objective over views."""

    def __init__(
        self,
        job: TrainingJob,
        *,
        samples: TrainingDataset[Any],
        objective: Objective,
        views: Views,
        reference: Reference | None = None,
    ) -> None:
        super().__init__(job, model=views.model, samples=samples)
        self.objective: Objective = objective
        self.views: Views = views
        self.reference: Reference | None = reference
        self.step_terms: dict[str, float] = {}

    def log_metrics(self) -> dict[str, Any]:
        """Metrics of the step, and with several terms the loss of each, over all ranks."""
        ranks = gather_object([self.step_terms])
        terms = {name: sum(rank[name] for rank in ranks) for name in self.step_terms}
        return super().log_metrics() | ({"terms": terms} if terms else {})

    def count(self, batches: Sequence[Any]) -> Counts:
        """Count answer tokens and sequences; resets the sums of the terms for the new step."""
        self.step_terms = {}
        return count_units([batch["samples"] for batch in batches], self.objective.needs, self.views)

    def loss(self, model: nn.Module, batch: Any, counts: Counts) -> Tensor:
        """Score the needs of the objective, and sum its terms."""
        samples: Sequence[Sample] = batch["samples"]
        known = self._reference_scores(model, samples)  # before the policy's forward, so that its backward follows it
        policy = [need for need in self.objective.needs if need.model == "policy"]
        scored = score(model, policy, samples, self.views)
        scores = Scores({**scored.scores, **known})
        self.seen.append(preference_metrics(scores, self.views.negatives) | level_metrics(scored.levels))
        terms = self.objective.terms(scores)
        check_terms(self.objective, terms, scores, [sample.record_id for sample in samples])
        if len(terms) > 1:  # one is the loss itself, which the Trainer logs
            self._add_terms(terms, counts)
        return total(terms, counts)

    def _add_terms(self, terms: Sequence[Term], counts: Counts) -> None:
        """Sum this process's share of the terms over the step."""
        for term in terms:
            share = float(total([term], counts).detach())
            self.step_terms[term.name] = self.step_terms.get(term.name, 0.0) + share

    def _reference_scores(self, model: nn.Module, samples: Sequence[Sample]) -> Mapping[Key, Score]:
        """Scores of the reference model; before the first step they must equal the policy's."""
        needs = [need for need in self.objective.needs if need.model == "reference"]
        if self.reference is None or not needs:
            return {}
        known = self.reference.scores(needs, samples)
        if self.state.global_step == 0 and not self.seen:
            was = model.training
            model.eval()
            with torch.no_grad():
                mine = [replace(need, model="policy", grad=False) for need in needs]
                ours = score(model, mine, samples, self.views).scores
            model.train(was)
            check_matches_policy(ours, known, bf16=self.args.bf16)
        return known


class MetricsCallback(TrainerCallback):
    """Callback that writes the metrics log and moves the progress bar."""

    def __init__(self, trainer: StageTrainer, metrics_log: MetricsLog, advance: Advance) -> None:
        self.trainer, self.metrics_log, self.advance = trainer, metrics_log, advance
        self.noted = 0

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Advance the progress bar by one optimizer step."""
        self.advance(1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write a line to the metrics log, and one per newly cut answer; no final summary."""
        logs, stage = logs or {}, self.trainer.job.stage
        lines = list(self.trainer.samples.cut.values())
        for line in lines[self.noted :]:
            self.metrics_log.write(stage=stage, step=state.global_step, note=line)
        self.noted = len(lines)
        if "loss" not in logs:
            return
        metrics = self.trainer.log_metrics()  # of all ranks
        if state.is_world_process_zero:
            self.metrics_log.write(
                stage=stage,
                step=state.global_step,
                loss=logs["loss"],
                learning_rate=logs.get("learning_rate"),
                grad_norm=logs.get("grad_norm"),
                **metrics,
            )
