"""Tests of the contract of each kind, for every component in registry.yaml.

Values of required Config fields come from the fixture `required_values`.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from spa3d import available, create
from spa3d.contracts.benchmark import Benchmark, Prediction
from spa3d.contracts.dataset import Dataset, Record
from spa3d.contracts.encoder import CHANNELS, Encoder
from spa3d.contracts.noise import Noise
from spa3d.contracts.objective import Model, Objective, Score, Scores, Text
from spa3d.contracts.projector import Projector
from spa3d.data.preparation import encoder_inputs
from spa3d.inference.views import BUILT_IN
from spa3d.registry.component import Component
from spa3d.registry.kinds import KINDS
from spa3d.registry.registry import load_registry
from spa3d.runtime.rng import Draws

ROWS = [row for kind in KINDS for row in load_registry().components(kind)]
KEYS = [(0, 1, f"record-{number}", "noised") for number in range(4)]


@pytest.fixture
def required_values(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Values of the Config fields that have no default, by component."""
    (tmp_path / "8192_npy").mkdir()
    (tmp_path / "anno_data").mkdir()
    for split in ("train", "val", "test"):
        conversations = []
        for number in range(5):
            name = f"{split}{number}"
            np.save(tmp_path / f"8192_npy/{name}_8192.npy", Draws([(name,)]).uniform(32, 6)[0].numpy())
            question, answer = f"<point>\nWhat is this {number}?", f"A thing, number {number} of {split}."
            turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
            conversations.append({"object_id": name, "conversations": turns})
        (tmp_path / f"anno_data/all_{split}.json").write_text(json.dumps(conversations), encoding="utf-8")
    labels = [number % 40 for number in range(12)]
    for split in ("train", "test"):
        points = list(Draws([(split, number) for number in labels]).normal(32, 6).numpy())
        (tmp_path / f"modelnet40_{split}_32pts_fps.dat").write_bytes(pickle.dumps([points, labels]))
    mugs = tmp_path / "mugs"
    for split in ("train", "val", "test"):
        (mugs / split).mkdir(parents=True)
        for number in range(5):
            np.save(mugs / split / f"mug_{number}.npy", Draws([(split, number)]).uniform(32, 6)[0].numpy())
    return {"pointllm": {"root": tmp_path}, "modelnet40": {"root": tmp_path}, "folder": {"root": mugs}}


def clouds(number: int = 128) -> Tensor:
    """Prepared clouds ``(4, number, 6)``, points on the unit sphere."""
    draws = Draws(KEYS)
    return torch.cat([torch.nn.functional.normalize(draws.normal(number, 3), dim=-1), draws.uniform(number, 3)], dim=-1)


@pytest.fixture
def target(row: Component) -> Any:
    """Class of a row; the test is skipped if its requirements are not installed."""
    registry = load_registry()
    if lacking := registry.describe_unmet(row):
        pytest.skip(f"{row.kind} {row.name} {lacking}")
    return registry.target(row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind}-{row.name}")
class TestRow:
    def test_row_has_summary_docstring_and_module(self, row: Component, target: Any) -> None:
        assert row.summary
        assert not row.summary.endswith(".")
        assert len(row.summary) <= 100
        assert target.__doc__
        assert target.__module__.rpartition(".")[2] == row.name.replace("-", "_")

    def test_fields_are_described_and_defaults_are_valid(self, row: Component, target: Any) -> None:
        config = target.Config
        for name, field in config.model_fields.items():
            assert field.description, f"{row.name}.{name} has no docstring"
        if not any(field.is_required() for field in config.model_fields.values()):
            filled = config().model_dump()
            assert config.model_validate(filled).model_dump() == filled


def inputs_of(encoder: Encoder) -> Tensor:
    """Two valid input clouds for `encoder`."""
    return encoder_inputs(clouds(max(128, encoder.min_points))[:2], encoder.inputs)


PUBLISHED = [name for name, preset in load_registry().manifest.presets.of_kind("encoder").items() if preset.weights]
"""Encoders in the shape of published weights: too large for all tests; the small ones use the same code."""


