"""Reference model: all ways give the same scores and steps, and it never changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from spa3d.config.settings import LoRASettings, StageSettings, TrainSettings
from spa3d.contracts.objective import Need, Score, Scores
from spa3d.data.preference_pairs import Pair
from spa3d.errors import CheckpointError, ConfigError
from spa3d.inference.samples import Sample
from spa3d.inference.scoring import score
from spa3d.inference.views import ViewEncoder, Views, built_in_views
from spa3d.model import adapters
from spa3d.pipeline.reference import ReferenceRequest, make_reference
from spa3d.registry.create import create
from spa3d.runtime.progress import SilentReporter
from spa3d.runtime.row_store import RowStore
from spa3d.training.arguments import TrainingJob
from spa3d.training.dataset import TrainingDataset
from spa3d.training.examples import preference_example, required_texts, tokenize_example
from spa3d.training.loss import count_units, total
from spa3d.training.preference_metrics import mean_metrics, preference_metrics
from spa3d.training.reference import LiveReference, PrecomputedReference, check_matches_policy
from spa3d.training.trainer import ObjectiveTrainer

PAIR = (Need("chosen", "clean"), Need("rejected", "clean"))
NOISED = Need("chosen", "noised")
BLIND = Need("rejected", "blind")
LORA = LoRASettings(rank=4, alpha=8.0)
WITH_DROPOUT = LoRASettings(rank=4, alpha=8.0, dropout=0.3)


def reference_of(*needs: Need) -> list[Need]:
    return [replace(need, model="reference", grad=False) for need in needs]


@dataclass
class World:
    """The toy model, with eight preference pairs of it as samples."""

    model: Any
    views: Views
    samples: TrainingDataset[Pair]
    make: Callable[[], Any]
    folder: Path

    @property
    def batch(self) -> list[Sample]:
        return [self.samples[index] for index in range(8)]

    def precompute(self, *needs: Need, name: str = "rows") -> PrecomputedReference:
        """Scores of all samples, computed five at a time."""
        result = PrecomputedReference(RowStore(self.folder / name, (1,)), self.views)
        met = (self.samples[index] for index in range(len(self.samples)))
        result.fill(
            met, reference_of(*needs), LiveReference(self.views, bf16=False), batch_size=5, advance=lambda _: None
        )
        return result

    def copy_model(self) -> LiveReference:
        """A second model of the same weights."""
        model = self.make()[0]
        model.set_trained()
        return LiveReference(views_of(model, self.views.encoder.clouds), bf16=False)


def views_of(model: Any, clouds: Any) -> Views:
    noise = create("noise", "mask", level=0.5, patches=4, patch_size=8)
    return built_in_views(ViewEncoder(model, clouds), noise=noise, seed=3)


@pytest.fixture
def world(toy: Any, toy_dataset: Any, tmp_path: Path) -> World:
    model, processor, clouds = toy()
    model.set_trained("projector", "llm")
    answers = ("left", "right", "It is on the right, I am quite sure of that.")
    pairs = [
        Pair(f"train-{index}", "Which side?", answers[index % 2], answers[2 - index % 2], has_cloud=index != 5)
        for index in range(8)
    ]
    views = views_of(model, clouds)
    text = tokenize_example(processor, preference_example, required_texts((*PAIR, BLIND), views))
    return World(model, views, TrainingDataset(pairs, 24, 0, text), toy, tmp_path)


@pytest.mark.parametrize("way", ["precomputed", "copied"])
def test_before_training_the_reference_is_the_policy_at_every_token(world: World, way: str) -> None:
    needs = (*PAIR, NOISED, BLIND)
    reference = world.precompute(*needs) if way == "precomputed" else world.copy_model()
    for batch in (world.batch, world.batch[2:3]):
        known = reference.scores(reference_of(*needs), batch)
        policy = score(world.model.eval(), needs, batch, world.views).scores
        for need in needs:
            mine, theirs = policy[need.key], known[need.text, need.view, "reference"]
            assert theirs.length.tolist() == mine.length.tolist()
            there = [sample.tokens(need.text, world.views[need.view]) is not None for sample in batch]
            assert theirs.present.tolist() == there
            assert need.view == "noised" or all(there)
            torch.testing.assert_close(theirs.logp, mine.logp, atol=1e-5, rtol=1e-6)
            ours = mine.token_logp[mine.answer_mask], mine.round_index[mine.answer_mask]
            for kept, result in zip((theirs.token_logp, theirs.round_index), ours, strict=True):
                torch.testing.assert_close(kept[theirs.answer_mask], result, atol=1e-5, rtol=0)
        check_matches_policy(policy, known, bf16=False)


@pytest.mark.parametrize("way", ["precomputed", "copied"])
def test_a_reference_has_no_gradient_and_leaves_the_policy_as_it_was(world: World, way: str) -> None:
    reference = world.precompute(*PAIR) if way == "precomputed" else world.copy_model()
    world.model.train()
    reference_needs = [replace(need, grad=True) for need in reference_of(*PAIR)]
    for result in reference.scores(reference_needs, world.batch).values():
        assert not result.token_logp.requires_grad
    assert world.model.language_model.training
    assert not world.model.encoder.training


def train_steps(world: World, reference: Any, folder: Path) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Loss of three steps of DPO in two micro-batches each, and the weights after them."""
    settings = StageSettings(batch_size=8, accumulation=2, learning_rate=1e-2, log_every=1)
    job = TrainingJob("test", settings, steps=3, folder=folder, seed=0, device=torch.device("cpu"))
    dpo = create("objective", "dpo", beta=0.5)
    made = ObjectiveTrainer(job, samples=world.samples, objective=dpo, views=world.views, reference=reference)
    made.train()
    losses = [row["loss"] for row in made.state.log_history if "loss" in row]
    return losses, {name: value.clone() for name, value in world.model.state_dict().items()}