@pytest.mark.parametrize("name", [name for name in available("encoder") if name not in PUBLISHED])
class TestEncoder:
    @pytest.fixture
    def encoder(self, name: str) -> Encoder:
        torch.manual_seed(0)
        return create("encoder", name).eval()

    def test_tokens_have_num_tokens_and_dim(self, encoder: Encoder) -> None:
        assert encoder.channels == sum(CHANNELS[channel] for channel in encoder.inputs)
        for number in (encoder.min_points, encoder.min_points + 1, max(encoder.min_points, 200)):
            points = encoder_inputs(clouds(number)[:2], encoder.inputs)
            with torch.no_grad():
                tokens, pooled = encoder(points), encoder.pool(points)
            assert tokens.shape == (2, encoder.num_tokens(number), encoder.dim)
            assert pooled.shape[0] == 2
            assert pooled.dim() == 2
            assert tokens.isfinite().all()
            assert pooled.isfinite().all()

    def test_shapes_are_known_without_values(self, name: str) -> None:
        with torch.device("meta"):
            encoder = create("encoder", name).eval()
        number = max(256, encoder.min_points)
        tokens = encoder(torch.empty(2, number, encoder.channels, device="meta"))
        assert tokens.shape == (2, encoder.num_tokens(number), encoder.dim)

    def test_eval_mode_is_deterministic_and_independent_of_the_batch(self, encoder: Encoder) -> None:
        before = {key: value.clone() for key, value in encoder.state_dict().items()}
        points = inputs_of(encoder)
        kept = points.clone()
        with torch.no_grad():
            together = encoder(points)
            assert torch.equal(together, encoder(points))
            alone = torch.cat([encoder(cloud[None]) for cloud in points])
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
        assert torch.equal(points, kept)
        assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())

    def test_gradients_reach_every_channel_and_the_parameters(self, encoder: Encoder) -> None:
        points = inputs_of(encoder).requires_grad_()
        encoder.train()(points).square().sum().backward()
        assert (points.grad.abs().sum(dim=(0, 1)) > 0).all()
        assert any(value.grad is not None and value.grad.any() for value in encoder.parameters())

    def test_state_dict_restores_the_outputs(self, encoder: Encoder, name: str) -> None:
        other = create("encoder", name).eval()
        other.load_state_dict(encoder.state_dict())
        points = inputs_of(encoder)
        with torch.no_grad():
            assert torch.equal(encoder(points), other(points))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_preset_names_its_weights(name: str) -> None:
    preset = load_registry().manifest.presets.of_kind("encoder")[name]
    assert preset.weights
    assert all((preset.weights.file, preset.weights.layout, preset.weights.url, preset.weights.license))
    with torch.device("meta"):
        encoder = create("encoder", name).eval()
        points = torch.empty(2, 8192, encoder.channels)
    assert encoder(points).shape == (2, encoder.num_tokens(8192), encoder.dim)
    assert encoder.pool(points).shape[0] == 2


@pytest.mark.parametrize("name", available("projector"))
def test_projector(name: str) -> None:
    projector: Projector = create("projector", name, dim=12, hidden=20)
    tokens = torch.randn(2, 8, 12, generator=torch.Generator().manual_seed(0)).requires_grad_()
    embeddings = projector(tokens)
    assert embeddings.shape == (2, projector.num_tokens(8), 20)
    embeddings.square().sum().backward()
    assert tokens.grad.any()
    assert all(value.grad is not None for value in projector.parameters())


@pytest.mark.parametrize("name", available("noise"))
class TestNoise:
    def test_level_0_is_the_identity(self, name: str) -> None:
        noise: Noise = create("noise", name, level=0)
        assert torch.equal(noise.apply(clouds(), Draws(KEYS)), clouds())

    @pytest.mark.parametrize("level", [0.1, 0.5, 1])
    def test_apply_keeps_the_shape_and_changes_a_copy(self, name: str, level: float) -> None:
        noise: Noise = create("noise", name, level=level)
        points = clouds()
        noised = noise.apply(points, Draws(KEYS))
        assert (noised.shape, noised.dtype) == (points.shape, points.dtype)
        assert noised.isfinite().all()
        assert torch.equal(points, clouds())
        assert not torch.equal(points, noised)

    def test_result_depends_on_the_keys_and_not_on_the_batch(self, name: str) -> None:
        noise: Noise = create("noise", name, level=0.5)
        whole = noise.apply(clouds(), Draws(KEYS))
        assert torch.equal(whole, noise.apply(clouds(), Draws(KEYS)))
        alone = [noise.apply(clouds()[i : i + 1], Draws(KEYS[i : i + 1])) for i in range(len(KEYS))]
        assert torch.equal(whole, torch.cat(alone))

    def test_measured_level_increases_with_the_level(self, name: str) -> None:
        reached = []
        for level in (0, 0.25, 0.5, 0.75):
            noise: Noise = create("noise", name, level=level)
            realized = noise.measure_level(clouds(), noise.apply(clouds(), Draws(KEYS)))
            assert realized.shape == (4,)
            assert ((realized >= 0) & (realized <= 1)).all()
            reached.append(realized.mean().item())
        assert reached == sorted(set(reached))

    @pytest.mark.parametrize("level", [-0.1, 1.1, float("nan")])
    def test_level_outside_0_to_1_is_rejected(self, name: str, level: float) -> None:
        with pytest.raises(Exception, match="level"):
            create("noise", name, level=level)


@pytest.mark.parametrize("name", available("objective"))
class TestObjective:
    def scores(
        self,
        objective: Objective,
        size: int = 3,
        *,
        present: Tensor | None = None,
        scale: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> Scores:
        """Random scores of up to three samples; without `present` no answer tokens."""
        stream = torch.Generator().manual_seed(0)
        mask = (torch.rand(3, 6, generator=stream) < 0.6) & (True if present is None else present[:, None])
        result = {}
        for need in objective.needs:
            logp = torch.randn(3, 6, generator=stream).abs().neg() * mask * scale
            whole = torch.randn(18, 5, generator=stream).mul(scale).log_softmax(dim=-1)[: int(mask[:size].sum())]
            learns = [each.detach().to(dtype).requires_grad_(need.grad) for each in (logp[:size], whole)]
            rounds = torch.where(mask, torch.arange(6) // 3, -1)[:size]
            result[need.key] = Score(learns[0], mask[:size], rounds, learns[1] if need.vocabulary else None)
        return Scores(result)

    def loss(self, objective: Objective, scores: Scores) -> Tensor:
        return torch.stack([term.coefficient * term.values.sum() for term in objective.terms(scores)]).sum()

    def test_needs_are_valid_and_different(self, name: str) -> None:
        needs = create("objective", name).needs
        assert needs
        assert len({need.key for need in needs}) == len(needs)
        for need in needs:
            assert need.text in get_args(Text)
            assert need.view in {view.name for view in BUILT_IN}
            assert need.model in get_args(Model)
            assert need.model == "policy" or not need.grad

    def test_terms_are_unreduced_and_finite(self, name: str) -> None:
        objective: Objective = create("objective", name)
        terms = objective.terms(self.scores(objective))
        assert len({term.name for term in terms}) == len(terms) > 0
        for term in terms:
            assert term.values.shape == ((3, 6) if term.unit == "token" else (3,))
            assert term.values.isfinite().all()

    def test_gradients_reach_needs_with_grad_only(self, name: str) -> None:
        objective: Objective = create("objective", name)
        scores = self.scores(objective)
        self.loss(objective, scores).backward()
        for need in objective.needs:
            gradient = scores[need.key].token_logp.grad
            assert (gradient is not None and bool(gradient.any())) == need.grad

    def test_a_sample_does_not_depend_on_the_others(self, name: str) -> None:
        objective: Objective = create("objective", name)
        whole, first = objective.terms(self.scores(objective)), objective.terms(self.scores(objective, size=1))
        for term, alone in zip(whole, first, strict=True):
            torch.testing.assert_close(term.values[:1], alone.values)

    def test_gradients_agree_with_finite_differences(self, name: str) -> None:
        objective: Objective = create("objective", name)
        scores = self.scores(objective, dtype=torch.float64)
        leaves = {need: scores[need.key] for need in objective.needs if need.grad}

        def loss(*learned: Tensor) -> Tensor:
            result, learned_values = dict(scores), iter(learned)
            for need, score in leaves.items():
                whole = next(learned_values) if need.vocabulary else None
                result[need.key] = replace(score, token_logp=next(learned_values), vocabulary=whole)
            return self.loss(objective, Scores(result))

        both = [(score.vocabulary, score.token_logp) for score in leaves.values()]
        assert torch.autograd.gradcheck(loss, [leaf for pair in both for leaf in pair if leaf is not None])

    def test_sample_without_scores_has_loss_0(self, name: str) -> None:
        objective: Objective = create("objective", name)
        scores = self.scores(objective, present=torch.tensor([True, False, True]))
        terms = objective.terms(scores)
        for term in terms:
            assert not term.values[1].any(), f"{term.name}: a sample whose Score.present is false must cost 0"
        contrasts = [term.values.sum() for term in terms if term.unit == "sequence"]
        leaves = [scores[need.key].token_logp for need in objective.needs if need.grad]
        for gradient in torch.autograd.grad(contrasts, leaves, allow_unused=True) if contrasts else ():
            assert gradient is None or not gradient[1].any()

    @pytest.mark.parametrize("scale", [1e-6, 1e4])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_huge_and_tiny_numbers_stay_finite(self, name: str, scale: float, dtype: torch.dtype) -> None:
        objective: Objective = create("objective", name)
        scores = self.scores(objective, scale=scale, dtype=dtype)
        assert all(term.values.isfinite().all() for term in objective.terms(scores))
        self.loss(objective, scores).backward()
        for need in objective.needs:
            gradient = scores[need.key].token_logp.grad
            assert gradient is None or gradient.isfinite().all()

    def test_token_with_log_p_minus_infinity_gives_no_nan(self, name: str) -> None:
        objective: Objective = create("objective", name)
        for impossible in objective.needs:
            scores = dict(self.scores(objective))
            score = scores[impossible.key]
            logp = score.token_logp.detach().masked_fill(score.answer_mask, -float("inf"))
            scores[impossible.key] = replace(score, token_logp=logp.requires_grad_(impossible.grad))
            assert not any(term.values.isnan().any() for term in objective.terms(Scores(scores)))
            self.loss(objective, Scores(scores)).backward()
            for need in objective.needs:
                score = scores[need.key]
                gradient = score.token_logp.grad
                assert gradient is None or not gradient[score.answer_mask].isnan().any()


@pytest.mark.parametrize("name", available("dataset"))
class TestDataset:
    @pytest.fixture
    def dataset(self, name: str, required_values: dict[str, dict[str, Any]]) -> Dataset:
        return create("dataset", name, **required_values.get(name, {}))

    def some(self, dataset: Dataset) -> Iterator[tuple[str, Record]]:
        for split in dataset.splits:
            yield from ((split, record) for record in islice(dataset.records(split), 5))

    def test_records_are_valid(self, dataset: Dataset) -> None:
        assert {"train", "val", "test"} <= set(dataset.splits)
        seen, groups = set(), dict[str, str]()
        for split, record in self.some(dataset):
            assert record.id not in seen
            assert groups.setdefault(record.group, split) == split
            seen.add(record.id)
            cloud = record.cloud()
            assert cloud.dtype == np.float32
            assert cloud.ndim == 2
            assert cloud.shape[1] == 6
            assert np.isfinite(cloud).all()
            assert ((cloud[:, 3:] >= 0) & (cloud[:, 3:] <= 1)).all()
            for conversation in (*record.conversations, *dataset.conversations(record, 1)):
                assert conversation.rounds
                assert all(turn.question.strip() and turn.answer.strip() for turn in conversation.rounds)
            assert record.conversations
            assert all(fact.answer in fact.options for fact in record.facts)

    def test_a_record_is_a_function_of_its_id(
        self, dataset: Dataset, name: str, required_values: dict[str, dict[str, Any]]
    ) -> None:
        again = create("dataset", name, **required_values.get(name, {}))
        assert again.fingerprint() == dataset.fingerprint()
        for _, record in self.some(dataset):
            same = again.record(record.id)
            assert same == record
            assert np.array_equal(same.cloud(), record.cloud())
            assert again.conversations(same, 3) == dataset.conversations(record, 3)

    def test_twin_differs_in_one_fact_only(self, dataset: Dataset) -> None:
        for _, record in self.some(dataset):
            twin = dataset.twin(record)
            if twin is None:
                continue
            assert twin.before in record.facts
            assert twin.after in twin.record.facts
            assert (twin.before.kind, twin.before.subject) == (twin.after.kind, twin.after.subject)
            assert twin.before.answer != twin.after.answer
            others = set(record.facts) - {twin.before}
            assert others == set(twin.record.facts) - {twin.after}
            assert dataset.record(twin.record.id) == twin.record
            assert not np.array_equal(twin.record.cloud(), record.cloud())


@pytest.mark.parametrize("name", available("benchmark"))
class TestBenchmark:
    @pytest.fixture
    def dataset(self) -> Dataset:
        return create("dataset", "shapes-smoke")

    def test_questions_are_a_function_of_the_arguments(self, name: str, dataset: Dataset) -> None:
        benchmark: Benchmark = create("benchmark", name)
        questions = benchmark.questions(dataset, "test", 0)
        assert questions == create("benchmark", name).questions(dataset, "test", 0)
        assert len({question.id for question in questions}) == len(questions) > 0
        for question in questions:
            assert dataset.record(question.record_id)
            assert question.answer in (question.options or (question.answer,))
            assert 0 <= benchmark.chance(question) < 1

    def test_reference_answer_scores_1_and_empty_answer_0(self, name: str, dataset: Dataset) -> None:
        benchmark: Benchmark = create("benchmark", name)
        for question in benchmark.questions(dataset, "test", 0):
            verdict = benchmark.score(question, Prediction(question.answer))
            assert (verdict.value, verdict.valid) == (1, True)
            assert benchmark.score(question, Prediction("")).value == 0