def test_precomputed_and_copied_take_the_same_steps(world: World, tmp_path: Path) -> None:
    start = {name: value.clone() for name, value in world.model.state_dict().items()}
    copy_model = train_steps(world, world.copy_model(), tmp_path)
    world.model.load_state_dict(start)
    precompute = train_steps(world, world.precompute(*PAIR), tmp_path)
    assert precompute[0] == pytest.approx(copy_model[0], abs=1e-6)
    assert precompute[0][0] == pytest.approx(0.693147, abs=1e-5)
    assert abs(precompute[0][2] - precompute[0][0]) > 1e-3
    for name, value in precompute[1].items():
        torch.testing.assert_close(value, copy_model[1][name], atol=1e-5, rtol=1e-4)


def test_adapters_switched_off_take_the_same_steps_as_precomputed_scores(world: World, tmp_path: Path) -> None:
    adapters.attach(world.model, ("projector", "llm"), LORA, seed=0)
    assert adapters.only_adapters_train(world.model)
    start = {name: value.clone() for name, value in world.model.state_dict().items()}
    off = LiveReference(world.views, bf16=False, switched=partial(adapters.adapters_off, world.model))
    switched = train_steps(world, off, tmp_path)
    world.model.load_state_dict(start)
    precompute = train_steps(world, world.precompute(*PAIR), tmp_path)
    assert switched[0] == pytest.approx(precompute[0], abs=1e-6)
    assert abs(switched[0][2] - switched[0][0]) > 1e-4
    for name, value in switched[1].items():
        torch.testing.assert_close(value, precompute[1][name], atol=1e-5, rtol=1e-4)


def test_adapters_switched_off_are_the_base_after_they_have_been_trained(world: World, tmp_path: Path) -> None:
    known = world.precompute(*PAIR).scores(reference_of(*PAIR), world.batch)
    adapters.attach(world.model, ("projector", "llm"), WITH_DROPOUT, seed=0)
    off = LiveReference(world.views, bf16=False, switched=partial(adapters.adapters_off, world.model))
    train_steps(world, off, tmp_path)
    moved = score(world.model.eval(), PAIR, world.batch, world.views).scores
    for key, result in off.scores(reference_of(*PAIR), world.batch).items():
        torch.testing.assert_close(result.logp, known[key].logp, atol=1e-5, rtol=0)
        assert (moved[key[:2]].logp - result.logp).abs().max() > 1e-2


def test_gradients_are_equal_for_all_kinds_of_reference(world: World) -> None:
    objective, batch = create("objective", "dpo"), world.batch
    counts, result = count_units([batch], objective.needs, world.views), []
    for reference in (world.copy_model(), world.precompute(*PAIR)):
        world.model.zero_grad()
        policy = score(world.model, PAIR, batch, world.views).scores
        scores = Scores({**policy, **reference.scores(reference_of(*PAIR), batch)})
        total(objective.terms(scores), counts).backward()
        result.append(torch.cat([p.grad.flatten() for p in world.model.parameters() if p.grad is not None]))
    assert result[0].abs().max() > 0
    torch.testing.assert_close(result[0], result[1], atol=1e-6, rtol=1e-4)


class Counting:
    """Notes which samples it is asked for."""

    def __init__(self, inner: LiveReference) -> None:
        self.inner, self.requested = inner, list[tuple[str, int]]()

    def scores(self, needs: Sequence[Need], batch: Sequence[Sample]) -> Any:
        self.requested += [(sample.record_id, sample.epoch) for sample in batch]
        return self.inner.scores(needs, batch)


def scored_pairs(world: World, samples: Sequence[Sample], *needs: Need) -> list[tuple[str, int]]:
    counting = Counting(LiveReference(world.views, bf16=False))
    rows = PrecomputedReference(RowStore(world.folder / "rows", (1,)), world.views)
    rows.fill(samples, reference_of(*needs), counting, batch_size=3, advance=lambda _: None)
    return counting.requested


def test_fill_scores_only_missing_rows(world: World) -> None:
    first = [sample for sample in world.batch if sample.record_id in ("train-1", "train-4")]
    assert len(scored_pairs(world, first, *PAIR)) == 2
    rest = scored_pairs(world, world.batch, *PAIR)
    assert sorted(rest) == [(f"train-{index}", 0) for index in (0, 2, 3, 5, 6, 7)]
    assert scored_pairs(world, world.batch, *PAIR) == []


def test_fill_scores_a_text_once_and_noised_clouds_per_epoch(world: World) -> None:
    met = [world.samples[index] for index in range(24)]
    assert len(scored_pairs(world, met, *PAIR)) == 8
    assert len(scored_pairs(world, met, NOISED)) == 3 * 7  # the text-only pair has no noised view


def test_precomputed_scores_are_found_after_training_began(world: World) -> None:
    known = world.precompute(*PAIR).scores(reference_of(*PAIR), world.batch)
    with torch.no_grad():
        for parameter in world.model.parameters():
            parameter.mul_(1.5)
    again = PrecomputedReference(RowStore(world.folder / "rows", (1,)), world.views).scores(
        reference_of(*PAIR), world.batch
    )
    for key, result in again.items():
        assert torch.equal(result.token_logp, known[key].token_logp)


def test_a_sample_without_the_text_is_absent(world: World) -> None:
    batch = world.batch[:3]
    bare = replace(batch[1], texts={key: text for key, text in batch[1].texts.items() if key[0] == "chosen"})
    reference = world.precompute(*PAIR)
    result = reference.scores(reference_of(*PAIR), [batch[0], bare, batch[2]])["rejected", "clean", "reference"]
    assert result.present.tolist() == [True, False, True]
    assert result.logp[1] == 0
    assert (result.round_index[1] == -1).all()
    nothing = reference.scores(reference_of(*PAIR), [bare])["rejected", "clean", "reference"]
    assert nothing.present.tolist() == [False]


def test_precomputed_reference_raises_for_a_missing_score(world: World) -> None:
    rows = PrecomputedReference(RowStore(world.folder / "empty", (1,)), world.views)
    with pytest.raises(LookupError, match="not computed before training"):
        rows.scores(reference_of(*PAIR), world.batch)


def test_check_matches_policy_refuses_scores_of_another_model(world: World, tmp_path: Path) -> None:
    other = world.make(seed=1)[0]
    stranger = LiveReference(views_of(other, world.views.encoder.clouds), bf16=False)
    with pytest.raises(CheckpointError, match=r"before the first step .* by up to .* nats at one token"):
        train_steps(world, stranger, tmp_path)


def one(*logp: float, lengths: Sequence[int] = ()) -> Score:
    """A Score of one token per sample, or of `lengths` tokens."""
    mask = torch.tensor([[index < length for index in range(2)] for length in lengths or [1] * len(logp)])
    return Score(torch.tensor(logp)[:, None] * mask, mask, mask.long() - 1)


@pytest.mark.parametrize(
    ("off", "bf16", "fits"),
    [(0.9e-5, False, True), (6e-5, False, False), (0.4, True, True), (0.6, True, False), (float("nan"), True, False)],
)
def test_check_matches_policy_allows_rounding(off: float, bf16: bool, fits: bool) -> None:
    policy, reference = Scores({("chosen", "clean", "policy"): one(-2.0)}), one(-2.0 + off)
    known = {("chosen", "clean", "reference"): reference}
    if fits:
        check_matches_policy(policy, known, bf16=bf16)
    else:
        with pytest.raises(CheckpointError, match="chosen answers under the view clean"):
            check_matches_policy(policy, known, bf16=bf16)


def test_check_matches_policy_names_another_number_of_tokens() -> None:
    policy = Scores({("chosen", "clean", "policy"): one(-2.0)})
    known = {("chosen", "clean", "reference"): one(-2.0, lengths=[2])}
    with pytest.raises(CheckpointError, match="at 2 tokens and the policy at 1"):
        check_matches_policy(policy, known, bf16=False)


def test_check_matches_policy_accepts_equal_infinities() -> None:
    policy = Scores({("chosen", "clean", "policy"): one(-float("inf"), lengths=[2])})
    check_matches_policy(policy, {("chosen", "clean", "reference"): policy["chosen", "clean"]}, bf16=False)


def test_the_reward_margin_is_what_the_policy_gained_over_the_reference() -> None:
    scores = Scores(
        {
            ("chosen", "clean", "policy"): one(-1.0, -2.0, -1.0),
            ("rejected", "clean", "policy"): one(-5.0, -1.0, 0.0, lengths=[1, 1, 0]),
            ("chosen", "clean", "reference"): one(-2.0, -2.0, -9.0),
            ("rejected", "clean", "reference"): one(-4.0, -1.5, 0.0, lengths=[1, 1, 0]),
        }
    )
    metrics = mean_metrics([preference_metrics(scores)])
    assert metrics["reward_margin"] == pytest.approx((2.0 - 0.5) / 2)
    assert metrics["reward_accuracy"] == pytest.approx(0.5)
    policy_alone = {key: result for key, result in scores.items() if key[2] == "policy"}
    assert "reward_margin" not in preference_metrics(Scores(policy_alone))


def test_a_contrast_with_another_object_has_a_margin_of_its_own() -> None:
    other = ("chosen", "other", "policy")
    scores = Scores({("chosen", "clean", "policy"): one(-1.0, -2.0), other: one(-4.0, -1.0)})
    metrics = mean_metrics([preference_metrics(scores)])
    assert metrics["other_margin"] == pytest.approx((3.0 - 1.0) / 2)
    assert metrics["other_sign_accuracy"] == pytest.approx(0.5)
    assert "margin" not in metrics


def chosen(world: World, needs: Sequence[Need], **train: Any) -> Any:
    """What a run with these settings takes as its reference."""
    way = TrainSettings(**train).reference
    return make_reference(
        ReferenceRequest(needs, "wise", way, bf16=False, batch_size=5),
        world.views,
        world.samples,
        cache_dir=lambda model: world.folder / "rows",
        views_of=lambda model: views_of(model, world.views.encoder.clouds),
        reporter=SilentReporter(),
    )


def test_an_objective_without_a_reference_gets_none(world: World) -> None:
    assert chosen(world, PAIR) is None


def test_make_reference_switches_adapters_off_if_only_they_train(world: World) -> None:
    adapters.attach(world.model, ("projector", "llm"), LORA, seed=0)
    result = chosen(world, reference_of(*PAIR), lora=LORA)
    assert isinstance(result, LiveReference)
    assert result.views.model is world.model


def test_adapters_cannot_be_switched_off_where_there_are_none(world: World) -> None:
    with pytest.raises(ValueError, match=r"there are no adapters; give --train\.lora\.rank"):
        TrainSettings(reference="adapters-off")
    with pytest.raises(ConfigError, match="more than adapters trains"):
        chosen(world, reference_of(*PAIR), reference="adapters-off", lora=LORA)


def test_the_whole_vocabulary_is_not_kept_on_disk(world: World) -> None:
    with pytest.raises(ConfigError, match=r"--objective wise: .* take --train\.reference copy"):
        chosen(world, reference_of(Need(vocabulary=True)))


def test_make_reference_gives_a_copy_its_own_views(world: World) -> None:
    result = chosen(world, reference_of(*PAIR), reference="copy")
    assert result.views.model is not world.model
    assert not result.views.model.trained


def test_by_default_the_reference_is_scored_before_training(world: World) -> None:
    result = chosen(world, reference_of(*PAIR))
    assert isinstance(result, PrecomputedReference)
    assert set(result.scores(reference_of(*PAIR), world.batch)) == {need.key for need in reference_of(*PAIR)}
